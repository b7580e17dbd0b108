//! What an actor is while it is on its way from one shard to another: nothing in it is of a shard.

use super::address::ActorId;
use super::cell::Cell;
use super::context::TimerId;
use super::envelope::Envelope;
use super::local::Every;
use crate::shard::{ShardId, SocketId, Time};
use std::any::Any;
use std::num::NonZeroU64;

/// A cell, packed: it may change threads.
pub(crate) trait Packed: Send {
    /// The cell again, with its socket as the shard numbers it where it is unpacked. `house`: what that shard has for all cells
    /// of its kind, which both rooms that it comes from and goes to know.
    fn unpack(self: Box<Self>, socket: SocketId, house: &dyn Any) -> Box<dyn Cell>;
}

/// An actor on its way, with all that waits for it and all that it has set.
pub(crate) struct Baggage {
    /// Its address, for all its life.
    pub(crate) birth: ActorId,
    pub(crate) cell: Box<dyn Packed>,
    /// By priority, each in the order in which it came.
    pub(crate) mail: Vec<Envelope>,
    pub(crate) timers: Vec<PackedTimer>,
    pub(crate) from: ShardId,
}

/// A timer of its.
pub(crate) struct PackedTimer {
    /// What it knows it by.
    pub(crate) id: TimerId,
    pub(crate) due: Time,
    pub(crate) envelope: Option<Envelope>,
    pub(crate) every: Option<Box<Every>>,
}

/// Marks the number of one who lives here and was born elsewhere: known to its shard only, which knows its address.
const GUEST: u64 = 1 << 62;

impl ActorId {
    /// The number of a guest in this slot.
    pub(crate) fn guest(self) -> Self {
        Self { generation: self.generation | GUEST, ..self }
    }

    /// Whether it is the number of somebody who was born on another shard.
    #[inline]
    pub(crate) fn is_guest(self) -> bool {
        self.generation.get() & GUEST != 0
    }
}

const _: () = assert!(GUEST < u64::MAX / 2 && NonZeroU64::new(GUEST).is_some());
