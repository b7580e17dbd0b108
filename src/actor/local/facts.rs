//! What all shards know: who has a name, who is in a group. One shard says a fact, and takes it back; all have copies.
//!
//! A fact is told to each other shard once and taken back once, by one lane, so in order. It is over when all have said
//! that they know it no more; only then may another take its place. So no two shards ever believe in two holders of one
//! name, and no more errands are under way than two a fact and shard.
//!
//! Does not know: who may say what. That is `names` and `groups`.

use super::Local;
use super::groups::Member;
use super::names::Holder;
use crate::shard::ShardId;
use std::collections::HashMap;

/// Something that all shards know.
#[derive(Debug, Clone)]
pub(super) enum Fact {
    Holder(Holder),
    Member(Member),
}

/// What this shard has said.
#[derive(Default)]
pub(super) struct Facts {
    said: HashMap<u64, Said>,
    /// The number that was given last.
    last: u64,
}

struct Said {
    fact: Fact,
    /// How many shards still know it, once it was taken back.
    known_by: u16,
}

impl Local {
    /// From now on it is so. Returns a number by which it is taken back.
    pub(super) fn say(&mut self, fact: Fact) -> u64 {
        for shard in self.others() {
            let fact = fact.clone();
            self.tell(shard, move |local| local.learn(fact));
        }
        self.learn(fact.clone());
        self.facts.last += 1;
        let number = self.facts.last;
        self.facts.said.insert(number, Said { fact, known_by: 0 });
        number
    }

    /// It is so no more. When no shard believes it any longer, [`Self::is_over`].
    pub(super) fn unsay(&mut self, number: u64) {
        let (me, others) = (self.me, self.others());
        let Some(said) = self.facts.said.get_mut(&number) else { return };
        said.known_by = others.len() as u16;
        let fact = said.fact.clone();
        self.unlearn(&fact);
        for shard in others {
            let fact = fact.clone();
            self.tell(shard, move |local| {
                local.unlearn(&fact);
                local.tell(me, move |local| local.is_unlearned(number));
            });
        }
        if self.mesh.shards() == 1 {
            self.is_over(number);
        }
    }

    fn is_unlearned(&mut self, number: u64) {
        let Some(said) = self.facts.said.get_mut(&number) else { return };
        said.known_by -= 1;
        if said.known_by == 0 {
            self.is_over(number);
        }
    }

    fn is_over(&mut self, number: u64) {
        match self.facts.said.remove(&number).map(|said| said.fact) {
            Some(Fact::Holder(holder)) => self.name_is_free(&holder.name),
            Some(Fact::Member(member)) => self.has_left(member),
            None => {}
        }
    }

    fn learn(&mut self, fact: Fact) {
        match fact {
            Fact::Holder(holder) => self.learn_holder(holder),
            Fact::Member(member) => self.learn_member(member),
        }
    }

    fn unlearn(&mut self, fact: &Fact) {
        match fact {
            Fact::Holder(holder) => self.unlearn_holder(holder),
            Fact::Member(member) => self.unlearn_member(member),
        }
    }

    fn others(&self) -> Vec<ShardId> {
        (0..self.mesh.shards()).map(ShardId).filter(|&shard| shard != self.me).collect()
    }

    /// How many names and memberships actors of this shard have.
    pub(crate) fn ties(&self) -> usize {
        self.claims() + self.memberships()
    }
}
