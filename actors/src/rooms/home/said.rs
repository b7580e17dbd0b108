//! What is said in a room: taken, numbered, sent to who hears it, remembered.
//!
//! Does not know: how it is written, or what becomes of it on the shards of members.

use super::Home;
use crate::packets::Packets;
use crate::rooms::Room;
use crate::rooms::enter::{Format, RoomError};
use crate::rooms::envelope::plain_of;
use crate::rooms::item::{Item, Said};
use crate::rooms::line::Line;
use crate::rooms::log::Entry as LogEntry;
use crate::rooms::note::{Body, Note};
use crate::rooms::rules::SlowRule;
use corewire::actor::{Actor, Context, Priority};
use corewire::buf::Exhausted;
use corewire::connection::{FrameWriter, Frames};
use corewire::shard::ShardId;
use std::borrow::Cow;
use std::sync::Arc;

/// What became of a note.
pub(in crate::rooms) enum Taken {
    /// It will be said.
    Yes,
    /// And its author is to be read from no more until members have caught up.
    Hold,
    /// It is not said.
    No(Note, RoomError),
}

impl Home {
    /// Whether what is said must wait for members that are far behind.
    fn is_choked(&self) -> bool {
        self.lines.iter().any(|line| line.behind)
    }

    /// Whether more can be numbered: where publishers wait for members, the next batch goes when the last is heard.
    fn may_say(&self) -> bool {
        let is_patient = matches!(self.rules.slow, SlowRule::Pause(_));
        !is_patient || !self.is_choked() && self.lines.iter().all(Line::is_idle)
    }

    /// Takes what is to be said next.
    pub(in crate::rooms) fn take(&mut self, note: Note) -> Taken {
        if note.len() > NOTE_BYTES_MAX {
            return Taken::No(note, RoomError::TooLarge);
        }
        let is_full = self.pending.len() as u32 >= self.rules.backlog_frames
            || self.pending_bytes + note.len() > self.rules.backlog_bytes && !self.pending.is_empty();
        if is_full {
            return Taken::No(note, RoomError::Busy);
        }
        let author = note.author;
        self.pending_bytes += note.len();
        self.pending.push_back(note);
        match author {
            Some(author)
                if (self.is_choked() || self.pending.len() as u32 >= self.rules.backlog_frames / 4)
                    && self.held.insert(author) =>
            {
                Taken::Hold
            }
            _ => Taken::Yes,
        }
    }

    /// Gives all that was taken its numbers, and sends it to whoever has members. False: memory is short, and some is left.
    pub(in crate::rooms) fn seal<A: Actor>(
        &mut self,
        now_ms: u64,
        scratch: &mut Vec<u8>,
        packets: &mut Packets<Item>,
        cx: &mut Context<'_, A>,
    ) -> bool {
        let (frames_max, bytes_max) = self.rules.batch_max();
        let mut batch: Vec<Note> = Vec::new();
        let mut is_whole = true;
        while is_whole && self.may_say() && !self.pending.is_empty() {
            let count = self.next_batch(frames_max, bytes_max);
            batch.extend(self.pending.drain(..count));
            self.pending_bytes -= batch.iter().map(Note::len).sum::<usize>();
            if let Err(exhausted) = self.say(&mut batch, now_ms, scratch, packets, cx) {
                // What can never be had is not waited for.
                let is_hopeless = match exhausted {
                    Exhausted::Quota { asked_bytes, limit_bytes, .. } => asked_bytes > limit_bytes / 2,
                    Exhausted::TooLarge { .. } => true,
                    _ => false,
                };
                tracing::warn!(room = self.room.name(), %exhausted, is_hopeless, "no memory for what is said in a room");
                if is_hopeless {
                    for note in batch.drain(..) {
                        not_said(&self.room, note, RoomError::TooLarge, packets, cx);
                    }
                }
                is_whole = is_hopeless;
            }
            for note in batch.drain(..).rev() {
                self.pending_bytes += note.len();
                self.pending.push_front(note);
            }
        }
        if self.pending.is_empty() {
            self.let_go(packets);
        }
        is_whole
    }

