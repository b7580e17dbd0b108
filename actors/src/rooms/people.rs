//! Who is in a room by name, and what is told of their coming and going.
//!
//! Changes wait a little and go together: who comes and goes in between is not told of at all, and ten thousand who go at
//! once are one message. Several sessions of one name are one person.

use super::enter::Format;
use super::envelope;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The names in a room, and what has not been told yet.
#[derive(Debug, Default)]
pub(super) struct People {
    /// How many sessions have each.
    names: BTreeMap<Arc<str>, u32>,
    /// Names that have changed since the last telling, and whether they were there then.
    changed: BTreeMap<Arc<str>, bool>,
    /// How many members there are has changed.
    count_changed: bool,
}

impl People {
    /// A member has come.
    pub(super) fn come(&mut self, name: Option<&Arc<str>>) {
        self.count_changed = true;
        let Some(name) = name else { return };
        let sessions = self.names.entry(name.clone()).or_default();
        self.changed.entry(name.clone()).or_insert(*sessions > 0);
        *sessions += 1;
    }

    /// A member has gone.
    pub(super) fn go(&mut self, name: Option<&Arc<str>>) {
        self.count_changed = true;
        let Some(name) = name else { return };
        self.changed.entry(name.clone()).or_insert(true);
        if let Some(sessions) = self.names.get_mut(name) {
            *sessions -= 1;
            if *sessions == 0 {
                self.names.remove(name);
            }
        }
    }

    /// Whether there is something to tell.
    pub(super) fn has_changes(&self) -> bool {
        self.count_changed || !self.changed.is_empty()
    }

    /// Writes what has changed.
    pub(super) fn write_changes(&self, out: &mut Vec<u8>, room: &str, members: usize) {
        let changed = |is_there: bool| {
            let now = self.changed.iter().filter(move |(_, was_there)| **was_there != is_there);
            let names =
                now.map(|(name, _)| name).filter(move |name| self.names.contains_key(*name) == is_there);
            names.map(|name| &**name).take(NAMES_MAX)
        };
        envelope::presence(out, room, changed(true), changed(false), members);
    }

    /// What has changed is told.
    pub(super) fn told(&mut self) {
        self.changed.clear();
        self.count_changed = false;
    }

    /// Writes who is there, as many as there is room for.
    pub(super) fn write_all(&self, out: &mut Vec<u8>, room: &str, members: usize, format: Format) {
        let names = self.names.keys().take(NAMES_MAX).map(|name| &**name);
        match format {
            Format::Json => envelope::members(out, room, names, members),
            Format::Plain => {
                let names: Vec<&str> = names.collect();
                out.extend_from_slice(format!("{members} in {room}: {}", names.join(", ")).as_bytes());
            }
        }
    }
}

/// As many are told by name; of more, only how many members there are.
const NAMES_MAX: usize = 1000;
