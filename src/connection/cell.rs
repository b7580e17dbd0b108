//! An open connection in its slot: the session, and the link under it.

use super::farewell::Farewell;
use super::guard::Around;
use super::link::{LINK_BYTES, Link, Payload, Waiting};
use super::session::{Close, CloseReason, ClosedBy, Session};
use super::{Message, Passage, Planted};
use crate::actor::cell::{Cell, Lent, Next, kind_of};
use crate::actor::envelope::Returned;
use crate::actor::local::{ActorKind, Local, Request};
use crate::actor::{ActorId, Context, Reason};
use crate::buf::{Buf, Exhausted};
use crate::shard::{Outgoing, Reader, Reading, SocketEvent, SocketId, outgoing::GATHER_BYTES_MAX};
use crate::wire::frame::{CONTROL_BYTES_MAX, Opcode};
use crate::wire::{CloseCode, Event, Kind, WireError};
use std::any::Any;
use std::io;
use std::ops::Range;

/// A session, its link, and what is around them: its middleware, or nothing.
pub(crate) struct Connection<S, G = ()> {
    session: S,
    link: Link,
    around: G,
}

const _: () = assert!(size_of::<Connection<()>>() == LINK_BYTES); // where there is no middleware, it takes no room

/// Why a connection is over.
enum Ending {
    /// We say why, and listen no more.
    Fail(Close),
    /// The client has closed; we answer.
    Client { code: Option<CloseCode>, reason: String },
    /// Both have said close, we first.
    Done { reason: String },
    /// The client will send no more, and has not said close.
    HungUp,
    /// There is nobody to say anything to.
    Broken(String),
}

impl<S: Session, G: Around> Connection<S, G> {
    pub(crate) fn new(session: S, link: Link, around: G) -> Self {
        Self { session, link, around }
    }

