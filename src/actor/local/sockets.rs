//! What actors have to send to their sockets, and what becomes of it.

use super::Local;
use super::slots::Sending;
use crate::actor::LOW_WAITS;
use crate::buf::Exhausted;
use crate::shard::{Outgoing, SocketId};

impl Local {
    /// The actor has something for its socket.
    #[inline]
    pub(crate) fn mark_dirty(&mut self, slot: u32) {
        let state = &mut self.slots[slot as usize].state;
        if state.sending != Sending::ThisTurn {
            state.sending = Sending::ThisTurn;
            self.dirty.push(slot);
        }
    }

    /// The actor has something for its socket that may wait: for more, for a turn with nothing else to do, and for
    /// [`LOW_WAITS`] turns at most.
    pub(crate) fn put_off(&mut self, slot: u32) {
        let state = &mut self.slots[slot as usize].state;
        if state.sending == Sending::Nothing {
            state.sending = Sending::PutOff;
            self.put_off.push(slot);
        }
    }

    /// What was put off is sent now, if nothing else is to be done or it has waited long enough.
    fn take_up(&mut self) {
        if !self.put_off.is_empty() {
            self.take_up_some();
        }
    }

    #[inline(never)]
    fn take_up_some(&mut self) {
        self.put_off_turns += 1;
        if self.put_off_turns < LOW_WAITS && self.has_work() {
            return;
        }
        self.put_off_turns = 0;
        let mut put_off = std::mem::take(&mut self.put_off);
        for slot in put_off.drain(..) {
            if self.slots[slot as usize].state.sending == Sending::PutOff {
                self.mark_dirty(slot); // else it went with what came later
            }
        }
        self.put_off = put_off;
    }

    /// The actor wants to be told when its next send is done, however it went.
    pub(crate) fn want_sent(&mut self, slot: u32) {
        self.slots[slot as usize].state.wants_sent = true;
    }

    /// Hands everything that actors have to send to `send`.
    pub(crate) fn flush(&mut self, mut send: impl FnMut(SocketId, Box<Outgoing>)) {
        self.take_up();
        let Self { dirty, slots, counters, awaits_sent, .. } = self;
        for slot in dirty.drain(..) {
            let entry = &mut slots[slot as usize];
            entry.state.sending = Sending::Nothing;
            if let Some((socket, outgoing)) = entry.cell.as_mut().and_then(|cell| cell.take_outgoing()) {
                counters.sends += 1;
                counters.bytes_out += outgoing.bytes() as u64;
                *awaits_sent |= entry.state.wants_sent;
                send(socket, outgoing);
            }
        }
    }

    /// What became of a send.
    pub(crate) fn sent(&mut self, slot: u32, outgoing: Box<Outgoing>, error: Option<std::io::Error>) {
        let state = &mut self.slots[slot as usize].state;
        if outgoing.is_empty() && error.is_none() && !state.wants_sent {
            self.put_outgoing(outgoing);
            return;
        }
        state.wants_sent = false;
        self.run(slot, |cell, local, me| cell.sent(outgoing, error, local, me));
    }

    /// An empty list of pieces, a used one if there is one.
    pub(crate) fn take_outgoing(&mut self) -> Box<Outgoing> {
        self.spare_outgoing.pop().unwrap_or_default()
    }

    /// Gives a list of pieces back, and what is left in it to the pool.
    pub(crate) fn put_outgoing(&mut self, mut outgoing: Box<Outgoing>) {
        outgoing.clear(&mut self.pool);
        if self.spare_outgoing.len() < SPARE_OUTGOING_MAX {
            self.spare_outgoing.push(outgoing);
        }
    }

    /// Memory could not be had. At the end of the turn the connection that holds the most lets go; unless it was asked
    /// for more than there ever is, which nobody else can help.
    pub(crate) fn memory_is_short(&mut self, why: Exhausted) {
        self.memory_short |= !matches!(why, Exhausted::TooLarge { .. });
    }

    /// If memory ran short: sheds the connection that holds the most.
    pub(crate) fn shed(&mut self) {
        if std::mem::take(&mut self.memory_short) {
            self.shed_largest();
        }
    }

    #[cold]
    fn shed_largest(&mut self) {
        let queued =
            |slot: &u32| self.slots[*slot as usize].cell.as_ref().map_or(0, |cell| cell.held_bytes());
        if let Some(largest) = self.slots().max_by_key(queued).filter(|slot| queued(slot) > 0) {
            self.counters.shed += 1;
            self.run(largest, |cell, local, me| cell.shed(local, me));
        }
    }
}

/// As many as a room hands out to in a turn, twice; 200 bytes each.
const SPARE_OUTGOING_MAX: usize = 4096;
