//! Groups: who is in them, as each member's shard says and all shards know.

use super::Local;
use super::facts::Fact;
use crate::actor::ActorId;
use crate::actor::groups::{By, JoinError};
use crate::sync::Arc;
use std::any::TypeId;
use std::collections::{BTreeMap, HashMap};

/// All of one shard's.
#[derive(Default)]
pub(super) struct Groups {
    /// Of all shards, by the members' type and the group's name. None is empty.
    known: HashMap<TypeId, HashMap<Arc<str>, Members>>,
    /// Of actors of this shard.
    joined: BTreeMap<(ActorId, Arc<str>), Joined>,
    /// Used again by who sends to all of a group.
    list: Vec<ActorId>,
}

/// Who is in a group, as far as this shard knows.
struct Members {
    /// Sorted, so that one who leaves is found.
    ids: Vec<ActorId>,
    /// Whose turn it is.
    next: usize,
}

/// That somebody is in a group.
#[derive(Debug, Clone)]
pub(super) struct Member {
    kind: TypeId,
    group: Arc<str>,
    id: ActorId,
}

/// How that stands, on its shard.
struct Joined {
    fact: u64,
    /// It leaves, and some shard may still know it.
    leaves: bool,
    /// It wants to join again when it has left.
    again: bool,
}

impl Local {
    pub(crate) fn join(&mut self, id: ActorId, kind: TypeId, group: &str) -> Result<(), JoinError> {
        let group: Arc<str> = group.into();
        if id.shard != self.me {
            // Of one who has moved here: where it was born.
            self.tell(id.shard, move |local| {
                let _ = local.join(id, kind, &group);
            });
            return Ok(());
        }
        let full = self.groups.joined.len() >= self.bounds.memberships_max as usize;
        match self.groups.joined.get_mut(&(id, group.clone())) {
            Some(joined) => joined.again = joined.leaves,
            None if full => return Err(JoinError::Full),
            None => self.add_member(Member { kind, group, id }),
        }
        Ok(())
    }

    fn add_member(&mut self, member: Member) {
        self.note_end_of(member.id);
        let key = (member.id, member.group.clone());
        let fact = self.say(Fact::Member(member));
        self.groups.joined.insert(key, Joined { fact, leaves: false, again: false });
    }

    pub(crate) fn leave(&mut self, id: ActorId, group: &str) -> bool {
        if id.shard != self.me {
            let group: Arc<str> = group.into();
            self.tell(id.shard, move |local| {
                local.leave(id, &group);
            });
            return true; // as far as is known here
        }
        let Some(joined) = self.groups.joined.get_mut(&(id, group.into())) else { return false };
        let was_in = !joined.leaves || joined.again;
        joined.again = false;
        if !std::mem::replace(&mut joined.leaves, true) {
            let fact = joined.fact;
            self.unsay(fact);
        }
        was_in
    }

    /// No shard takes it for a member any longer.
    pub(super) fn has_left(&mut self, member: Member) {
        let joined = self.groups.joined.remove(&(member.id, member.group.clone()));
        if joined.is_some_and(|joined| joined.again) && self.lives(member.id) {
            self.add_member(member);
        }
    }

    /// `id` has ended.
    pub(super) fn end_groups(&mut self, id: ActorId) {
        let its = self.groups.joined.range((id, "".into())..).take_while(|((who, _), _)| *who == id);
        let groups: Vec<Arc<str>> = its.map(|((_, group), _)| group.clone()).collect();
        for group in groups {
            self.leave(id, &group);
        }
    }

    pub(super) fn learn_member(&mut self, Member { kind, group, id }: Member) {
        let first = usize::from(self.me.0); // else all shards would begin with the same
        let groups = self.groups.known.entry(kind).or_default();
        let members = groups.entry(group).or_insert_with(|| Members { ids: Vec::new(), next: first });
        if let Err(at) = members.ids.binary_search(&id) {
            members.ids.insert(at, id);
        }
    }

    pub(super) fn unlearn_member(&mut self, Member { kind, group, id }: &Member) {
        let Some(groups) = self.groups.known.get_mut(kind) else { return };
        let Some(members) = groups.get_mut(group) else { return };
        if let Ok(at) = members.ids.binary_search(id) {
            members.ids.remove(at);
        }
        if members.ids.is_empty() {
            groups.remove(group);
        }
        if groups.is_empty() {
            self.groups.known.remove(kind);
        }
    }

    /// Who is in a group, as far as this shard knows.
    pub(crate) fn members(&self, kind: TypeId, group: &str) -> &[ActorId] {
        let members = self.groups.known.get(&kind).and_then(|groups| groups.get(group));
        members.map_or(&[], |members| &members.ids)
    }

    /// A list of them that stays as it is while they are sent to. It comes back by [`Self::put_members`].
    pub(crate) fn copy_members(&mut self, kind: TypeId, group: &str) -> Vec<ActorId> {
        let mut list = std::mem::take(&mut self.groups.list);
        list.clear();
        list.extend_from_slice(self.members(kind, group));
        list
    }

    pub(crate) fn put_members(&mut self, list: Vec<ActorId>) {
        self.groups.list = list;
    }

    pub(super) fn memberships(&self) -> usize {
        self.groups.joined.values().filter(|joined| !joined.leaves || joined.again).count()
    }

    /// One of them.
    pub(crate) fn one_member(&mut self, kind: TypeId, group: &str, by: By) -> Option<ActorId> {
        let members = self.groups.known.get_mut(&kind)?.get_mut(group)?;
        match by {
            By::RoundRobin => {
                let at = members.next % members.ids.len();
                members.next = at + 1;
                members.ids.get(at).copied()
            }
            // Each member draws a lot for the key and the highest has it: who joins or leaves moves no keys but its own.
            By::Key(key) => members.ids.iter().copied().max_by_key(|id| lot(key, *id)),
        }
    }
}

/// Scrambles (splitmix64), so that neighbouring keys and actors draw unlike lots.
fn lot(key: u64, id: ActorId) -> u64 {
    let scramble = |mut bits: u64| {
        bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
        bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ bits >> 31
    };
    scramble(scramble(key) ^ id.generation.get() ^ u64::from(id.shard.0) << 48)
}