    fn call<R>(
        &mut self,
        local: &mut Local,
        me: ActorId,
        f: impl FnOnce(&mut S, &mut Context<'_, S>) -> R,
    ) -> R {
        let _span = self.around.enter();
        let lent = Lent { extra: &mut self.link, guard: self.around.guard() };
        let mut cx = Context::new(local, me, lent);
        let result = f(&mut self.session, &mut cx);
        if cx.is_stopping() {
            self.close(Close::normal(), local, me);
        }
        result
    }

    /// What is said to the client where our side wants to say `close`.
    fn closing(&mut self, close: Close, local: &mut Local, me: ActorId) -> Close {
        if G::NONE || self.link.machine.close_sent() {
            return close;
        }
        let _span = self.around.enter();
        self.around.closing(close, Passage::new(&mut self.link, local, me))
    }

    /// It is over, for this reason.
    fn tell_closed(&mut self, mut reason: CloseReason, local: &mut Local, me: ActorId) {
        let _span = self.around.enter();
        self.around.closed(&mut reason, Passage::new(&mut self.link, local, me));
        if self.around.is_open() {
            let lent = Lent { extra: &mut self.link, guard: self.around.guard() };
            self.session.closed(reason, &mut Context::new(local, me, lent));
        }
    }

    /// Says close, and waits for the client to say it too.
    fn close(&mut self, close: Close, local: &mut Local, me: ActorId) {
        if !self.link.state.closing {
            let close = self.closing(close, local, me);
            self.link.queue_close(Some(&close), local, me);
            self.link.begin_closing(local, me);
        }
    }

    /// This connection ends because its client does not take what is sent.
    fn count_slow(&mut self, local: &mut Local) {
        if !std::mem::replace(&mut self.link.state.counted_slow, true) {
            local.counters.slow_closed += 1;
        }
    }

    /// What the session answered.
    fn answered(&mut self, answer: Result<(), Close>, local: &mut Local, me: ActorId) {
        if let Err(close) = answer {
            if close.code == CloseCode::TRY_AGAIN_LATER && self.link.state.refused {
                self.count_slow(local);
            }
            self.close(close, local, me);
        }
    }

    /// Reads all of `bytes`, or as much as may be read now. `held`: they waited before, so the rest goes first.
    fn read(&mut self, bytes: Buf, held: bool, local: &mut Local, me: ActorId) -> Result<(), Ending> {
        let result = self.read_frames(bytes, held, local, me);
        self.link.put_empty_outgoing(local);
        result
    }

    fn read_frames(
        &mut self,
        mut bytes: Buf,
        held: bool,
        local: &mut Local,
        me: ActorId,
    ) -> Result<(), Ending> {
        while !bytes.is_empty() {
            if self.link.must_hold() {
                if held {
                    self.link.hold_front(bytes);
                    return Ok(());
                }
                return self
                    .link
                    .hold(bytes, local, me)
                    .map_err(|exhausted| short_of_memory(exhausted, local));
            }
            let whole = self.link.machine.decode_whole(&mut bytes, &self.link.rules.wire);
            if let Some(whole) = whole.map_err(|error| failed(&error))? {
                self.read_message(whole.kind, &mut bytes, whole.payload(), whole.frame_bytes(), local, me);
                continue;
            }
            let step = self
                .link
                .machine
                .decode(&mut bytes, &self.link.rules.wire)
                .map_err(|error| failed(&error))?;
            let consumed = step.consumed;
            match step.event {
                Some(Event::Message { kind, payload, .. }) => {
                    self.read_message(kind, &mut bytes, payload, consumed, local, me);
                    continue; // the bytes are consumed already
                }
                Some(Event::Part { kind, payload, first, last, frame_bytes_missing, .. }) => {
                    if first {
                        self.link.state.bulk.frame(payload.len() as u64 + frame_bytes_missing);
                    }
                    self.assemble(&bytes[payload], local)?;
                    if last {
                        let message = self.link.assembly.take().expect("a part has just been added");
                        self.message(kind, message, local, me);
                    }
                }
                Some(Event::Ping(payload)) => {
                    let mut pong = [0; CONTROL_BYTES_MAX];
                    let ping = self.link.machine.control(&payload, &bytes);
                    let pong = &mut pong[..ping.len()];
                    pong.copy_from_slice(ping);
                    self.link.queue_pong(pong, local, me);
                }
                Some(Event::Pong(_)) | None => {}
                Some(Event::Close { code, reason }) => {
                    let reason =
                        String::from_utf8_lossy(self.link.machine.control(&reason, &bytes)).into_owned();
                    local.pool.recycle(bytes);
                    let said_first = self.link.state.closing;
                    return Err(if said_first {
                        Ending::Done { reason }
                    } else {
                        Ending::Client { code, reason }
                    });
                }
            }
            bytes.advance(consumed);
        }
        local.pool.recycle(bytes);
        Ok(())
    }

    /// Hands on a message that lies in `bytes` in one piece, and consumes its frame.
    #[inline]
    fn read_message(
        &mut self,
        kind: Kind,
        bytes: &mut Buf,
        payload: Range<usize>,
        frame_bytes: usize,
        local: &mut Local,
        me: ActorId,
    ) {
        self.link.state.bulk.frame(payload.len() as u64);
        let message = take_message(bytes, payload, frame_bytes, local);
        if message.len() <= GATHER_BYTES_MAX {
            self.link.write_over(bytes, local);
        }
        self.message(kind, message, local, me);
    }

    /// Reads what has come on a socket in bulk, as much of it as may be answered at once.
    fn read_bulk(&mut self, reader: &mut dyn Reader, local: &mut Local, me: ActorId) -> Result<(), Ending> {
        let mut left = BULK_READ_BYTES_MAX;
        let mut read = 0;
        // What is left is told again.
        while left > 0 && !self.link.must_hold() && !self.link.has_held() {
            let (before, reading) = self.read_once(left, reader, local);
            match reading {
                Reading::Bytes { front_bytes, behind } => {
                    let bytes = front_bytes + behind.len();
                    left = left.saturating_sub(bytes);
                    read += bytes;
                    local.counters.bytes_in += bytes as u64;
                    if front_bytes > 0 {
                        self.read_in_place(before, local, me)?;
                        if behind.is_empty()
                            && self.link.assembly.is_none()
                            && self.link.state.bulk.expects_large()
                        {
                            break;
                        }
                    }
                    self.read(behind, false, local, me)?;
                }
                Reading::Nothing => break,
                Reading::Ended => return self.hung_up(),
                Reading::Failed(error) => return Err(Ending::Broken(error.to_string())),
            }
        }
        if read > 0 {
            self.link.heard(local.now());
            self.link.choose_bulk(read, local);
        }
        Ok(())
    }

    /// Reads into the rest of a frame that has a block, and behind it into scratch. Says where in the block.
    fn read_once(
        &mut self,
        bytes_max: usize,
        reader: &mut dyn Reader,
        local: &mut Local,
    ) -> (usize, Reading) {
        let missing = usize::try_from(self.link.machine.frame_bytes_missing()).unwrap_or(usize::MAX);
        // If the next frame is as large as the last, it is to get a block as well: only its head is read elsewhere, and
        // not before its turn, since with the head the block would be taken, and be out of the cache until then.
        let behind_bytes_max = match self.link.state.bulk.expects_large() {
            true if missing > 0 => 0,
            true => HEAD_BYTES_MAX,
            false => bytes_max.saturating_sub(missing),
        };
        let socket = self.link.socket;
        let Some(block) = self.link.assembly.as_mut().filter(|block| missing > 0 && block.room() > 0) else {
            let behind_bytes_max = if missing > 0 { bytes_max } else { behind_bytes_max };
            return (0, reader.read(socket, &mut [], behind_bytes_max, &mut local.pool));
        };
        let before = block.len();
        let mut reading = Reading::Nothing;
        block.fill(|spare| {
            let room = missing.min(spare.len()).min(bytes_max);
            let behind_bytes_max = if room < missing { 0 } else { behind_bytes_max };
            reading = reader.read(socket, &mut spare[..room], behind_bytes_max, &mut local.pool);
            match reading {
                Reading::Bytes { front_bytes, .. } => front_bytes,
                _ => 0,
            }
        });
        (before, reading)
    }

    /// Reads the part of a frame that is in its block already, from `before` on.
    fn read_in_place(&mut self, before: usize, local: &mut Local, me: ActorId) -> Result<(), Ending> {
        let block = self.link.assembly.as_mut().expect("it was read into");
        let step = self
            .link
            .machine
            .decode(&mut block[before..], &self.link.rules.wire)
            .map_err(|error| failed(&error))?;
        if let Some(Event::Part { kind, last: true, .. }) = step.event {
            let message = self.link.assembly.take().expect("it was read into");
            self.message(kind, message, local, me);
        }
        Ok(())
    }

    /// The client will say no more. What it said before is read first.
    fn hung_up(&mut self) -> Result<(), Ending> {
        self.link.state.ended = true;
        if self.link.has_held() { Ok(()) } else { Err(Ending::HungUp) }
    }

    fn message(&mut self, kind: Kind, bytes: Buf, local: &mut Local, me: ActorId) {
        if self.link.state.closing {
            local.pool.recycle(bytes); // said before our close reached the client; nobody listens
            return;
        }
        local.counters.messages_in += 1;
        let message = Message::checked(kind, bytes);
        let began = if local.is_sample_due() { local.begin_sample() } else { None };
        let answer = if G::NONE {
            self.call(local, me, |session, cx| session.message(message, cx))
        } else {
            self.message_through(message, local, me)
        };
        if let Some(began) = began {
            local.end_sample(began, std::any::type_name::<S>(), std::any::type_name::<Message>(), 0);
        }
        self.answered(answer, local, me);
    }

    /// A message on its way to the session: its middleware sees it first.
    fn message_through(&mut self, message: Message, local: &mut Local, me: ActorId) -> Result<(), Close> {
        let span = self.around.enter();
        let message = self.around.inbound(message, Passage::new(&mut self.link, local, me))?;
        drop(span);
        match message {
            Some(message) if self.link.state.closing => local.pool.recycle(message.into_bytes()),
            Some(message) => return self.call(local, me, |session, cx| session.message(message, cx)),
            None => {}
        }
        Ok(())
    }

    /// Adds a part to the message that is coming in. Its block has room for the rest of the frame, as long as memory is
    /// ample; else it grows with what has come: a header costs its sender nothing, and must not cost others a block.
    fn assemble(&mut self, part: &[u8], local: &mut Local) -> Result<(), Ending> {
        let (had, room) = self.link.assembly.as_ref().map_or((0, 0), |block| (block.len(), block.room()));
        let missing = usize::try_from(self.link.machine.frame_bytes_missing()).unwrap_or(usize::MAX);
        let needed = had + part.len();
        let end = needed.saturating_add(missing);
        let message_bytes_max =
            usize::try_from(self.link.rules.wire.message_bytes_max).unwrap_or(usize::MAX).max(end);
        // Twice what was there, so that many fragments are not copied as many times.
        let in_advance = end.max(had * 2).min(message_bytes_max);
        let is_ample = missing > 0 && local.pool.is_ample(in_advance + HEADROOM_BYTES);
        if self.link.assembly.is_none() || room < part.len() || (is_ample && room < part.len() + missing) {
            let bytes = match missing {
                _ if is_ample => in_advance,
                0 => needed.max(message_bytes_max.min(needed.saturating_mul(2))), // how much follows is not known
                _ => end.min(needed.saturating_mul(2)),
            };
            let mut larger = local
                .pool
                .take(bytes + HEADROOM_BYTES)
                .map_err(|exhausted| short_of_memory(exhausted, local))?;
            larger.leave_headroom(HEADROOM_BYTES);
            if let Some(smaller) = self.link.assembly.take() {
                larger.extend_from_slice(&smaller).expect("it was taken with room for all");
                local.pool.recycle(smaller);
            }
            self.link.assembly = Some(larger);
        }
        let block = self.link.assembly.as_mut().expect("it is there or was just made");
        block.extend_from_slice(part).expect("it was taken with room for all");
        Ok(())
    }

    /// Reads what waited, as far as it may be read now.
    fn read_held(&mut self, local: &mut Local, me: ActorId) -> Result<(), Ending> {
        while let Some(bytes) = self.link.next_held() {
            self.read(bytes, true, local, me)?;
        }
        self.link.go_on_when_sent(local, me);
        self.link.resume_reading(local);
        if self.link.state.ended && !self.link.has_held() { Err(Ending::HungUp) } else { Ok(()) }
    }

    /// After everything that can end a connection.
    fn next(&mut self, result: Result<(), Ending>, local: &mut Local, me: ActorId) -> Next {
        match result {
            Ok(()) => Next::Stay,
            Err(ending) => self.end(ending, local, me),
        }
    }

    fn end(&mut self, ending: Ending, local: &mut Local, me: ActorId) -> Next {
        let (reason, goodbye) = match ending {
            Ending::Fail(close) => {
                let close = self.closing(close, local, me);
                self.link.queue_close(Some(&close), local, me);
                (
                    CloseReason {
                        code: self.link.closed_with, // what we said first, if we had closed already
                        reason: close.reason.into_owned(),
                        by: ClosedBy::Server,
                    },
                    true,
                )
            }
            Ending::Client { code, reason } => {
                let answer = code.map(|code| Close { code, reason: "".into() });
                self.link.queue_close(answer.as_ref(), local, me);
                (CloseReason { code: code.map_or(1005, CloseCode::get), reason, by: ClosedBy::Client }, true)
            }
            Ending::Done { reason } => {
                (CloseReason { code: self.link.closed_with, reason, by: ClosedBy::Server }, true)
            }
            // What it asked for before it hung up it may still read.
            Ending::HungUp => (broken("the client hung up without a close"), self.link.queued_bytes() > 0),
            Ending::Broken(reason) => (broken(&reason), false),
        };
        tracing::debug!(actor = ?me, code = reason.code, reason = reason.reason, by = ?reason.by, "connection ended");
        self.tell_closed(reason, local, me);
        self.leave(goodbye, local)
    }

    /// Hands the socket to a [`Farewell`], or lets it go at once.
    fn leave(&mut self, goodbye: bool, local: &mut Local) -> Next {
        let socket = self.link.socket;
        if let Some(assembly) = self.link.assembly.take() {
            if self.link.rules.planted == Some(Planted::Leaked) {
                std::mem::forget(assembly);
            } else {
                local.pool.recycle(assembly);
            }
        }
        let (outgoing, blocked) = self.link.take_all_outgoing();
        if goodbye {
            return Next::Become(Box::new(Farewell::new(
                socket,
                outgoing,
                blocked,
                self.link.state.ended,
                self.link.rules.close_timeout,
            )));
        }
        if let Some(outgoing) = outgoing {
            local.put_outgoing(outgoing);
        }
        local.requests.push(Request::Close { socket, reset: false });
        Next::Stop
    }

    fn reset(&mut self, why: &str, local: &mut Local, me: ActorId) -> Next {
        let reason = CloseReason { code: 1006, reason: why.into(), by: ClosedBy::Server };
        self.tell_closed(reason, local, me);
        if let (Some(outgoing), _) = self.link.take_all_outgoing() {
            local.put_outgoing(outgoing);
        }
        local.requests.push(Request::Close { socket: self.link.socket, reset: true });
        Next::Stop
    }

    /// It is open, if its middleware says so too.
    fn open_through(&mut self, local: &mut Local, me: ActorId) -> Result<(), Close> {
        let span = self.around.enter();
        self.around.open(Passage::new(&mut self.link, local, me))?;
        drop(span);
        self.call(local, me, S::open)
    }

    /// When to look at this connection next: it may have fallen silent by then.
    fn schedule_tick(&mut self, local: &mut Local, me: ActorId) {
        let rules = &self.link.rules;
        let idle_ms = rules.idle_timeout.as_millis() as u32;
        let ping_ms = rules.ping_interval.as_millis() as u32;
        let silent_ms = self.link.silent_ms(local.now());
        let often_ms = ping_ms.min(idle_ms);
        let delay_ms = match silent_ms {
            _ if silent_ms < often_ms => often_ms - silent_ms,
            // After a ping, in time for the next: a pong moves no tick.
            _ if silent_ms < idle_ms => often_ms.min(idle_ms - silent_ms),
            _ => often_ms, // it pauses
        };
        self.link.tick_in(delay_ms, local, me);
    }
}

impl<S: Session, G: Around> Cell for Connection<S, G> {
    fn parts(&mut self) -> (&mut dyn Any, Lent<'_>) {
        (&mut self.session, Lent { extra: &mut self.link, guard: self.around.guard() })
    }

