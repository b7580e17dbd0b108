//! The past of rooms as it was last written, for the next who comes from the same number: where thousands come back at once, it
//! is written once for many of them.
//!
//! Does not know: who comes, or what is remembered.

use crate::rooms::Room;
use crate::rooms::enter::Format;
use corewire::connection::{FramesTicket, FramesTickets};
use std::collections::VecDeque;

/// What was last written of a few rooms.
#[derive(Debug, Default)]
pub(in crate::rooms) struct Past {
    written: VecDeque<Written>,
}

/// These messages of a room, as often as there are tickets left.
#[derive(Debug)]
struct Written {
    room: Room,
    of: Of,
    tickets: FramesTickets,
}

/// Which messages, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Of {
    pub(super) epoch: u64,
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) format: Format,
}

impl Past {
    /// Once more what was written before.
    pub(super) fn again(&mut self, room: &Room, of: Of) -> Option<FramesTicket> {
        let at = self.written.iter().position(|written| written.of == of && written.room == *room)?;
        let ticket = self.written[at].tickets.next();
        if ticket.is_none() {
            self.written.remove(at);
        }
        ticket
    }

    /// Keeps what is left of what was just written.
    pub(super) fn keep(&mut self, room: &Room, of: Of, tickets: FramesTickets) {
        self.written.retain(|written| written.room != *room || written.of.format != of.format);
        if self.written.len() >= ROOMS_MAX {
            self.written.pop_front();
        }
        self.written.push_back(Written { room: room.clone(), of, tickets });
    }

    /// Keeps nothing more.
    pub(in crate::rooms) fn forget(&mut self) {
        self.written.clear();
    }
}

/// So often it can be taken.
pub(super) const TICKETS: u16 = 256;
/// Of so many rooms it is kept.
const ROOMS_MAX: usize = 16;
