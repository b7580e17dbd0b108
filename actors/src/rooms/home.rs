//! A room at home: its order, what it remembers, who is in it, and which shards have members.
//!
//! It does the same little work for each message however many members hear it: it writes the frames once and hands each
//! shard with members a ticket. What a shard does with it is its [`Relay`](super::relay)'s.

use super::Room;
use super::enter::{Format, RoomError};
use super::envelope::{self, What, plain_of};
use super::item::{Entry, Item, Said, Since};
use super::line::Line;
use super::log::{Entry as LogEntry, Log};
use super::note::{Body, Note};
use super::people::People;
use super::rules::{RoomRules, SlowRule};
use crate::packets::Packets;
use corewire::actor::{Actor, ActorId, Context, Priority};
use corewire::buf::Exhausted;
use corewire::connection::{FRAME_HEADER_BYTES_MAX, FrameWriter, Frames, FramesTicket, Message};
use corewire::shard::{ShardId, Time};
use corewire::wire::Kind;
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// All that the room's home shard knows of it.
#[derive(Debug)]
pub(super) struct Home {
    room: Room,
    rules: RoomRules,
    /// Which life of the room this is: numbers of another mean nothing.
    epoch: u64,
    /// The number of the last message.
    seq: u64,
    /// Said, and not yet in the order.
    pending: Vec<Note>,
    pending_bytes: usize,
    log: Log,
    lines: Vec<Line>,
    members: HashMap<ActorId, Guest>,
    pub(super) people: People,
    /// Whose clients are not read from, because members are behind.
    held: HashSet<ActorId>,
    /// It is among those that are to be sealed; and among those that are to be told of again later.
    pub(super) is_listed: bool,
    pub(super) is_later: bool,
}

/// A member, as its room's home sees it.
#[derive(Debug)]
struct Guest {
    /// Which of its entries.
    entry: u64,
    format: Format,
    name: Option<Arc<str>>,
}

/// What became of a note.
pub(super) enum Taken {
    /// It will be said.
    Yes,
    /// And its author is to be read from no more until members have caught up.
    Hold,
    /// It is not said.
    No(Note, RoomError),
}

impl Home {
    pub(super) fn new(room: Room, rules: RoomRules, epoch: u64) -> Self {
        Self {
            room,
            rules,
            epoch,
            seq: 0,
            pending: Vec::new(),
            pending_bytes: 0,
            log: Log::default(),
            lines: Vec::new(),
            members: HashMap::new(),
            people: People::default(),
            held: HashSet::new(),
            is_listed: false,
            is_later: false,
        }
    }

    /// Whether it can be forgotten: nobody is in it, and there is nothing to remember.
    pub(super) fn is_over(&self) -> bool {
        self.lines.is_empty()
            && self.pending.is_empty()
            && self.log.is_empty()
            && !self.is_listed
            && !self.is_later
    }

    pub(super) fn members(&self) -> usize {
        self.members.len()
    }

    /// Forgets what is too old.
    pub(super) fn trim(&mut self, now: Time) {
        self.log.trim(&self.rules, now);
    }

    /// Forgets all that was said.
    pub(super) fn forget(&mut self) {
        self.log = Log::default();
    }

    /// How much it remembers, in bytes.
    pub(super) fn remembered_bytes(&self) -> usize {
        self.log.bytes()
    }

    // ---- who is in it ----

    /// Somebody comes. What it missed goes ahead of what is said from now on. Returns how many frames that were.
    pub(super) fn enter<A: Actor>(
        &mut self,
        from: ShardId,
        who: ActorId,
        Entry { entry, name, format, since }: Entry,
        packets: &mut Packets<Item>,
        cx: &mut Context<'_, A>,
    ) -> usize {
        self.go(who); // of a former life of its shard's rooms
        *self.line(from).count(format) += 1;
        self.people.come(name.as_ref());
        self.members.insert(who, Guest { entry, format, name });
        let (frames, count) = match self.missed(format, since, true, cx) {
            Ok(missed) => missed,
            Err(exhausted) => {
                tracing::warn!(room = self.room.name(), %exhausted, "no memory for what a member has missed");
                // It is told that it has missed something, if there is memory for that.
                self.missed(format, Since::Last(0), false, cx).unwrap_or_default()
            }
        };
        packets.push(from, Item::Entered { room: self.room.clone(), who, entry, seq: self.seq, frames });
        count
    }

    /// Somebody has gone. False if that entry is not known: it was refused, or is over.
    pub(super) fn exit(&mut self, who: ActorId, entry: u64, packets: &mut Packets<Item>) -> bool {
        if self.members.get(&who).is_none_or(|guest| guest.entry != entry) {
            return false;
        }
        let was_behind = self.go(who);
        self.caught_up_after(was_behind, packets);
        true
    }

    /// Takes a member out. Returns whether that ends a shard's being behind.
    fn go(&mut self, who: ActorId) -> bool {
        let Some(guest) = self.members.remove(&who) else { return false };
        self.people.go(guest.name.as_ref());
        let Some(at) = self.lines.iter().position(|line| line.shard == who.shard()) else { return false };
        let line = &mut self.lines[at];
        *line.count(guest.format) -= 1;
        line.plain + line.json == 0 && self.lines.swap_remove(at).behind
    }

