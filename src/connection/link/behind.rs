//! A client that is behind: what waits until it has taken what was sent before.
//!
//! Does not know: in which order that leaves, and what is dropped; that is [`Later`](crate::connection::later::Later)'s.

use super::{Link, Payload};
use crate::actor::local::Local;
use crate::actor::{ActorId, Priority, SendError};
use crate::connection::deliver::Delivered;
use crate::connection::frames::Frames;
use crate::connection::later::Terms;
use crate::shard::outgoing::{GATHER_BYTES_MAX, Marks};
use crate::wire::frame::{HEADER_BYTES_MAX, Header, Opcode, Rsv, encode_header};

impl Link {
    /// Whether a frame must wait behind others, or for the client.
    pub(super) fn must_wait(&self) -> bool {
        self.state.blocked || self.has_later()
    }

    fn has_later(&self) -> bool {
        self.behind.as_ref().is_some_and(|behind| !behind.later.is_empty())
    }

    /// Queues a frame of the session's own behind what waits.
    #[cold]
    pub(super) fn queue_later<'a>(
        &mut self,
        opcode: Opcode,
        priority: Priority,
        payload: Payload<'a>,
        local: &mut Local,
    ) -> Result<(), SendError<Payload<'a>>> {
        let payload_bytes = payload.as_bytes().len();
        let mut header = [0; HEADER_BYTES_MAX];
        let header_bytes = encode_header(
            &Header { fin: true, rsv: Rsv::NONE, opcode, key: None, payload_bytes: payload_bytes as u64 },
            &mut header,
        );
        let header = &header[..header_bytes];
        let later = &mut self.behind.get_or_insert_default().later;
        let mut payload = payload;
        // In a block that is received into it would keep that from everybody else.
        let whole = payload_bytes > GATHER_BYTES_MAX
            && match &mut payload {
                Payload::Owned(frame) => !frame.is_in_receive_block() && frame.prepend(header).is_ok(),
                Payload::Copied(_) => false,
            };
        match payload {
            Payload::Owned(frame) if whole => later.push_own_whole(priority, frame),
            payload => {
                if let Err(exhausted) =
                    later.push_own(priority, [header, payload.as_bytes()], &mut local.pool)
                {
                    local.memory_is_short(exhausted);
                    return Err(SendError::Full(payload));
                }
                if let Payload::Owned(payload) = payload {
                    local.pool.recycle(payload);
                }
            }
        }
        local.counters.messages_out += 1;
        Ok(())
    }

    /// Queues frames that go to many: all of them for this turn's send, or each on its terms if the client is behind.
    #[inline]
    pub(crate) fn queue_shared(
        &mut self,
        frames: &Frames,
        terms: &Terms<'_>,
        local: &mut Local,
        me: ActorId,
    ) -> Delivered {
        if self.machine.close_sent() {
            return Delivered::Gone;
        }
        if self.must_wait() || self.state.streaming || !self.is_soon(frames.bytes(), terms.priority) {
            return self.queue_shared_later(frames, terms, local, me);
        }
        let outgoing = self.outgoing.get_or_insert_with(|| local.take_outgoing());
        outgoing.mark(Marks::of(terms.room));
        outgoing.push_shared(frames.shared(), frames.span());
        let bytes = outgoing.bytes();
        local.counters.messages_out += frames.len() as u64;
        if terms.priority == Priority::Low && bytes <= self.put_off_bytes_max() {
            local.put_off(me.slot);
        } else {
            local.mark_dirty(me.slot);
        }
        Delivered::Sent
    }

    /// Whether what is queued now for this turn's send is soon enough on its way, even if that falls short. Of what is
    /// not of normal priority nothing may be cut off again, or the next of its priority would overtake it.
    #[inline]
    pub(super) fn is_soon(&self, bytes: usize, priority: Priority) -> bool {
        let queued = self.outgoing.as_ref().map_or(0, |outgoing| outgoing.bytes());
        match priority {
            Priority::Normal => queued < self.rules.send_queue_bytes_max / 2,
            _ => queued + bytes <= IN_FLIGHT_BYTES,
        }
    }

    /// So much may be put off, if it is of low priority: little enough that nobody has to be asked to read it meanwhile.
    pub(super) fn put_off_bytes_max(&self) -> usize {
        PUT_OFF_BYTES_MAX.min(self.rules.send_queue_bytes_max / 16)
    }

    #[cold]
    fn queue_shared_later(
        &mut self,
        frames: &Frames,
        terms: &Terms<'_>,
        local: &mut Local,
        me: ActorId,
    ) -> Delivered {
        let later = &mut self.behind.get_or_insert_default().later;
        let bytes_max = self.rules.send_queue_bytes_max / 2;
        let mut dropped = 0;
        for index in 0..frames.len() {
            match later.push(frames, index, terms, bytes_max, &mut local.pool) {
                Some(some) => dropped += some,
                None => {
                    dropped += later.clear(&mut local.pool) + (frames.len() - index) as u32;
                    local.counters.slow_dropped += u64::from(dropped);
                    self.put_empty_behind();
                    return Delivered::TooSlow { dropped };
                }
            }
        }
        local.counters.slow_dropped += u64::from(dropped);
        self.put_empty_behind();
        self.go_on_later(local, me);
        match self.waits_of(terms.room) {
            (0, _) if dropped == 0 => Delivered::Sent,
            (frames, bytes) => Delivered::Waits { frames, bytes, dropped },
        }
    }

    /// The client has taken what was sent before: moves some of what waits to the next send.
    pub(crate) fn release_later(&mut self, local: &mut Local, me: ActorId) {
        if self.state.blocked || self.state.streaming {
            return;
        }
        let Some(behind) = self.behind.as_mut().filter(|behind| !behind.later.is_empty()) else { return };
        let outgoing = self.outgoing.get_or_insert_with(|| local.take_outgoing());
        local.counters.messages_out += behind.later.release(outgoing, IN_FLIGHT_BYTES);
        if !behind.later.is_empty() {
            local.want_sent(me.slot);
        }
        self.put_empty_behind();
        local.mark_dirty(me.slot);
    }

    /// Something waits, and perhaps nothing but the client stands against it: it goes on with this turn's send, or when that
    /// is done. What is urgent goes before what is not on its way yet.
    pub(crate) fn go_on_later(&mut self, local: &mut Local, me: ActorId) {
        if self.state.streaming || !self.has_later() {
            return;
        }
        if self.state.blocked {
            self.yield_to_urgent();
        } else if self.outgoing.as_ref().is_some_and(|outgoing| !outgoing.is_empty()) {
            local.mark_dirty(me.slot); // what is there is to be sent in this turn
            local.want_sent(me.slot);
        } else {
            self.release_later(local, me);
        }
    }

    /// If something urgent waits, all waits behind it that is not on its way.
    pub(super) fn yield_to_urgent(&mut self) {
        let (Some(outgoing), Some(behind)) = (&mut self.outgoing, &mut self.behind) else { return };
        if !self.state.streaming && behind.later.is_urgent() && outgoing.bytes() > IN_FLIGHT_BYTES {
            let marks = outgoing.marks();
            behind.later.put_back(outgoing.cut_off(IN_FLIGHT_BYTES), marks);
        }
    }

    /// Moves all that waits to the next send, where nothing overtakes it any more: what follows must come after it. In the
    /// middle of a fragmented message there is no place for it.
    pub(crate) fn release_all(&mut self, local: &mut Local) {
        if self.state.streaming {
            return self.forget_later(local);
        }
        let Some(behind) = self.behind.as_mut().filter(|behind| !behind.later.is_empty()) else { return };
        let outgoing = self.outgoing.get_or_insert_with(|| local.take_outgoing());
        local.counters.messages_out += behind.later.release(outgoing, usize::MAX);
        outgoing.pin();
        self.put_empty_behind();
    }

    /// How many frames and bytes of a room wait for the client.
    pub(crate) fn waits_of(&self, room: u32) -> (u32, usize) {
        self.behind.as_ref().map_or((0, 0), |behind| behind.later.share(room))
    }

    /// Drops what waits, for a connection that ends without it.
    pub(crate) fn forget_later(&mut self, local: &mut Local) {
        if let Some(behind) = self.behind.as_mut() {
            local.counters.slow_dropped += u64::from(behind.later.clear(&mut local.pool));
            self.put_empty_behind();
        }
    }
}

/// What is of low priority waits for more of it up to this.
const PUT_OFF_BYTES_MAX: usize = 16 << 10;
/// What waits for a client that was behind is sent so much at a time, so that what is urgent need not wait for more.
const IN_FLIGHT_BYTES: usize = 64 << 10;
