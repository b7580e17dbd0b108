//! What somebody hears of the past who comes to a room.
//!
//! Does not know: who else is there.

use super::Home;
use super::past::{Of, Past, TICKETS};
use crate::rooms::enter::Format;
use crate::rooms::envelope;
use crate::rooms::item::Since;
use corewire::actor::{Actor, Context};
use corewire::buf::Exhausted;
use corewire::connection::{FRAME_HEADER_BYTES_MAX, FramesTicket};
use corewire::wire::Kind;

/// What is said to somebody who comes.
#[derive(Debug, Default)]
pub(super) struct Missed {
    /// That it is in.
    pub(super) joined: Option<FramesTicket>,
    /// What was said before.
    pub(super) past: Option<FramesTicket>,
    /// How many frames were written for it.
    pub(super) written: usize,
}

impl Home {
    /// What somebody hears who comes: that it is in, and what it asked for of the past.
    pub(super) fn missed<A: Actor>(
        &self,
        format: Format,
        since: Since,
        is_all: bool,
        past: &mut Past,
        cx: &mut Context<'_, A>,
    ) -> Result<Missed, Exhausted> {
        let (count, recovered) = match since {
            Since::Last(_) if !is_all => (0, false),
            Since::Last(count) => (count as usize, true),
            Since::Number { epoch, seq } if epoch == self.epoch => match self.log.after(seq, self.seq) {
                Some(entries) => (entries.count(), true),
                None => (usize::MAX, false),
            },
            Since::Number { .. } => (usize::MAX, false),
        };
        // The number before those that follow: who is cut off in the middle of them asks for them again by it.
        let seq = self.seq - self.log.last(count).count() as u64;
        let mut missed = Missed::default();
        if format == Format::Json {
            let mut joined = Vec::new();
            envelope::joined(&mut joined, self.room.name(), self.epoch, seq, recovered, self.members());
            let mut frames = cx.frame_writer(joined.len() + FRAME_HEADER_BYTES_MAX)?;
            frames.push(Kind::Text, &[&joined]).expect("it was made with room for it");
            missed.joined = cx.freeze(frames, 1).next();
            missed.written = 1;
        }
        if seq < self.seq {
            let of = Of { epoch: self.epoch, first: seq + 1, last: self.seq, format };
            missed.past = past.again(&self.room, of);
            if missed.past.is_none() {
                missed.past = self.write_past(of, past, cx)?;
                missed.written += (self.seq - seq) as usize;
            }
        }
        Ok(missed)
    }

    fn write_past<A: Actor>(
        &self,
        of: Of,
        past: &mut Past,
        cx: &mut Context<'_, A>,
    ) -> Result<Option<FramesTicket>, Exhausted> {
        let entries = self.log.last((of.last + 1 - of.first) as usize);
        let payloads: Vec<_> = entries.map(|entry| entry.heard(self.room.name(), of.format)).collect();
        let bytes = payloads.iter().map(|(_, payload)| payload.len() + FRAME_HEADER_BYTES_MAX).sum();
        let mut frames = cx.frame_writer(bytes)?;
        for (kind, payload) in &payloads {
            frames.push(*kind, &[payload]).expect("it was made with room for all");
        }
        cx.count("rooms.pasts_written", 1);
        let mut tickets = cx.freeze(frames, TICKETS);
        let ticket = tickets.next();
        past.keep(&self.room, of, tickets);
        Ok(ticket)
    }
}
