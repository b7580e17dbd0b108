//! What a connection says: frames for this turn's send, and what the kernel did not take of it.
//!
//! Does not know: what becomes of frames that must wait for the client; that is `behind`'s.

use super::{Link, Payload, Waiting};
use crate::actor::local::{Local, Request};
use crate::actor::{ActorId, Priority, SendError};
use crate::buf::Buf;
use crate::connection::Planted;
use crate::connection::session::Close;
use crate::shard::{Outgoing, outgoing::GATHER_BYTES_MAX};
use crate::wire::CloseCode;
use crate::wire::frame::{HEADER_BYTES_MAX, Header, Opcode, Rsv, encode_header, short_header};

impl Link {
    /// Queues one frame.
    ///
    /// # Errors
    /// The queue is full, or memory is short; the payload comes back.
    pub(crate) fn queue<'a>(
        &mut self,
        opcode: Opcode,
        fin: bool,
        payload: Payload<'a>,
        local: &mut Local,
        me: ActorId,
    ) -> Result<(), SendError<Payload<'a>>> {
        if self.machine.close_sent() {
            return Err(SendError::Gone(payload));
        }
        // A control frame is small and the peer's right; the pool bounds it.
        if !opcode.is_control() && !self.has_room(payload.as_bytes().len(), local, me) {
            return Err(SendError::Full(payload));
        }
        self.queue_anyway(opcode, fin, payload, local, me)
    }

    /// Queues what most messages are: small, and the next in what is gathered for a client that keeps up. False if this one is
    /// not, for [`Self::queue_at`]; then nothing has changed. It is that without what passes through memory.
    #[inline(never)] // so that what calls it is small enough to become part of the session's handler, and that of the reading
    pub(crate) fn queue_next(
        &mut self,
        opcode: Opcode,
        payload: &[u8],
        local: &mut Local,
        slot: u32,
    ) -> bool {
        if payload.len() > GATHER_BYTES_MAX
            || self.state.blocked
            || self.state.streaming
            || self.behind.is_some()
            || self.machine.close_sent()
        {
            return false;
        }
        let queue_bytes_max = self.rules.send_queue_bytes_max;
        let Some(outgoing) = &mut self.outgoing else { return false };
        let (header, header_bytes) = short_header(opcode, payload.len() as u16);
        if outgoing.bytes() >= queue_bytes_max / 4 || !outgoing.gather_next(header, header_bytes, payload) {
            return false;
        }
        local.counters.messages_out += 1;
        local.mark_dirty(slot);
        true
    }

    /// Queues a whole message.
    ///
    /// # Errors
    /// As [`Self::queue`].
    #[inline]
    pub(crate) fn queue_at<'a>(
        &mut self,
        priority: Priority,
        opcode: Opcode,
        payload: Payload<'a>,
        local: &mut Local,
        me: ActorId,
    ) -> Result<(), SendError<Payload<'a>>> {
        if priority == Priority::Normal {
            return self.queue(opcode, true, payload, local, me);
        }
        if self.machine.close_sent() {
            return Err(SendError::Gone(payload));
        }
        if !self.has_room(payload.as_bytes().len(), local, me) {
            return Err(SendError::Full(payload));
        }
        self.queue_anyway_at(priority, opcode, payload, local, me)
    }

    /// Queues a whole message, for which [`Self::has_room`] was asked before.
    ///
    /// # Errors
    /// As [`Self::queue_anyway`].
    pub(crate) fn queue_anyway_at<'a>(
        &mut self,
        priority: Priority,
        opcode: Opcode,
        payload: Payload<'a>,
        local: &mut Local,
        me: ActorId,
    ) -> Result<(), SendError<Payload<'a>>> {
        let frame_bytes = HEADER_BYTES_MAX + payload.as_bytes().len();
        if priority == Priority::Normal || !self.must_wait() && self.is_soon(frame_bytes, priority) {
            if priority == Priority::Low {
                return self.queue_low(opcode, payload, local, me);
            }
            return self.queue_anyway(opcode, true, payload, local, me);
        }
        self.queue_later(opcode, priority, payload, local)?;
        self.go_on_later(local, me);
        Ok(())
    }

    /// Queues a whole message for which there is time, for a client that keeps up.
    fn queue_low<'a>(
        &mut self,
        opcode: Opcode,
        payload: Payload<'a>,
        local: &mut Local,
        me: ActorId,
    ) -> Result<(), SendError<Payload<'a>>> {
        // What is put off must not stay in a block that is received into.
        if let Some(outgoing) = self.outgoing.as_mut().filter(|outgoing| outgoing.is_empty()) {
            outgoing.clear(&mut local.pool); // room over what is being read
        }
        let is_received = matches!(&payload, Payload::Owned(bytes) if bytes.is_in_receive_block());
        self.add_frame(opcode, true, payload, local)?;
        if is_received || self.own_bytes() > self.put_off_bytes_max() {
            local.mark_dirty(me.slot);
        } else {
            local.put_off(me.slot);
        }
        Ok(())
    }

    /// Whether so many bytes more may wait. If not, whoever is refused is told when there is room.
    #[inline]
    pub(crate) fn has_room(&mut self, payload_bytes: usize, local: &mut Local, me: ActorId) -> bool {
        // As long as we read on, the answer to what is read next must fit, however large: then the peer is not slow.
        let may_overflow = !self.state.blocked && !self.is_ahead();
        let over = !may_overflow && self.own_bytes() + payload_bytes > self.rules.send_queue_bytes_max;
        if over {
            self.state.refused = true;
            local.want_sent(me.slot);
        }
        !over
    }

    /// Queues one frame, for which [`Self::has_room`] was asked before.
    ///
    /// # Errors
    /// Memory is short; the payload comes back.
    #[inline]
    pub(crate) fn queue_anyway<'a>(
        &mut self,
        opcode: Opcode,
        fin: bool,
        payload: Payload<'a>,
        local: &mut Local,
        me: ActorId,
    ) -> Result<(), SendError<Payload<'a>>> {
        let begins = !opcode.is_control() && opcode != Opcode::Continuation;
        if begins && self.behind.is_some() && self.must_wait() {
            if fin {
                return self.queue_later(opcode, Priority::Normal, payload, local);
            }
            // Nothing may come between the fragments of a message, so what waits goes before the first.
            self.release_all(local);
        }
        self.add_frame(opcode, fin, payload, local)?;
        local.mark_dirty(me.slot);
        Ok(())
    }

    /// Adds one frame to what is to be sent.
    ///
    /// # Errors
    /// As [`Self::queue_anyway`].
    #[inline]
    fn add_frame<'a>(
        &mut self,
        opcode: Opcode,
        fin: bool,
        payload: Payload<'a>,
        local: &mut Local,
    ) -> Result<(), SendError<Payload<'a>>> {
        let payload_bytes = payload.as_bytes().len();
        let mut header = [0; HEADER_BYTES_MAX];
        let header_bytes = encode_header(
            &Header { fin, rsv: Rsv::NONE, opcode, key: None, payload_bytes: payload_bytes as u64 },
            &mut header,
        );
        let header = &header[..header_bytes];
        let blocked = self.state.blocked;
        let outgoing = self.outgoing.get_or_insert_with(|| local.take_outgoing());
        match payload {
            Payload::Owned(mut payload) if payload_bytes > GATHER_BYTES_MAX => {
                if blocked && payload.is_in_receive_block() {
                    // It may wait for long, and must not keep a block from everybody else meanwhile.
                    match local.pool.copy(&payload) {
                        Ok(own) => local.pool.recycle(std::mem::replace(&mut payload, own)),
                        Err(exhausted) => {
                            local.memory_is_short(exhausted);
                            return Err(SendError::Full(Payload::Owned(payload)));
                        }
                    }
                }
                // In place, where the client's longer header was; else the header goes next to its neighbours.
                if payload.prepend(header).is_err()
                    && let Err(exhausted) = outgoing.gather([header, &[]], &mut local.pool)
                {
                    local.memory_is_short(exhausted);
                    return Err(SendError::Full(Payload::Owned(payload)));
                }
                outgoing.push(payload);
            }
            payload => {
                if let Err(exhausted) = outgoing.gather([header, payload.as_bytes()], &mut local.pool) {
                    local.memory_is_short(exhausted);
                    return Err(SendError::Full(payload));
                }
                if let Payload::Owned(payload) = payload {
                    local.pool.recycle(payload);
                }
            }
        }
        local.counters.messages_out += u64::from(!opcode.is_control());
        Ok(())
    }

    /// Queues a close frame, if none was. Nothing can be queued after.
    pub(crate) fn queue_close(&mut self, close: Option<&Close>, local: &mut Local, me: ActorId) {
        if self.machine.close_sent() {
            return;
        }
        let mut payload = Vec::new();
        let (code, reason) = close.map_or((None, ""), |close| (Some(close.code), &*close.reason));
        crate::wire::close::encode(code, reason, None, &mut payload);
        self.closed_with = code.map_or(1005, CloseCode::get);
        self.release_all(local);
        let outgoing = self.outgoing.get_or_insert_with(|| local.take_outgoing());
        // If even this has no room, the peer sees the connection end without a word.
        let _ = outgoing.gather([&payload, &[]], &mut local.pool);
        self.machine.set_close_sent();
        local.mark_dirty(me.slot);
    }

    /// A close frame of ours is out: the client has so long to answer.
    pub(crate) fn begin_closing(&mut self, local: &mut Local, me: ActorId) {
        self.state.closing = true;
        let timeout_ms = self.rules.close_timeout.as_millis() as u32;
        self.tick_in(timeout_ms, local, me);
        // Its answer must be heard, whatever the session wanted; the session itself hears nothing more of this client.
        self.state.paused |= std::mem::take(&mut self.state.choked);
        self.state.paused |= std::mem::take(&mut self.state.waiting) != Waiting::No;
        self.resume(local, me);
    }

    /// Answers a ping. A peer that does not read its answers is not read from, so it is owed those of one turn at most.
    pub(crate) fn queue_pong(&mut self, payload: &[u8], local: &mut Local, me: ActorId) {
        // Full or gone: a pong is a courtesy then.
        let _ = self.queue(Opcode::Pong, true, Payload::Copied(payload), local, me);
    }

    /// Lets answers be written over what of `bytes` has been read.
    #[inline]
    pub(crate) fn write_over(&mut self, bytes: &mut Buf, local: &mut Local) {
        // What cannot go out in this turn must not stay in a block that is received into.
        if !self.state.blocked {
            self.outgoing.get_or_insert_with(|| local.take_outgoing()).write_over(bytes);
        }
    }

    /// Keeps no list of pieces in which nothing is.
    #[inline]
    pub(crate) fn put_empty_outgoing(&mut self, local: &mut Local) {
        if self.outgoing.as_ref().is_some_and(|outgoing| outgoing.is_empty())
            && let Some(outgoing) = self.outgoing.take()
        {
            local.put_outgoing(outgoing);
        }
    }

    /// What can be sent now.
    pub(crate) fn take_outgoing(&mut self) -> Option<Box<Outgoing>> {
        if self.state.blocked { None } else { self.outgoing.take().filter(|outgoing| !outgoing.is_empty()) }
    }

    /// All that waits, for whoever sees the connection off, and whether the kernel was asked when it can go.
    pub(crate) fn take_all_outgoing(&mut self) -> (Option<Box<Outgoing>>, bool) {
        (self.outgoing.take().filter(|outgoing| !outgoing.is_empty()), self.state.blocked)
    }

    /// The kernel did not take all of it. Nothing more is sent or read until it does.
    pub(crate) fn block(&mut self, mut rest: Box<Outgoing>, local: &mut Local) {
        // Somebody whose answer came before may have delivered to this one.
        if let Some(mut newer) = self.outgoing.take() {
            rest.append(&mut newer);
            local.put_outgoing(newer);
        }
        if self.rules.planted == Some(Planted::RestLost) {
            rest.clear(&mut local.pool);
        }
        if let Err(exhausted) = rest.leave_receive_blocks(&mut local.pool) {
            local.memory_is_short(exhausted);
        }
        self.outgoing = Some(rest);
        self.state.blocked = true;
        self.yield_to_urgent();
        self.stop_reading(local);
        local.requests.push(Request::WaitWritable(self.socket));
    }

    /// The kernel will take more: try again, and say how it went.
    pub(crate) fn unblock(&mut self, local: &mut Local, me: ActorId) {
        self.state.blocked = false;
        local.mark_dirty(me.slot);
        local.want_sent(me.slot);
    }
}
