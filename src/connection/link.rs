//! A connection's own state, under its session: the protocol, what waits to go out, what waits to be read.

use super::bulk::Bulk;
use super::deliver::Delivered;
use super::frames::Frames;
use super::later::{Later, Terms};
use super::session::Close;
use super::{Planted, Rules};
use crate::actor::cell::Extra;
use crate::actor::local::{Local, Request};
use crate::actor::{ActorId, Priority, SendError};
use crate::buf::{Buf, Exhausted};
use crate::shard::{Outgoing, SocketId, Time, outgoing::GATHER_BYTES_MAX};
use crate::wire::frame::{HEADER_BYTES_MAX, Header, Opcode, Rsv, encode_header};
use crate::wire::{CloseCode, Kind, Machine, Role};
use std::collections::VecDeque;
use std::rc::Rc;

/// All of a connection but its session. Small while idle: what is boxed is there only while it is needed.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) machine: Machine,
    pub(crate) rules: Rc<Rules>,
    /// What is to be sent; none while nothing waits.
    outgoing: Option<Box<Outgoing>>,
    /// A message that has begun and not ended.
    pub(crate) assembly: Option<Buf>,
    /// What waits on either side; none while nothing does.
    behind: Option<Box<Behind>>,
    pub(crate) socket: SocketId,
    /// When something was last heard, in milliseconds of the shard's clock.
    heard_ms: u32,
    /// When the tick that counts is due; one before that is for what was held.
    tick_ms: u32,
    /// Why we closed; 0 before that.
    pub(crate) closed_with: u16,
    pub(crate) state: LinkState,
}

/// What a connection's box has besides the session.
pub(crate) const LINK_BYTES: usize = size_of::<Link>();

/// What waits because one of the two is not ready for it.
#[derive(Debug, Default)]
struct Behind {
    /// Bytes that were received and are not to be read yet.
    held: VecDeque<Buf>,
    /// Frames that are to be sent when the client has taken what was sent before.
    later: Later,
}

#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct LinkState {
    /// The kernel did not take all that was sent: nothing is sent and nothing read until it does.
    pub(crate) blocked: bool,
    /// The session wants to hear nothing.
    pub(crate) paused: bool,
    /// Somebody else wants it to hear nothing.
    choked: bool,
    /// The session waits for a future.
    pub(crate) waiting: Waiting,
    /// The driver was told not to receive.
    reading_stopped: bool,
    /// We have sent a close frame and wait for the client's.
    pub(crate) closing: bool,
    /// The peer has hung up, and what it said before is not read yet.
    pub(crate) ended: bool,
    /// A message was refused because too much waits, or the connection has been counted as slow since.
    pub(crate) refused: bool,
    pub(crate) counted_slow: bool,
    /// A ping is out.
    pub(crate) pinged: bool,
    /// A fragmented message of ours has begun.
    pub(crate) streaming: bool,
    /// Whether it is read in bulk.
    pub(crate) bulk: Bulk,
}

/// Whether a session waits for a future.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waiting {
    #[default]
    No,
    Yes,
    /// And there is room again, which it is told when it goes on.
    AndDrained,
}

/// Bytes to send, with or without an owner.
pub(crate) enum Payload<'a> {
    Copied(&'a [u8]),
    Owned(Buf),
}

impl Link {
    pub(crate) fn new(
        socket: SocketId,
        rules: Rc<Rules>,
        outgoing: Option<Box<Outgoing>>,
        now: Time,
    ) -> Self {
        Self {
            machine: Machine::new(Role::Server),
            rules,
            outgoing,
            assembly: None,
            behind: None,
            socket,
            heard_ms: ms(now),
            tick_ms: 0,
            closed_with: 0,
            state: LinkState::default(),
        }
    }

    // ---- out ----

    /// How many bytes wait for the peer.
    pub(crate) fn queued_bytes(&self) -> usize {
        let later = self.behind.as_ref().map_or(0, |behind| behind.later.bytes());
        self.outgoing.as_ref().map_or(0, |outgoing| outgoing.bytes()) + later
    }

    /// How many bytes wait for anything.
    pub(crate) fn held_bytes(&self) -> usize {
        let held = self.behind.as_ref().map_or(0, |behind| behind.held.iter().map(Buf::len).sum());
        self.queued_bytes() + held + self.assembly.as_ref().map_or(0, Buf::block_bytes)
    }

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

