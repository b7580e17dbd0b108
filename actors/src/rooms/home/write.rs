//! What is said, as frames: once for each format that somebody hears.
//!
//! Does not know: who hears it, or what is remembered.

use super::Home;
use crate::rooms::envelope::{self, What, plain_of};
use crate::rooms::note::{Body, Note};
use corewire::actor::{Actor, Context};
use corewire::buf::Exhausted;
use corewire::connection::{FRAME_HEADER_BYTES_MAX, FrameWriter, Message};
use corewire::wire::Kind;

impl Home {
    /// As many of a batch as are not too much to go together, in JSON.
    pub(super) fn write_json<A: Actor>(
        &self,
        batch: &[Note],
        at_ms: u64,
        scratch: &mut Vec<u8>,
        cx: &mut Context<'_, A>,
    ) -> Result<FrameWriter, Exhausted> {
        scratch.clear();
        let (_, bytes_max) = self.rules.batch_max();
        let mut ends: Vec<usize> = Vec::with_capacity(batch.len());
        for (seq, note) in (self.seq + 1..).zip(batch) {
            let (from, id) = (note.from.as_deref(), note.id.as_deref());
            envelope::Said { room: self.room.name(), seq, from, id, at_ms, what: What::of(&note.body) }
                .write(scratch);
            if scratch.len() > bytes_max && !ends.is_empty() {
                break;
            }
            ends.push(scratch.len());
        }
        let bytes = ends.last().copied().unwrap_or_default();
        let mut frames = cx.frame_writer(bytes + ends.len() * FRAME_HEADER_BYTES_MAX)?;
        let mut begin = 0;
        for end in ends {
            frames.push(Kind::Text, &[&scratch[begin..end]]).expect("it was made with room for all");
            begin = end;
        }
        Ok(frames)
    }

    pub(super) fn write_plain<A: Actor>(
        &self,
        batch: &mut [Note],
        cx: &mut Context<'_, A>,
    ) -> Result<FrameWriter, Exhausted> {
        // A large message goes as it came, and is not copied even once.
        if let [Note { body, .. }] = batch
            && body.len() > MOVED_BYTES_MIN
            && let Body::Message(_) = body
            && let Body::Message(message) = std::mem::replace(body, Body::Text("".into()))
        {
            match cx.frame_of(message) {
                Ok(frames) => return Ok(frames),
                Err(message) => *body = Body::Message(message), // no memory; what follows says so
            }
        }
        let bytes: usize = batch.iter().map(|note| note.body.len() + FRAME_HEADER_BYTES_MAX).sum();
        let mut frames = cx.frame_writer(bytes)?;
        for note in batch.iter() {
            let pushed = match &note.body {
                Body::Message(Message::Binary(bytes)) => frames.push(Kind::Binary, &[bytes]),
                Body::Message(message) => frames.push(Kind::Text, &[message.as_bytes()]),
                Body::Json(json) => frames.push(Kind::Text, &[plain_of(json).as_bytes()]),
                Body::Text(text) => frames.push(Kind::Text, &[text.as_bytes()]),
            };
            pushed.expect("it was made with room for all, and nothing gets longer");
        }
        Ok(frames)
    }
}

/// A message of more than this is not copied but goes as it came.
const MOVED_BYTES_MIN: usize = 16 << 10;