    fn kind(&self) -> ActorKind {
        kind_of::<S>()
    }

    fn is_connection(&self) -> bool {
        true
    }

    fn started(&mut self, local: &mut Local, me: ActorId) -> Next {
        local.mark_dirty(me.slot); // the answer to the handshake
        self.schedule_tick(local, me);
        let answer = if G::NONE { self.call(local, me, S::open) } else { self.open_through(local, me) };
        self.answered(answer, local, me);
        // What came in the same segment as the handshake.
        let read = self.read_held(local, me);
        self.next(read, local, me)
    }

    fn stop(&mut self, local: &mut Local, me: ActorId) -> Next {
        self.close(Close::normal(), local, me);
        Next::Stay
    }

    fn fail(&mut self, _: Reason, local: &mut Local, me: ActorId) -> Next {
        self.end(Ending::Fail(Close::new(1011, "whom the session depended on has failed")), local, me)
    }

    fn returned(&mut self, returned: Returned, local: &mut Local, me: ActorId) -> Next {
        self.call(local, me, |session, cx| session.returned(returned, cx));
        Next::Stay
    }

    fn crashed(&mut self, panic: &str, local: &mut Local, me: ActorId) -> Next {
        let _span = self.around.enter();
        let close = Close::new(1011, "the session failed");
        let (close, panics) = self.around.panicked(panic, close, &mut self.link, local, me);
        if panics > 0 {
            local.counters.panics += u64::from(panics);
            tracing::error!(actor = ?me, "its middleware panicked when it was told of a panic");
        }
        self.link.queue_close(Some(&close), local, me);
        self.leave(true, local)
    }