    /// Whether so many bytes more may wait. If not, whoever is refused is told when there is room.
    #[inline]
    pub(crate) fn has_room(&mut self, payload_bytes: usize, local: &mut Local, me: ActorId) -> bool {
        // As long as we read on, the answer to what is read next must fit, however large: then the peer is not slow.
        let may_overflow = !self.state.blocked && !self.is_ahead();
        let over = !may_overflow && self.queued_bytes() + payload_bytes > self.rules.send_queue_bytes_max;
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
        if self.behind.is_some() && !opcode.is_control() && self.must_wait() {
            if fin && opcode != Opcode::Continuation {
                return self.queue_later(opcode, Priority::Normal, payload, local);
            }
            // Nothing may come between the fragments of a message, so what waits goes before the first.
            self.release_all(local);
        }
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
        local.mark_dirty(me.slot);
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
        debug_assert!(self.outgoing.is_none(), "nothing is queued between a send and its answer");
        if self.rules.planted == Some(Planted::RestLost) {
            rest.clear(&mut local.pool);
        }
        if let Err(exhausted) = rest.leave_receive_blocks(&mut local.pool) {
            local.memory_is_short(exhausted);
        }
        self.outgoing = Some(rest);
        self.state.blocked = true;
        self.stop_reading(local);
        local.requests.push(Request::WaitWritable(self.socket));
    }

    /// The kernel will take more: try again, and say how it went.
    pub(crate) fn unblock(&mut self, local: &mut Local, me: ActorId) {
        self.state.blocked = false;
        local.mark_dirty(me.slot);
        local.want_sent(me.slot);
    }

    // ---- later ----

    /// Whether a frame must wait behind others, or for the client.
    fn must_wait(&self) -> bool {
        self.state.blocked || self.behind.as_ref().is_some_and(|behind| !behind.later.is_empty())
    }

    /// Queues a frame of the session's own behind what waits.
    #[cold]
    fn queue_later<'a>(
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
    pub(super) fn queue_shared(
        &mut self,
        frames: &Frames,
        terms: &Terms<'_>,
        local: &mut Local,
        me: ActorId,
    ) -> Delivered {
        if self.machine.close_sent() {
            return Delivered::Gone;
        }
        if self.must_wait() || self.state.streaming || self.is_ahead() {
            return self.queue_shared_later(frames, terms, local, me);
        }
        let outgoing = self.outgoing.get_or_insert_with(|| local.take_outgoing());
        outgoing.push_shared(frames.shared(), frames.span());
        local.counters.messages_out += frames.len() as u64;
        local.mark_dirty(me.slot);
        Delivered::Sent
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
        let others = self.outgoing.as_ref().map_or(0, |outgoing| outgoing.bytes());
        // What is on its way already does not count against a room: it could not be dropped.
        let bytes_max =
            self.rules.send_queue_bytes_max.saturating_sub(others).max(self.rules.send_queue_bytes_max / 2);
        let mut dropped = 0;
        for index in 0..frames.len() {
            match later.push(frames, index, terms, bytes_max, &mut local.pool) {
                Some(some) => dropped += some,
                None => {
                    let more = later.clear(&mut local.pool) + (frames.len() - index) as u32;
                    local.counters.slow_dropped += u64::from(dropped + more);
                    self.put_empty_behind();
                    return Delivered::TooSlow { dropped: dropped + more };
                }
            }
        }
        let (frames_wait, bytes_wait) = later.share(terms.room);
        local.counters.messages_out += frames.len() as u64;
        local.counters.slow_dropped += u64::from(dropped);
        if !self.state.blocked && !self.state.streaming {
            local.want_sent(me.slot); // so much was to be sent in this turn already; it goes on after that
        }
        self.put_empty_behind();
        Delivered::Waits { frames: frames_wait, bytes: bytes_wait, dropped }
    }