    /// How many of those that wait go together: of one priority, and not too many.
    fn next_batch(&self, frames_max: u32, bytes_max: usize) -> usize {
        let priority = self.pending.front().map(|note| note.priority);
        let mut bytes = 0;
        let goes = |note: &&Note| {
            bytes += note.len();
            Some(note.priority) == priority && bytes <= bytes_max
        };
        self.pending.iter().take(frames_max.max(1) as usize).take_while(goes).count().max(1)
    }

    /// Writes a batch, once for each format that somebody hears, and sends it off. What could not be written is left in it, and
    /// what turned out to be too much to go together.
    fn say<A: Actor>(
        &mut self,
        batch: &mut Vec<Note>,
        now_ms: u64,
        scratch: &mut Vec<u8>,
        packets: &mut Packets<Item>,
        cx: &mut Context<'_, A>,
    ) -> Result<(), Exhausted> {
        let remembers = self.rules.history_frames > 0;
        let json_lines = self.lines.iter().filter(|line| line.json > 0).count();
        let plain_lines = self.lines.iter().filter(|line| line.plain > 0).count();
        let json = if json_lines > 0 { Some(self.write_json(batch, now_ms, scratch, cx)?) } else { None };
        let mut rest = json.as_ref().map_or_else(Vec::new, |json| batch.split_off(json.len()));
        let mut plain = Ok(None);
        // What is remembered is what somebody hears; plain only if nobody does.
        if plain_lines > 0 || remembers && json.is_none() {
            plain = self.write_plain(batch, cx).map(Some);
        }
        let plain = match plain {
            Ok(plain) => plain,
            Err(exhausted) => {
                batch.append(&mut rest);
                return Err(exhausted);
            }
        };
        let count = batch.len() as u32;
        let bytes =
            json.as_ref().map_or(0, FrameWriter::bytes).max(plain.as_ref().map_or(0, FrameWriter::bytes));
        let priority = batch.first().map_or(Priority::Normal, |note| note.priority);
        let keys: Arc<[Option<u64>]> = if batch.iter().any(|note| note.key.is_some()) {
            batch.iter().map(|note| note.key).collect()
        } else {
            Arc::default()
        };
        let first = self.seq + 1;
        self.seq += u64::from(count);
        let format = if plain.is_some() { Format::Plain } else { Format::Json };
        let kept = |is_it: bool| u16::from(remembers && is_it);
        let tickets = plain_lines as u16 + kept(format == Format::Plain);
        let mut plain = plain.map(|frames| cx.freeze(frames, tickets));
        let tickets = json_lines as u16 + kept(format == Format::Json);
        let mut json = json.map(|frames| cx.freeze(frames, tickets));
        if remembers && let Some(ticket) = plain.as_mut().or(json.as_mut()).and_then(Iterator::next) {
            self.remember(ticket.open(), format, first, now_ms, batch, cx);
        }
        batch.clear();
        for line in &mut self.lines {
            let said = Said {
                room: self.room.clone(),
                first,
                count,
                bytes,
                priority,
                keys: keys.clone(),
                plain: if line.plain > 0 { plain.as_mut().and_then(Iterator::next) } else { None },
                json: if line.json > 0 { json.as_mut().and_then(Iterator::next) } else { None },
            };
            line.say(Box::new(said), &self.rules, packets, cx);
        }
        batch.append(&mut rest);
        Ok(())
    }