    fn socket_event(&mut self, event: SocketEvent, local: &mut Local, me: ActorId) -> Next {
        let result = match event {
            SocketEvent::Received(bytes) => {
                self.link.heard(local.now());
                local.counters.bytes_in += bytes.len() as u64;
                if self.link.has_held() {
                    self.link.hold(bytes, local, me).map_err(|exhausted| short_of_memory(exhausted, local))
                } else {
                    let read = bytes.len();
                    let result = self.read(bytes, false, local, me);
                    self.link.choose_bulk(read, local);
                    result
                }
            }
            SocketEvent::Writable => {
                self.link.heard(local.now()); // it reads, so it lives
                if self.link.state.closing {
                    self.link.begin_closing(local, me); // and has that long again to come to our close
                }
                self.link.unblock(local, me);
                Ok(())
            }
            SocketEvent::Ended => self.hung_up(),
            SocketEvent::Failed(error) => Err(Ending::Broken(error.to_string())),
        };
        self.next(result, local, me)
    }

    fn readable(&mut self, reader: &mut dyn Reader, local: &mut Local, me: ActorId) -> Next {
        let result = self.read_bulk(reader, local, me);
        self.next(result, local, me)
    }

    fn tick(&mut self, local: &mut Local, me: ActorId) -> Next {
        // A resumed session's.
        if let Err(ending) = self.read_held(local, me) {
            return self.end(ending, local, me);
        }
        if !self.link.is_tick_due(local.now()) {
            self.link.tick_again(local, me);
            return Next::Stay;
        }
        if self.link.state.closing {
            if self.link.state.blocked {
                self.count_slow(local);
            }
            return self.reset("the client did not answer our close", local, me);
        }
        if self.link.wants_nothing() {
            self.link.heard(local.now()); // a session that wants to hear nothing hears no pongs either
        }
        let idle_ms = self.link.rules.idle_timeout.as_millis() as u32;
        let ping_ms = self.link.rules.ping_interval.as_millis() as u32;
        let silent_ms = self.link.silent_ms(local.now());
        if silent_ms >= idle_ms {
            if self.link.state.blocked {
                self.count_slow(local); // it is silent because it is not read from
            }
            return self.end(Ending::Fail(Close::new(1001, "nothing heard for too long")), local, me);
        }
        if silent_ms >= ping_ms && !self.link.state.pinged {
            self.link.state.pinged = true;
            if !self.link.state.blocked {
                let _ = self.link.queue(Opcode::Ping, true, Payload::Copied(&[]), local, me);
            }
        }
        self.schedule_tick(local, me);
        Next::Stay
    }

