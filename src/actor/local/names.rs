//! Names: who has them, as their homes decide and all shards know.
//!
//! A claim goes from who makes it to the shard of the actor that is to have the name, which sees its end, and on to the
//! name's home, which decides. What the home hears of one actor it hears in order: first its claim, then its end.

use super::Local;
use super::facts::Fact;
use crate::actor::ActorId;
use crate::actor::names::NameError;
use crate::actor::reply::Asker;
use crate::ring::parcel::Parcel;
use crate::sync::Arc;
use std::any::TypeId;
use std::collections::{BTreeMap, HashMap, VecDeque};

/// All of one shard's.
#[derive(Default)]
pub(super) struct Names {
    /// Of all shards.
    known: HashMap<Arc<str>, Holder>,
    /// Those that this shard decides about.
    decided: HashMap<Arc<str>, Decided>,
    /// What actors of this shard have or have claimed, by slot and number of the claim.
    claims: BTreeMap<(u32, u64), (ActorId, Arc<str>)>,
    /// The number that was given last.
    last: u64,
}

/// Who has a name.
#[derive(Debug, Clone)]
pub(super) struct Holder {
    pub(super) name: Arc<str>,
    id: ActorId,
    kind: TypeId,
}

/// A claim to a name. Its number is the holder's shard's.
struct Claim {
    holder: Holder,
    number: u64,
    /// Who is to be told.
    asker: Asker,
}

/// A name at its home.
struct Decided {
    /// Whose it is, by which claim. None: some shard may still believe that it is another's.
    by: Option<(ActorId, u64)>,
    fact: u64,
    /// Who wants it then.
    next: VecDeque<Claim>,
}

impl Local {
    /// Claims a name for `id`. `asker` is told what came of it. No more claims are under way than questions may be open.
    pub(crate) fn register(&mut self, name: &str, id: ActorId, kind: TypeId, asker: Asker) {
        let holder = Holder { name: name.into(), id, kind };
        self.at(id.shard, move |local| local.claim(holder, asker));
    }

    /// On the shard of who is to have it.
    fn claim(&mut self, holder: Holder, asker: Asker) {
        if !self.note_end_of(holder.id) {
            return self.decide(asker, Err(NameError::Gone));
        }
        self.names.last += 1;
        let number = self.names.last;
        self.names.claims.insert((holder.id.slot, number), (holder.id, holder.name.clone()));
        let claim = Claim { holder, number, asker };
        self.at(self.outside.home_of(&*claim.holder.name), move |local| local.claim_at_home(claim));
    }

    fn claim_at_home(&mut self, claim: Claim) {
        let full = self.names.decided.len() >= self.bounds.names_max as usize;
        match self.names.decided.get_mut(&claim.holder.name) {
            None if full => self.refuse(claim, Err(NameError::Full)),
            None => self.grant(claim),
            Some(Decided { by: Some((holder, _)), .. }) => {
                // Who is made anew by its supervisor claims its name again.
                let answer = if *holder == claim.holder.id { Ok(()) } else { Err(NameError::Taken) };
                self.refuse(claim, answer);
            }
            Some(decided) => decided.next.push_back(claim),
        }
    }

    fn grant(&mut self, Claim { holder, number, asker }: Claim) {
        let by = Some((holder.id, number));
        let fact = self.say(Fact::Holder(holder.clone()));
        self.names.decided.insert(holder.name, Decided { by, fact, next: VecDeque::new() });
        self.decide(asker, Ok(()));
    }

    /// A claim comes to nothing, and its maker is told so.
    fn refuse(&mut self, Claim { holder, number, asker }: Claim, answer: Result<(), NameError>) {
        self.at(holder.id.shard, move |local| drop(local.names.claims.remove(&(holder.id.slot, number))));
        self.decide(asker, answer);
    }

    /// Tells who asked. By an errand, so that its shard's copy has the name before it hears that it has.
    fn decide(&mut self, asker: Asker, answer: Result<(), NameError>) {
        self.at(asker.who.shard, move |local| local.answer(asker, Ok(Parcel::new(answer))));
    }

    /// At the home: the actor does not want it any more, or has ended.
    fn release(&mut self, name: &str, by: (ActorId, u64)) {
        let Some(decided) = self.names.decided.get_mut(name) else { return };
        if decided.by == Some(by) {
            decided.by = None;
            let fact = decided.fact;
            return self.unsay(fact);
        }
        let is_it = |claim: &Claim| (claim.holder.id, claim.number) == by;
        if let Some(at) = decided.next.iter().position(is_it)
            && let Some(claim) = decided.next.remove(at)
        {
            self.decide(claim.asker, Err(NameError::Gone));
        }
    }

    /// No shard believes any longer that it is somebody's: it is for the next.
    pub(super) fn name_is_free(&mut self, name: &str) {
        let Some(Decided { mut next, .. }) = self.names.decided.remove(name) else { return };
        if let Some(claim) = next.pop_front() {
            self.grant(claim);
        }
        for claim in next {
            self.claim_at_home(claim);
        }
    }

    /// Frees a name that this shard knows. No more of these are under way than names are known.
    pub(crate) fn unregister(&mut self, name: &str) -> bool {
        let Some(Holder { name, id, .. }) = self.names.known.remove(name) else { return false };
        self.at(id.shard, move |local| local.give_up(id, Some(&name)));
        true
    }

    /// An actor here gives up this name, or all. It may have ended.
    fn give_up(&mut self, id: ActorId, name: Option<&str>) {
        let its = self.names.claims.range((id.slot, 0)..=(id.slot, u64::MAX));
        let gone: Vec<_> = its
            .filter(|(_, (who, held))| *who == id && name.is_none_or(|name| name == &**held))
            .map(|(&key, _)| key)
            .collect();
        for key in gone {
            let Some((_, name)) = self.names.claims.remove(&key) else { continue };
            if self.names.known.get(&name).is_some_and(|holder| holder.id == id) {
                self.names.known.remove(&name); // the others hear it from its home
            }
            self.at(self.outside.home_of(&*name), move |local| local.release(&name, (id, key.1)));
        }
    }

    /// `id` has ended.
    pub(super) fn end_names(&mut self, id: ActorId) {
        self.give_up(id, None);
    }

    pub(super) fn learn_holder(&mut self, holder: Holder) {
        if holder.id.shard != self.me || self.lives(holder.id) {
            self.names.known.insert(holder.name.clone(), holder);
        }
    }

    pub(super) fn unlearn_holder(&mut self, holder: &Holder) {
        if self.names.known.get(&holder.name).is_some_and(|known| known.id == holder.id) {
            self.names.known.remove(&holder.name);
        }
    }

    pub(super) fn claims(&self) -> usize {
        self.names.claims.len()
    }

    /// Who has this name, as far as this shard knows, if it is an actor of this kind.
    pub(crate) fn whereis(&self, name: &str, kind: TypeId) -> Option<ActorId> {
        self.names.known.get(name).filter(|holder| holder.kind == kind).map(|holder| holder.id)
    }
}
