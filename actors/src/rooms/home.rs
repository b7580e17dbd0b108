//! A room at home: its order, what it remembers, who is in it, and which shards have members.
//!
//! It does the same little work for each message however many members hear it: it writes the frames once and hands each
//! shard with members a ticket. What a shard does with it is its [`Relay`](super::relay)'s.
//!
//! - here: what there is, and who is in it
//! - `said`: the order, and the way to those who hear it; `write`: how it is written
//! - `missed`: the past, for who comes, and `past`: the same for the next; `presence`: telling who comes and goes

mod missed;
mod past;
mod presence;
mod said;
mod write;

pub(super) use past::Past;
pub(super) use said::{Taken, not_said};

use super::Room;
use super::enter::Format;
use super::item::{Entry, Item, Since};
use super::line::Line;
use super::log::Log;
use super::note::Note;
use super::people::People;
use super::rules::RoomRules;
use crate::packets::Packets;
use corewire::actor::{Actor, ActorId, Context};
use corewire::shard::{ShardId, Time};
use std::collections::{HashMap, HashSet, VecDeque};
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
    pending: VecDeque<Note>,
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

impl Home {
    pub(super) fn new(room: Room, rules: RoomRules, epoch: u64) -> Self {
        Self {
            room,
            rules,
            epoch,
            seq: 0,
            pending: VecDeque::new(),
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

    /// Somebody comes. What it missed goes ahead of what is said from now on. Returns how many frames were written.
    pub(super) fn enter<A: Actor>(
        &mut self,
        from: ShardId,
        who: ActorId,
        Entry { entry, name, format, since }: Entry,
        past: &mut Past,
        packets: &mut Packets<Item>,
        cx: &mut Context<'_, A>,
    ) -> usize {
        self.go(who); // of a former life of its shard's rooms
        *self.line(from).count(format) += 1;
        self.people.come(name.as_ref());
        self.members.insert(who, Guest { entry, format, name });
        let missed = match self.missed(format, since, true, past, cx) {
            Ok(missed) => missed,
            Err(exhausted) => {
                tracing::warn!(room = self.room.name(), %exhausted, "no memory for what a member has missed");
                // It is told that it has missed something, if there is memory for that.
                self.missed(format, Since::Last(0), false, past, cx).unwrap_or_default()
            }
        };
        let (room, joined, past) = (self.room.clone(), missed.joined, missed.past);
        packets.push(from, Item::Entered { room, who, entry, seq: self.seq, joined, past });
        missed.written
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
}
