//! Who is in which room, who sends there, and what everybody has heard.

use crate::error::Fault;
use std::ops::Range;

/// All rooms. Members are the connections from 0 on, dealt out in turn; senders that are no members come after them.
pub(crate) struct Rooms {
    pub(crate) all: Vec<Room>,
    pub(crate) members: usize,
}

/// One room: its sender, and its messages that have not come to every member.
pub(crate) struct Room {
    pub(crate) members: usize,
    pub(crate) sender: usize,
    /// Messages so far.
    pub(crate) sent: u64,
    /// Messages that every member has.
    pub(crate) heard: u64,
    /// By message, round: when it was sent, and how many members still wait for it.
    outstanding: Vec<(u64, usize)>,
}

impl Rooms {
    pub(crate) fn new(rooms: usize, members: usize, outstanding: usize, members_send: bool) -> Self {
        let room = |index: usize| Room {
            members: (members - index).div_ceil(rooms),
            sender: if members_send { index } else { members + index },
            sent: 0,
            heard: 0,
            outstanding: vec![(0, 0); outstanding],
        };
        Self { all: (0..rooms).map(room).collect(), members }
    }

    pub(crate) fn is_member(&self, connection: usize) -> bool {
        connection < self.members
    }

    /// The room of a connection, be it a member or a sender.
    pub(crate) fn room_of(&self, connection: usize) -> usize {
        if self.is_member(connection) { connection % self.all.len() } else { connection - self.members }
    }
}

impl Room {
    /// How many messages may be sent now.
    pub(crate) fn may_send(&self) -> usize {
        self.outstanding.len() - (self.sent - self.heard) as usize
    }

    /// `count` messages are sent.
    pub(crate) fn send(&mut self, now: u64, count: usize) {
        for _ in 0..count {
            let slot = self.slot(self.sent);
            self.outstanding[slot] = (now, self.members);
            self.sent += 1;
        }
    }

    /// A member has got these messages; tells when each was sent.
    pub(crate) fn deliver(&mut self, messages: Range<u64>, mut each: impl FnMut(u64)) -> Result<(), Fault> {
        if messages.end > self.sent {
            return Err(Fault::Unasked { message: self.sent + 1 });
        }
        for message in messages {
            let slot = self.slot(message);
            let (sent_at, waiting) = &mut self.outstanding[slot];
            each(*sent_at);
            *waiting -= 1;
        }
        while self.heard < self.sent && self.outstanding[self.slot(self.heard)].1 == 0 {
            self.heard += 1;
        }
        Ok(())
    }

    fn slot(&self, message: u64) -> usize {
        (message % self.outstanding.len() as u64) as usize
    }
}
