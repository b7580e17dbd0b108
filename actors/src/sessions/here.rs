//! The sessions of one shard, and what is known of each.

use super::{SessionId, SessionInfo, SignInError};
use corewire::actor::{ActorId, ReplyTo};
use corewire::shard::{ShardId, Time};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// All of a shard's.
#[derive(Debug, Default)]
pub(super) struct Here {
    /// By number.
    sessions: BTreeMap<u64, Entry>,
    numbers: HashMap<ActorId, u64>,
    /// The number that was given last.
    last: u64,
}

/// One that has signed in.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) actor: ActorId,
    pub(super) user: Arc<str>,
    device: Arc<str>,
    since: Time,
    active: Time,
    subscriptions: BTreeSet<Arc<str>>,
    /// Its user's partition has not said yet that it may.
    pub(super) waiting: Option<ReplyTo<Result<SessionId, SignInError>>>,
}

impl Here {
    pub(super) fn len(&self) -> usize {
        self.sessions.len()
    }

    pub(super) fn number_of(&self, actor: ActorId) -> Option<u64> {
        self.numbers.get(&actor).copied()
    }

    pub(super) fn add(
        &mut self,
        actor: ActorId,
        user: Arc<str>,
        device: Arc<str>,
        now: Time,
        waiting: ReplyTo<Result<SessionId, SignInError>>,
    ) -> u64 {
        self.last += 1;
        let subscriptions = BTreeSet::new();
        let entry =
            Entry { actor, user, device, since: now, active: now, subscriptions, waiting: Some(waiting) };
        self.sessions.insert(self.last, entry);
        self.numbers.insert(actor, self.last);
        self.last
    }

    pub(super) fn get(&self, number: u64) -> Option<&Entry> {
        self.sessions.get(&number)
    }

    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut Entry> {
        self.sessions.get_mut(&number)
    }

    pub(super) fn remove(&mut self, number: u64) -> Option<Entry> {
        let entry = self.sessions.remove(&number)?;
        self.numbers.remove(&entry.actor);
        Some(entry)
    }

    pub(super) fn note_activity(&mut self, actor: ActorId, now: Time) {
        if let Some(entry) = self.of_actor(actor) {
            entry.active = now;
        }
    }

    /// False: it has `max` already, or has not signed in.
    pub(super) fn note_subscription(&mut self, actor: ActorId, name: Arc<str>, on: bool, max: u32) -> bool {
        let Some(Entry { subscriptions, .. }) = self.of_actor(actor) else { return false };
        if !on {
            subscriptions.remove(&name);
            return true;
        }
        if subscriptions.len() >= max as usize && !subscriptions.contains(&name) {
            return false;
        }
        subscriptions.insert(name);
        true
    }

    fn of_actor(&mut self, actor: ActorId) -> Option<&mut Entry> {
        self.sessions.get_mut(self.numbers.get(&actor)?)
    }

    /// Those that have no answer from the partitions of `users`.
    pub(super) fn waiting_for(&self, users: impl Fn(&str) -> bool) -> Vec<u64> {
        let waits = |entry: &Entry| entry.waiting.is_some() && users(&entry.user);
        self.sessions.iter().filter(|(_, entry)| waits(entry)).map(|(&number, _)| number).collect()
    }

    /// What is known of a session. One that still waits is not there yet.
    pub(super) fn info(&self, shard: ShardId, number: u64) -> Option<SessionInfo> {
        let entry = self.sessions.get(&number).filter(|entry| entry.waiting.is_none())?;
        Some(SessionInfo {
            id: SessionId { shard, number },
            actor: entry.actor,
            user: entry.user.clone(),
            device: entry.device.clone(),
            since: entry.since,
            active: entry.active,
            subscriptions: entry.subscriptions.iter().cloned().collect(),
        })
    }

    /// Their numbers, in order.
    pub(super) fn numbers(&self) -> impl Iterator<Item = u64> + '_ {
        self.sessions.keys().copied()
    }
}
