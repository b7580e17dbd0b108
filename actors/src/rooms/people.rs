//! Who is in a room by name, and what is told of their coming and going.
//!
//! Changes wait a little and go together: who comes and goes in between is not told of at all, and ten thousand who go at
//! once are one message.

use super::enter::Format;
use super::envelope;
use corewire::actor::ActorId;
use corewire::shard::ShardId;
use std::collections::HashMap;
use std::sync::Arc;

/// Members with a name, and what has not been told yet.
#[derive(Debug, Default)]
pub(super) struct People {
    names: HashMap<ActorId, Arc<str>>,
    /// Since the last telling.
    come: Vec<(ActorId, Arc<str>)>,
    gone: Vec<Arc<str>>,
    /// Some who have no name, or more than can be told by name.
    more: bool,
}

impl People {
    pub(super) fn come(&mut self, who: ActorId, name: Arc<str>) {
        if self.names.insert(who, name.clone()).is_none() {
            self.come.push((who, name));
        }
    }

    pub(super) fn go(&mut self, who: ActorId) {
        let Some(name) = self.names.remove(&who) else { return };
        // Who was not told of coming need not be told of going. Looked for among the last, where it is if it is quick.
        let told = self.come.len().saturating_sub(LOOK_BACK);
        match self.come[told..].iter().position(|(other, _)| *other == who) {
            Some(at) => {
                self.come.remove(told + at);
            }
            None if self.gone.len() < NAMES_MAX => self.gone.push(name),
            None => self.more = true,
        }
    }

    /// A shard has gone with everybody on it.
    pub(super) fn lose(&mut self, shard: ShardId) {
        let lost: Vec<ActorId> = self.names.keys().copied().filter(|who| who.shard() == shard).collect();
        for who in lost {
            self.go(who);
        }
    }

    /// Whether there is something to tell.
    pub(super) fn has_changes(&self) -> bool {
        !self.come.is_empty() || !self.gone.is_empty() || self.more
    }

    /// Writes what has changed, if something has, and begins anew.
    pub(super) fn write_changes(&mut self, out: &mut Vec<u8>, room: &str, members: usize) {
        if !self.has_changes() {
            return;
        }
        let come = self.come.iter().take(NAMES_MAX).map(|(_, name)| &**name);
        envelope::presence(out, room, come, self.gone.iter().map(|name| &**name), members);
        self.come.clear();
        self.gone.clear();
        self.more = false;
    }

    /// Writes who is there, as many as there is room for.
    pub(super) fn write_all(&self, out: &mut Vec<u8>, room: &str, members: usize, format: Format) {
        let mut names: Vec<&str> = self.names.values().take(NAMES_MAX).map(|name| &**name).collect();
        names.sort_unstable();
        match format {
            Format::Json => envelope::members(out, room, names.into_iter(), members),
            Format::Plain => {
                let text = format!("{members} in {room}: {}", names.join(", "));
                out.extend_from_slice(text.as_bytes());
            }
        }
    }
}

/// As many are told by name; of more, only how many members there are.
const NAMES_MAX: usize = 1000;
/// Whoever goes is looked for among so many who came last.
const LOOK_BACK: usize = 64;
