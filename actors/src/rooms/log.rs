//! What was said in a room of late, for those who come later or come back.
//!
//! It keeps views of the frames that went to plain members, or would have gone: what others hear is written from those again.
//!
//! Does not know: who asks, or in which format they hear it.

use super::envelope::{Said, What};
use super::rules::RoomRules;
use corewire::connection::Frames;
use corewire::shard::Time;
use corewire::wire::Kind;
use std::collections::VecDeque;
use std::sync::Arc;

/// The last messages, in order, without gaps.
#[derive(Debug, Default)]
pub(super) struct Log {
    entries: VecDeque<Entry>,
    bytes: usize,
}

/// One message.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) seq: u64,
    pub(super) at: Time,
    pub(super) at_ms: u64,
    pub(super) from: Option<Arc<str>>,
    pub(super) id: Option<Box<str>>,
    /// What plain members hear is a value in JSON, and was published as that.
    pub(super) is_json: bool,
    /// One frame, as plain members hear it.
    pub(super) frame: Frames,
}

impl Log {
    /// Adds a message, and forgets as many as the rules say.
    pub(super) fn push(&mut self, entry: Entry, rules: &RoomRules) {
        self.bytes += entry.frame.bytes();
        self.entries.push_back(entry);
        while self.entries.len() > rules.history_frames as usize || self.bytes > rules.history_bytes {
            if !self.forget_first() {
                break;
            }
        }
    }

    /// Forgets what is too old.
    pub(super) fn trim(&mut self, rules: &RoomRules, now: Time) {
        while self.entries.front().is_some_and(|entry| now.since(entry.at) > rules.history_age) {
            self.forget_first();
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    fn forget_first(&mut self) -> bool {
        let first = self.entries.pop_front();
        self.bytes -= first.as_ref().map_or(0, |entry| entry.frame.bytes());
        first.is_some()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The last `count`.
    pub(super) fn last(&self, count: usize) -> impl Iterator<Item = &Entry> {
        self.entries.iter().skip(self.entries.len().saturating_sub(count))
    }

    /// All after number `seq`, if none of them is forgotten, where `last` is the number of the last message.
    pub(super) fn after(&self, seq: u64, last: u64) -> Option<impl Iterator<Item = &Entry>> {
        let first = self.entries.front().map_or(last + 1, |entry| entry.seq);
        let is_whole = seq <= last && seq + 1 >= first;
        is_whole.then(|| self.entries.iter().skip((seq + 1 - first) as usize))
    }
}

impl Entry {
    /// What a plain member hears.
    pub(super) fn plain(&self) -> (Kind, &[u8]) {
        self.frame.message(0)
    }

    /// What a member hears who wants JSON.
    pub(super) fn write_json(&self, room: &str, out: &mut Vec<u8>) {
        let (kind, payload) = self.plain();
        let what = match (kind, std::str::from_utf8(payload)) {
            (Kind::Text, Ok(json)) if self.is_json => What::Json(json),
            (Kind::Text, Ok(text)) => What::Text(text),
            _ => What::Binary(payload),
        };
        let (from, id) = (self.from.as_deref(), self.id.as_deref());
        Said { room, seq: self.seq, from, id, at_ms: self.at_ms, what }.write(out);
    }
}
