//! A part of the users, and which sessions each has. Knows no shard but as a part of a session's number.

use super::SessionId;
use corewire::shard::ShardId;
use std::collections::HashMap;
use std::sync::Arc;

/// One part.
#[derive(Debug, Default)]
pub(super) struct Partition {
    /// Of each user the sessions, in order: those of one shard stand together.
    users: HashMap<Arc<str>, Vec<SessionId>>,
    sessions: u32,
}

impl Partition {
    /// One more session of this user; false if there are `max`.
    pub(super) fn add(&mut self, user: Arc<str>, id: SessionId, max: u32) -> bool {
        let sessions = self.users.entry(user.clone()).or_default();
        let has_room = sessions.len() < max as usize;
        match sessions.binary_search(&id) {
            Err(at) if has_room => {
                sessions.insert(at, id);
                self.sessions += 1;
            }
            _ if sessions.is_empty() => drop(self.users.remove(&user)), // none may be
            _ => {}
        }
        has_room
    }

    /// It is not there any more, if it was.
    pub(super) fn remove(&mut self, user: &str, id: SessionId) {
        let Some(sessions) = self.users.get_mut(user) else { return };
        let Ok(at) = sessions.binary_search(&id) else { return };
        sessions.remove(at);
        self.sessions -= 1;
        if sessions.is_empty() {
            self.users.remove(user);
        }
    }

    /// Nobody is on that shard any more.
    pub(super) fn remove_shard(&mut self, shard: ShardId) {
        self.users.retain(|_, sessions| {
            sessions.retain(|id| id.shard() != shard);
            !sessions.is_empty()
        });
        self.sessions = self.users.values().map(|sessions| sessions.len() as u32).sum();
    }

    /// The sessions of a user, shard by shard.
    pub(super) fn of(&self, user: &str) -> impl Iterator<Item = (ShardId, Vec<u64>)> + '_ {
        let sessions = self.users.get(user).map_or(&[][..], Vec::as_slice);
        let by_shard = sessions.chunk_by(|a, b| a.shard() == b.shard());
        by_shard.map(|ids| (ids[0].shard(), ids.iter().map(|id| id.number).collect()))
    }

    pub(super) fn users(&self) -> u32 {
        self.users.len() as u32
    }

    pub(super) fn sessions(&self) -> u32 {
        self.sessions
    }
}
