//! What the rooms' shards say to each other: see [`Packets`](crate::packets).

use super::Room;
use super::enter::{Format, RoomError};
use super::note::Note;
use corewire::actor::{ActorId, Priority};
use corewire::connection::FramesTicket;
use std::sync::Arc;

/// One thing that a relay says to a home, or a home to a relay.
#[expect(unnameable_types, reason = "what shards say to each other is nobody else's")]
#[derive(Debug)]
pub enum Item {
    // ---- from a relay to the home ----
    /// Somebody is about to be a member there. The first makes that shard a relay.
    Enter { room: Room, who: ActorId, entry: Entry },
    /// Is not one any more.
    Exit { room: Room, who: ActorId, entry: u64 },
    /// All its members have heard up to this number.
    Heard { room: Room, seq: u64 },
    /// Members are far behind, or none is any more: see [`SlowRule::Pause`](super::SlowRule::Pause).
    Behind { room: Room, on: bool },
    /// Somebody of that shard says something.
    Say { room: Room, note: Note },
    /// A member wants to know who is there.
    Who { room: Room, who: ActorId, format: Format },

    // ---- from the home to a relay ----
    /// A member is in, is told so, and has heard up to `seq` with the past.
    Entered {
        room: Room,
        who: ActorId,
        entry: u64,
        seq: u64,
        joined: Option<FramesTicket>,
        past: Option<FramesTicket>,
    },
    /// It cannot be.
    Refused { room: Room, who: ActorId, entry: u64 },
    /// Said in the room.
    Said(Box<Said>),
    /// To members of [`Format::Json`], outside of the order: who comes and goes.
    Aside { room: Room, frames: FramesTicket },
    /// To one member.
    Answer { room: Room, who: ActorId, frames: FramesTicket },

    // ---- to the shard of who publishes ----
    /// Read nothing of it, or again.
    Hold { who: ActorId, on: bool },
    /// What it published was not said: there was no room for it.
    NotSaid { room: Room, who: ActorId, id: Option<Box<str>>, why: RoomError },
}

/// Messages in the room's order, all of one priority.
#[expect(unnameable_types, reason = "what shards say to each other is nobody else's")]
#[derive(Debug)]
pub struct Said {
    pub(super) room: Room,
    /// The number of the first.
    pub(super) first: u64,
    pub(super) count: u32,
    pub(super) bytes: usize,
    pub(super) priority: Priority,
    /// Of each; none has one if it is empty.
    pub(super) keys: Arc<[Option<u64>]>,
    pub(super) plain: Option<FramesTicket>,
    pub(super) json: Option<FramesTicket>,
}

/// How somebody comes in.
#[expect(unnameable_types, reason = "what shards say to each other is nobody else's")]
#[derive(Debug)]
pub struct Entry {
    /// Its number, of its shard's: the answer carries it, so that an answer to an earlier one is known.
    pub(super) entry: u64,
    pub(super) name: Option<Arc<str>>,
    pub(super) format: Format,
    pub(super) since: Since,
}

/// What a new member wants to hear of the past.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Since {
    /// This many at most.
    Last(u32),
    /// All after this number of this epoch.
    Number { epoch: u64, seq: u64 },
}
