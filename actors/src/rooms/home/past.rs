//! The past of rooms as it was last written, for the next who comes: where thousands come back at once, it is written once for
//! many of them, also if each has heard a little more than the other.
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
    /// Once more what was written before, and how many of its frames are not meant.
    pub(super) fn again(&mut self, room: &Room, of: Of) -> Option<(FramesTicket, u64)> {
        let at = self.position(room, of).filter(|&at| self.written[at].of.first <= of.first)?;
        let Written { of: written, tickets, .. } = &mut self.written[at];
        let skipped = of.first - written.first;
        let ticket = tickets.next();
        if ticket.is_none() {
            self.written.remove(at);
        }
        ticket.map(|ticket| (ticket, skipped))
    }

    /// Whether the end of it was written of late, so that who comes now is one of several.
    pub(super) fn is_asked_for(&self, room: &Room, of: Of) -> bool {
        self.position(room, of).is_some()
    }

    fn position(&self, room: &Room, of: Of) -> Option<usize> {
        self.written
            .iter()
            .position(|written| Of { first: of.first, ..written.of } == of && written.room == *room)
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
