//! What was said in a room of late, for those who come later or come back.
//!
//! It keeps views of the frames that went to members, in whichever format somebody heard them: what others hear is written from
//! those again, when somebody asks.
//!
//! Does not know: who asks, or in which format they hear it.

use super::enter::Format;
use super::envelope::{Said, What, plain_of_said};
use super::rules::RoomRules;
use corewire::connection::Frames;
use corewire::shard::Time;
use corewire::wire::Kind;
use std::borrow::Cow;
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
    /// One frame, as members of this format hear it.
    pub(super) frame: Frames,
    pub(super) format: Format,
    /// What all frames take that lie together: said of the last of them, with which they go.
    pub(super) bytes: usize,
}

impl Log {
    /// Adds a message, and forgets as many as the rules say.
    pub(super) fn push(&mut self, entry: Entry, rules: &RoomRules) {
        self.bytes += entry.bytes;
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

    /// What it keeps of the shard's memory.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    fn forget_first(&mut self) -> bool {
        let first = self.entries.pop_front();
        self.bytes -= first.as_ref().map_or(0, |entry| entry.bytes);
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
    /// What a member hears of this format.
    pub(super) fn heard(&self, room: &str, format: Format) -> (Kind, Cow<'_, [u8]>) {
        let (kind, payload) = self.frame.message(0);
        match (self.format, format) {
            (Format::Plain, Format::Plain) | (Format::Json, Format::Json) => (kind, payload.into()),
            (Format::Json, Format::Plain) => plain_of_said(payload),
            (Format::Plain, Format::Json) => {
                let mut json = Vec::with_capacity(payload.len() + 128);
                self.write_json(room, &mut json);
                (Kind::Text, json.into())
            }
        }
    }

    fn write_json(&self, room: &str, out: &mut Vec<u8>) {
        let (kind, payload) = self.frame.message(0);
        let what = match (kind, std::str::from_utf8(payload)) {
            (Kind::Text, Ok(json)) if self.is_json => What::Json(json),
            (Kind::Text, Ok(text)) => What::Text(text),
            _ => What::Binary(payload),
        };
        let (from, id) = (self.from.as_deref(), self.id.as_deref());
        Said { room, seq: self.seq, from, id, at_ms: self.at_ms, what }.write(out);
    }
}