    /// A shard's rooms have gone with all their members.
    pub(super) fn lose(&mut self, shard: ShardId, packets: &mut Packets<Item>) {
        let lost: Vec<ActorId> = self.members.keys().copied().filter(|who| who.shard() == shard).collect();
        let mut was_behind = false;
        for who in lost {
            was_behind |= self.go(who);
        }
        self.held.retain(|who| who.shard() != shard);
        self.caught_up_after(was_behind, packets);
    }

    fn line(&mut self, shard: ShardId) -> &mut Line {
        let at = self.lines.iter().position(|line| line.shard == shard).unwrap_or_else(|| {
            self.lines.push(Line::new(shard));
            self.lines.len() - 1
        });
        &mut self.lines[at]
    }

    /// What somebody hears who comes: that it is in, and what it asked for of the past. And how many frames that is.
    fn missed<A: Actor>(
        &self,
        format: Format,
        since: Since,
        is_all: bool,
        cx: &mut Context<'_, A>,
    ) -> Result<(Option<FramesTicket>, usize), Exhausted> {
        let (count, recovered) = match since {
            Since::Last(_) if !is_all => (0, false),
            Since::Last(count) => (count as usize, true),
            Since::Number { epoch, seq } if epoch == self.epoch => match self.log.after(seq, self.seq) {
                Some(entries) => (entries.count(), true),
                None => (usize::MAX, false),
            },
            Since::Number { .. } => (usize::MAX, false),
        };
        let mut payloads: Vec<(Kind, Vec<u8>)> = Vec::new();
        if format == Format::Json {
            let mut joined = Vec::new();
            // The number before those that follow: who is cut off in the middle of them asks for them again by it.
            let seq = self.seq - self.log.last(count).count() as u64;
            envelope::joined(&mut joined, self.room.name(), self.epoch, seq, recovered, self.members());
            payloads.push((Kind::Text, joined));
        }
        for entry in self.log.last(count) {
            let (kind, plain) = entry.plain();
            payloads.push(match format {
                Format::Plain => (kind, plain.to_vec()),
                Format::Json => {
                    let mut json = Vec::new();
                    entry.write_json(self.room.name(), &mut json);
                    (Kind::Text, json)
                }
            });
        }
        if payloads.is_empty() {
            return Ok((None, 0));
        }
        let bytes = payloads.iter().map(|(_, payload)| payload.len() + FRAME_HEADER_BYTES_MAX).sum();
        let mut frames = cx.frame_writer(bytes)?;
        for (kind, payload) in &payloads {
            frames.push(*kind, &[payload]).expect("it was made with room for all");
        }
        Ok((cx.freeze(frames, 1).next(), payloads.len()))
    }

    /// Tells members who has come and gone, if somebody wants to know. False: not yet, since memory or the way is short.
    pub(super) fn tell_presence<A: Actor>(
        &mut self,
        packets: &mut Packets<Item>,
        cx: &mut Context<'_, A>,
    ) -> bool {
        let is_wanted = |line: &&Line| line.json > 0 && self.rules.presence;
        let listeners = self.lines.iter().filter(is_wanted).count();
        if listeners > 0 {
            if self.lines.iter().filter(is_wanted).any(|line| packets.waiting(line.shard) >= ASIDE_MAX) {
                return false;
            }
            let mut payload = Vec::new();
            self.people.write_changes(&mut payload, self.room.name(), self.members());
            let Some(tickets) = one_frame(&payload, listeners, cx) else { return false };
            for (line, frames) in self.lines.iter().filter(is_wanted).zip(tickets) {
                packets.push(line.shard, Item::Aside { room: self.room.clone(), frames });
            }
        }
        self.people.told();
        true
    }

    /// Tells one member who is there.
    pub(super) fn tell_who<A: Actor>(
        &self,
        from: ShardId,
        who: ActorId,
        format: Format,
        packets: &mut Packets<Item>,
        cx: &mut Context<'_, A>,
    ) {
        let mut payload = Vec::new();
        self.people.write_all(&mut payload, self.room.name(), self.members(), format);
        if let Some(frames) = one_frame(&payload, 1, cx).and_then(|mut tickets| tickets.next()) {
            packets.push(from, Item::Answer { room: self.room.clone(), who, frames });
        }
    }