    /// Keeps as much of it as the rules say. Where that is not all of it, it is copied, so that the rest is not kept with it.
    fn remember<A: Actor>(
        &mut self,
        frames: Frames,
        format: Format,
        first: u64,
        at_ms: u64,
        batch: &mut [Note],
        cx: &mut Context<'_, A>,
    ) {
        let (mut forgotten, mut bytes) = (frames.len(), 0);
        while forgotten > 0 && frames.len() - forgotten < self.rules.history_frames as usize {
            bytes += frames.slice(forgotten - 1..forgotten).bytes();
            if bytes > self.rules.history_bytes {
                break;
            }
            forgotten -= 1;
        }
        let mut kept = frames.slice(forgotten..frames.len());
        if forgotten > 0 {
            self.forget();
            match copy_of(&kept, cx) {
                Some(copy) => kept = copy,
                None => return, // or no memory; then nothing is remembered
            }
        }
        let bytes = kept.bytes();
        for (index, note) in batch[forgotten..].iter_mut().enumerate() {
            // Of a string only the text is kept; any other value is kept as it is written.
            let is_json =
                matches!(&note.body, Body::Json(json) if matches!(plain_of(json), Cow::Borrowed(_)));
            let is_last = index + 1 == kept.len();
            let entry = LogEntry {
                seq: first + (forgotten + index) as u64,
                at: cx.now(),
                at_ms,
                from: note.from.take(),
                id: note.id.take(),
                is_json,
                frame: kept.slice(index..index + 1),
                format,
                bytes: if is_last { bytes } else { 0 },
            };
            self.log.push(entry, &self.rules);
        }
    }

    /// All members of a shard have heard up to `seq`. Returns whether what waits can go on.
    pub(in crate::rooms) fn heard(&mut self, from: ShardId, seq: u64, packets: &mut Packets<Item>) -> bool {
        let Some(line) = self.lines.iter_mut().find(|line| line.shard == from) else { return false };
        line.heard(seq);
        line.pump(&self.rules, packets);
        !self.pending.is_empty() && self.may_say()
    }

    /// Members of a shard are far behind, or none is any more. Returns whether what waits can go on.
    pub(in crate::rooms) fn behind(&mut self, from: ShardId, on: bool, packets: &mut Packets<Item>) -> bool {
        let Some(line) = self.lines.iter_mut().find(|line| line.shard == from) else { return false };
        let was = std::mem::replace(&mut line.behind, on);
        self.caught_up_after(was && !on, packets)
    }

    /// Members of a shard have caught up, or gone. Returns whether what waits can go on.
    pub(super) fn caught_up_after(&mut self, was_behind: bool, packets: &mut Packets<Item>) -> bool {
        let can_go_on = was_behind && !self.is_choked();
        if can_go_on && self.pending.is_empty() {
            self.let_go(packets);
        }
        can_go_on
    }

    /// Lets those be read from again that were held.
    fn let_go(&mut self, packets: &mut Packets<Item>) {
        if !self.is_choked() {
            for who in self.held.drain() {
                packets.push(who.shard(), Item::Hold { who, on: false });
            }
        }
    }
}

/// Tells its author that a note was not said, if somebody can be told.
pub(in crate::rooms) fn not_said<A: Actor>(
    room: &Room,
    note: Note,
    why: RoomError,
    packets: &mut Packets<Item>,
    cx: &mut Context<'_, A>,
) {
    cx.count("rooms.refused", 1);
    if let Some(who) = note.author {
        packets.push(who.shard(), Item::NotSaid { room: room.clone(), who, id: note.id, why });
    }
}

/// The same frames in a block of their own. None if they are none, or there is no memory.
fn copy_of<A: Actor>(frames: &Frames, cx: &mut Context<'_, A>) -> Option<Frames> {
    let mut copy = cx.frame_writer(frames.bytes()).ok().filter(|_| !frames.is_empty())?;
    for index in 0..frames.len() {
        let (kind, payload) = frames.message(index);
        copy.push(kind, &[payload]).expect("it is as long as they are");
    }
    Some(cx.freeze(copy, 1).next()?.open())
}

/// No longer note is said: six times as much, which its JSON may be, is still one block.
const NOTE_BYTES_MAX: usize = 8 << 20;