    /// The client has taken what was sent before: moves some of what waits to the next send.
    pub(super) fn release_later(&mut self, local: &mut Local, me: ActorId) {
        if self.state.blocked || self.state.streaming {
            return;
        }
        let Some(behind) = self.behind.as_mut().filter(|behind| !behind.later.is_empty()) else { return };
        let outgoing = self.outgoing.get_or_insert_with(|| local.take_outgoing());
        behind.later.release(outgoing, IN_FLIGHT_BYTES);
        if !behind.later.is_empty() {
            local.want_sent(me.slot);
        }
        self.put_empty_behind();
        local.mark_dirty(me.slot);
    }

    /// Nothing but the client stands against what waits any more: it goes on when this turn's send is done.
    pub(super) fn go_on_later(&mut self, local: &mut Local, me: ActorId) {
        if self.behind.as_ref().is_some_and(|behind| !behind.later.is_empty()) {
            local.want_sent(me.slot);
        }
    }

    /// Moves all that waits to the next send: what follows must come after it.
    pub(super) fn release_all(&mut self, local: &mut Local) {
        if let Some(behind) = self.behind.as_mut() {
            let outgoing = self.outgoing.get_or_insert_with(|| local.take_outgoing());
            behind.later.release(outgoing, usize::MAX);
            self.put_empty_behind();
        }
    }

    /// How many frames and bytes of a room wait for the client.
    pub(super) fn waits_of(&self, room: u32) -> (u32, usize) {
        self.behind.as_ref().map_or((0, 0), |behind| behind.later.share(room))
    }

    /// Drops what waits, for a connection that ends without it.
    pub(super) fn forget_later(&mut self, local: &mut Local) {
        if let Some(behind) = self.behind.as_mut() {
            behind.later.clear(&mut local.pool);
        }
    }

    // ---- in ----

    /// Whether what comes must wait: the peer does not take our answers, or the session does not want to hear.
    pub(crate) fn must_hold(&self) -> bool {
        self.state.blocked || self.wants_nothing() || self.is_ahead()
    }

    /// The session wants to hear nothing, for now.
    pub(crate) fn wants_nothing(&self) -> bool {
        self.state.paused || self.state.choked || self.state.waiting != Waiting::No
    }

    /// So much waits to be sent in this turn that reading on would overflow the queue of a peer that does read.
    fn is_ahead(&self) -> bool {
        let queued = self.outgoing.as_ref().map_or(0, |outgoing| outgoing.bytes());
        queued >= self.rules.send_queue_bytes_max / 4
    }

    /// Keeps bytes that must wait, behind those that wait already, in a block that keeps nobody else's.
    ///
    /// # Errors
    /// Memory is short.
    pub(crate) fn hold(&mut self, bytes: Buf, local: &mut Local, me: ActorId) -> Result<(), Exhausted> {
        let own = local.pool.copy(&bytes)?;
        local.pool.recycle(bytes);
        let held = &mut self.behind.get_or_insert_default().held;
        match self.rules.planted {
            Some(Planted::Overtaken) => held.push_front(own),
            _ => held.push_back(own),
        }
        self.stop_reading(local);
        self.go_on_when_sent(local, me);
        Ok(())
    }

    /// If reading waits only because so much is to be sent in this turn, it goes on when that is done. Nobody else would
    /// say so: a send that succeeds is silent.
    pub(crate) fn go_on_when_sent(&mut self, local: &mut Local, me: ActorId) {
        let waits = self.has_held() || self.state.reading_stopped;
        if waits && !self.state.blocked && self.is_ahead() {
            local.want_sent(me.slot);
        }
    }

    /// Keeps what came in the same segment as the handshake, to be read once the session is open.
    pub(crate) fn hold_first(&mut self, bytes: Buf, local: &mut Local) {
        let bytes = local.pool.keep(bytes);
        self.behind.get_or_insert_default().held.push_back(bytes);
    }

    /// Puts bytes back that were taken from those that wait.
    pub(crate) fn hold_front(&mut self, bytes: Buf) {
        self.behind.get_or_insert_default().held.push_front(bytes);
    }

    /// Bytes that waited and need not any more.
    pub(crate) fn next_held(&mut self) -> Option<Buf> {
        if self.must_hold() {
            return None;
        }
        let behind = self.behind.as_mut()?;
        let next = behind.held.pop_front();
        self.put_empty_behind();
        next
    }

    pub(crate) fn has_held(&self) -> bool {
        self.behind.as_ref().is_some_and(|behind| !behind.held.is_empty())
    }