    fn take_outgoing(&mut self) -> Option<(SocketId, Box<Outgoing>)> {
        self.link.take_outgoing().map(|outgoing| (self.link.socket, outgoing))
    }

    fn sent(
        &mut self,
        outgoing: Box<Outgoing>,
        error: Option<io::Error>,
        local: &mut Local,
        me: ActorId,
    ) -> Next {
        if let Some(error) = error {
            local.put_outgoing(outgoing);
            return self.end(Ending::Broken(error.to_string()), local, me);
        }
        if !outgoing.is_empty() {
            self.link.block(outgoing, local);
            return Next::Stay;
        }
        local.put_outgoing(outgoing);
        let read = self.read_held(local, me);
        if self.link.state.waiting != Waiting::No {
            self.link.state.waiting = Waiting::AndDrained;
        } else if read.is_ok() && !self.link.state.closing {
            self.call(local, me, S::drained);
        }
        self.next(read, local, me)
    }

    fn go_on(&mut self, local: &mut Local, me: ActorId) -> Next {
        let waited = std::mem::take(&mut self.link.state.waiting);
        self.link.heard(local.now()); // its silence counts from now on
        if waited == Waiting::AndDrained && !self.link.state.closing {
            self.call(local, me, S::drained);
        }
        let read = self.read_held(local, me);
        self.next(read, local, me)
    }