    // ---- what is said ----

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
    pub(super) fn take(&mut self, note: Note) -> Taken {
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
        self.pending.push(note);
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
    pub(super) fn seal<A: Actor>(
        &mut self,
        now_ms: u64,
        scratch: &mut Vec<u8>,
        packets: &mut Packets<Item>,
        cx: &mut Context<'_, A>,
    ) -> bool {
        let (frames_max, bytes_max) = self.rules.batch_max();
        let mut notes = std::mem::take(&mut self.pending);
        let mut left = notes.drain(..).peekable();
        let mut batch: Vec<Note> = Vec::new();
        let mut is_whole = true;
        while self.may_say()
            && let Some(note) = left.next()
        {
            self.pending_bytes -= note.len();
            let mut bytes = note.len();
            let priority = note.priority;
            batch.push(note);
            while let Some(next) = left.next_if(|next| {
                next.priority == priority
                    && bytes + next.len() <= bytes_max
                    && batch.len() < frames_max as usize
            }) {
                self.pending_bytes -= next.len();
                bytes += next.len();
                batch.push(next);
            }
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
                    continue;
                }
                self.pending.append(&mut batch);
                is_whole = false;
                break;
            }
        }
        self.pending.extend(left.by_ref()); // what may not be said yet
        drop(left);
        if self.pending.is_empty() {
            self.pending = notes; // its room
            self.let_go(packets);
        } else {
            self.pending_bytes = self.pending.iter().map(Note::len).sum();
        }
        is_whole
    }

    /// Writes a batch, once for each format that somebody hears, and sends it off. What could not be written is left in it.
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
        let plain = if plain_lines > 0 || remembers { Some(self.write_plain(batch, cx)?) } else { None };
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
        let mut plain = plain.map(|frames| cx.freeze(frames, plain_lines as u16 + u16::from(remembers)));
        let mut json = json.map(|frames| cx.freeze(frames, json_lines as u16));
        if remembers && let Some(ticket) = plain.as_mut().and_then(Iterator::next) {
            self.remember(ticket.open(), first, now_ms, cx.now(), batch);
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
        Ok(())
    }

    fn write_json<A: Actor>(
        &self,
        batch: &[Note],
        at_ms: u64,
        scratch: &mut Vec<u8>,
        cx: &mut Context<'_, A>,
    ) -> Result<FrameWriter, Exhausted> {
        scratch.clear();
        let mut ends = Vec::with_capacity(batch.len());
        for (seq, note) in (self.seq + 1..).zip(batch) {
            let (from, id) = (note.from.as_deref(), note.id.as_deref());
            envelope::Said { room: self.room.name(), seq, from, id, at_ms, what: What::of(&note.body) }
                .write(scratch);
            ends.push(scratch.len());
        }
        let mut frames = cx.frame_writer(scratch.len() + batch.len() * FRAME_HEADER_BYTES_MAX)?;
        let mut begin = 0;
        for end in ends {
            frames.push(Kind::Text, &[&scratch[begin..end]]).expect("it was made with room for all");
            begin = end;
        }
        Ok(frames)
    }

    fn write_plain<A: Actor>(
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

    fn remember(&mut self, frames: Frames, first: u64, at_ms: u64, at: Time, batch: &mut [Note]) {
        for (index, note) in batch.iter_mut().enumerate() {
            // Of a string only the text is kept; any other value is kept as it is written.
            let is_json =
                matches!(&note.body, Body::Json(json) if matches!(plain_of(json), Cow::Borrowed(_)));
            let entry = LogEntry {
                seq: first + index as u64,
                at,
                at_ms,
                from: note.from.take(),
                id: note.id.take(),
                is_json,
                frame: frames.slice(index..index + 1),
            };
            self.log.push(entry, &self.rules);
        }
    }

    /// All members of a shard have heard up to `seq`. Returns whether what waits can go on.
    pub(super) fn heard(&mut self, from: ShardId, seq: u64, packets: &mut Packets<Item>) -> bool {
        let Some(line) = self.lines.iter_mut().find(|line| line.shard == from) else { return false };
        line.heard(seq);
        line.pump(&self.rules, packets);
        !self.pending.is_empty() && self.may_say()
    }

    /// Members of a shard are far behind, or none is any more. Returns whether what waits can go on.
    pub(super) fn behind(&mut self, from: ShardId, on: bool, packets: &mut Packets<Item>) -> bool {
        let Some(line) = self.lines.iter_mut().find(|line| line.shard == from) else { return false };
        let was = std::mem::replace(&mut line.behind, on);
        self.caught_up_after(was && !on, packets)
    }

    /// Members of a shard have caught up, or gone. Returns whether what waits can go on.
    fn caught_up_after(&mut self, was_behind: bool, packets: &mut Packets<Item>) -> bool {
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
pub(super) fn not_said<A: Actor>(
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

fn one_frame<A: Actor>(
    payload: &[u8],
    tickets: usize,
    cx: &mut Context<'_, A>,
) -> Option<impl Iterator<Item = FramesTicket> + use<A>> {
    let mut frames = cx.frame_writer(payload.len() + FRAME_HEADER_BYTES_MAX).ok()?;
    frames.push(Kind::Text, &[payload]).expect("it was made with this much room");
    Some(cx.freeze(frames, tickets as u16))
}

/// No longer note is said: six times as much, which its JSON may be, is still one block.
const NOTE_BYTES_MAX: usize = 8 << 20;
/// Who comes and goes waits while so many items wait for a shard.
const ASIDE_MAX: usize = 1024;
/// A message of more than this is not copied but goes as it came.
const MOVED_BYTES_MIN: usize = 16 << 10;