    /// Keeps no box in which nothing waits.
    fn put_empty_behind(&mut self) {
        if self.behind.as_ref().is_some_and(|behind| behind.held.is_empty() && behind.later.is_empty()) {
            self.behind = None;
        }
    }

    /// So many bytes came at once: reads in bulk from now on, or no more, if that is better.
    pub(crate) fn choose_bulk(&mut self, bytes: usize, local: &mut Local) {
        if let Some(on) = self.state.bulk.heard(bytes, self.machine.frame_bytes_missing()) {
            local.requests.push(Request::Bulk { socket: self.socket, on });
        }
    }

    fn stop_reading(&mut self, local: &mut Local) {
        if !self.state.reading_stopped {
            self.state.reading_stopped = true;
            local.requests.push(Request::Pause(self.socket));
        }
    }

    /// The session wants to hear nothing for now.
    pub(crate) fn pause(&mut self, local: &mut Local) {
        self.state.paused = true;
        self.stop_reading(local);
    }

    /// Somebody else wants that the session hears nothing for now, or does not any more.
    pub(super) fn choke(&mut self, on: bool, local: &mut Local, me: ActorId) {
        let was = std::mem::replace(&mut self.state.choked, on);
        if on {
            self.stop_reading(local);
        } else if was {
            self.heard(local.now());
            local.tick_at(local.now(), me);
        }
    }

    /// The session wants to hear again. What waits is read from a tick, since a handler of this session is running.
    pub(crate) fn resume(&mut self, local: &mut Local, me: ActorId) {
        if std::mem::take(&mut self.state.paused) {
            self.heard(local.now()); // its silence counts from now on
            local.tick_at(local.now(), me);
        }
    }

    /// Lets the kernel receive again, if nothing stands against it.
    pub(crate) fn resume_reading(&mut self, local: &mut Local) {
        if self.state.reading_stopped && !self.must_hold() && !self.has_held() {
            self.state.reading_stopped = false;
            if self.rules.planted == Some(Planted::NotResumed) {
                return;
            }
            local.requests.push(Request::Resume(self.socket));
        }
    }

    // ---- time ----

    /// The peer lives.
    pub(crate) fn heard(&mut self, now: Time) {
        self.heard_ms = ms(now);
        self.state.pinged = false;
    }

    /// How long nothing was heard, in milliseconds.
    pub(crate) fn silent_ms(&self, now: Time) -> u32 {
        ms(now).wrapping_sub(self.heard_ms)
    }

    /// Has the tick that counts come in `delay_ms` from now.
    pub(crate) fn tick_in(&mut self, delay_ms: u32, local: &mut Local, me: ActorId) {
        let due = local.tick_at(local.now() + std::time::Duration::from_millis(delay_ms.max(1).into()), me);
        self.tick_ms = ms(due);
    }

    /// After a tick that came before the one that counts: waits on for that.
    pub(crate) fn tick_again(&self, local: &mut Local, me: ActorId) {
        let now_ms = local.now().as_millis();
        let left_ms = self.tick_ms.wrapping_sub(now_ms as u32);
        local.tick_at(Time::from_nanos((now_ms + u64::from(left_ms)) * 1_000_000), me);
    }

    /// Whether the tick that counts is due.
    pub(crate) fn is_tick_due(&self, now: Time) -> bool {
        ms(now).wrapping_sub(self.tick_ms) < u32::MAX / 2
    }
}

impl Extra for Link {
    fn wait(&mut self, local: &mut Local) {
        if self.state.waiting == Waiting::No && !self.state.closing {
            self.state.waiting = Waiting::Yes;
            self.stop_reading(local);
        }
    }
}

impl Payload<'_> {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Copied(bytes) => bytes,
            Self::Owned(bytes) => bytes,
        }
    }
}

pub(crate) fn opcode_of(kind: Kind) -> Opcode {
    match kind {
        Kind::Text => Opcode::Text,
        Kind::Binary => Opcode::Binary,
    }
}

/// What waits for a client that was behind is sent so much at a time, so that what is urgent need not wait for more.
const IN_FLIGHT_BYTES: usize = 64 << 10;

/// Wraps after 49 days; only differences are used.
fn ms(time: Time) -> u32 {
    time.as_millis() as u32
}