    fn held_bytes(&self) -> usize {
        self.link.held_bytes()
    }

    fn shed(&mut self, local: &mut Local, me: ActorId) -> Next {
        tracing::warn!(actor = ?me, held_bytes = self.link.held_bytes(), "memory is short: the slowest client goes");
        self.reset("memory is short, and this client held the most of it", local, me)
    }

    fn shut_down(&mut self, local: &mut Local, me: ActorId, now: bool) -> Next {
        if now {
            return self.reset("the server went away", local, me);
        }
        self.close(Close::new(1001, "the server goes away"), local, me);
        Next::Stay
    }
}

/// The message at `payload`, with `consumed` bytes taken off the front of `bytes`. Small ones are copied, so that a
/// session that keeps one does not keep the block that many others share; so are larger ones when blocks are scarce.
fn take_message(bytes: &mut Buf, payload: Range<usize>, consumed: usize, local: &mut Local) -> Buf {
    let small = payload.len() <= GATHER_BYTES_MAX || local.pool.is_scarce(bytes);
    if small && let Ok(message) = local.pool.copy(&bytes[payload.clone()]) {
        bytes.advance(consumed);
        return message;
    }
    let mut frame = bytes.split_to(consumed);
    frame.advance(payload.start); // the header becomes headroom, where the answer's shorter one fits
    frame
}

fn failed(error: &WireError) -> Ending {
    Ending::Fail(Close { code: error.close_code(), reason: error.to_string().into() })
}

fn broken(reason: &str) -> CloseReason {
    CloseReason { code: 1006, reason: reason.into(), by: ClosedBy::Broken }
}

fn short_of_memory(exhausted: Exhausted, local: &mut Local) -> Ending {
    local.memory_is_short(exhausted);
    local.counters.shed += 1;
    Ending::Fail(Close { code: CloseCode::TRY_AGAIN_LATER, reason: "the server is short of memory".into() })
}

/// How much of one connection is read in one turn: as much as it takes for the answers to be a quarter of the largest
/// queue by default, so that none has to wait for the next turn.
const BULK_READ_BYTES_MAX: usize = 264 << 10;
/// Enough for a header, and to be worth copying.
const HEAD_BYTES_MAX: usize = 4 << 10;
/// For the longest header that a server sends.
const HEADROOM_BYTES: usize = 10;
