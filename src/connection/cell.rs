//! An open connection in its slot: the session, and the link under it.
//!
//! - `read`: from bytes to messages
//! - `end`: why it is over, and what is done then

mod end;
mod read;

use self::end::{Ending, short_of_memory};
use super::guard::Around;
use super::link::{LINK_BYTES, Link, Payload, Waiting};
use super::session::{Close, Session};
use super::{Message, Passage};
use crate::actor::cell::{Cell, Lent, Next, kind_of};
use crate::actor::envelope::Returned;
use crate::actor::local::{ActorKind, Local};
use crate::actor::moving::Packed;
use crate::actor::{ActorId, Context, Reason};
use crate::buf::Buf;
use crate::ring::typed::Typed;
use crate::shard::{Outgoing, Reader, ShardId, SocketEvent, SocketId, Time};
use crate::wire::frame::Opcode;
use crate::wire::{CloseCode, Kind};
use std::io;

/// A session, its link, and what is around them: its middleware, or nothing.
pub(crate) struct Connection<S, G = ()> {
    session: S,
    link: Link,
    around: G,
}

const _: () = assert!(size_of::<Connection<()>>() == LINK_BYTES); // where there is no middleware, it takes no room

impl<S: Session, G: Around> Connection<S, G> {
    pub(crate) fn new(session: S, link: Link, around: G) -> Self {
        Self { session, link, around }
    }

    #[inline(always)] // see `read_message`
    fn call<R>(
        &mut self,
        local: &mut Local,
        me: ActorId,
        f: impl FnOnce(&mut S, &mut Context<'_, S>) -> R,
    ) -> R {
        let _span = self.around.enter();
        let mut lent = Lent { extra: &mut self.link, guard: self.around.guard() };
        let mut cx = Context::new(local, me, &mut lent);
        let result = f(&mut self.session, &mut cx);
        if cx.is_stopping() {
            self.close(Close::normal(), local, me);
        }
        result
    }

    /// Says close, and waits for the client to say it too.
    fn close(&mut self, close: Close, local: &mut Local, me: ActorId) {
        if !self.link.state.closing {
            let close = self.closing(close, local, me);
            self.link.queue_close(Some(&close), local, me);
            self.link.begin_closing(local, me);
        }
    }

    /// What the session answered.
    #[inline]
    fn answered(&mut self, answer: Result<(), Close>, local: &mut Local, me: ActorId) {
        if let Err(close) = answer {
            self.answered_close(close, local, me);
        }
    }

    #[cold]
    fn answered_close(&mut self, close: Close, local: &mut Local, me: ActorId) {
        if close.code == CloseCode::TRY_AGAIN_LATER && self.link.state.refused {
            self.link.count_slow(local);
        }
        self.close(close, local, me);
    }

    /// A message that was put together, or is large. Not where the others come, so that those are compiled for themselves.
    #[inline(never)]
    fn message_apart(&mut self, kind: Kind, bytes: Buf, local: &mut Local, me: ActorId) {
        if self.is_heard() {
            self.message(Message::checked(kind, bytes), local, me);
        } else {
            local.pool.recycle(bytes);
        }
    }

    /// Whether anybody listens: not to what was said before our close reached the client.
    #[inline(always)]
    fn is_heard(&self) -> bool {
        !self.link.state.closing
    }

    #[inline(always)] // see `read_message`
    fn message(&mut self, message: Message, local: &mut Local, me: ActorId) {
        let began = begin_message(local);
        // Not by `call`: a closure that is called from two places is compiled apart, and the message passes through memory.
        let answer = if G::NONE {
            let mut lent = Lent { extra: &mut self.link, guard: None };
            let mut cx = Context::new(local, me, &mut lent);
            let answer = self.session.message(message, &mut cx);
            if cx.is_stopping() {
                self.close(Close::normal(), local, me);
            }
            answer
        } else {
            self.message_through(message, local, me)
        };
        self.end_message(began, answer, local, me);
    }

    /// A message that the session looks at where it lies.
    #[inline(always)] // see `read_message`
    fn view(&mut self, kind: Kind, bytes: &[u8], local: &mut Local, me: ActorId) {
        let began = begin_message(local);
        let answer = self.call(local, me, |session, cx| session.view(kind, bytes, cx));
        self.end_message(began, answer, local, me);
    }

    /// The session has heard a message: does what it answers.
    #[inline(always)]
    fn end_message(
        &mut self,
        began: Option<Time>,
        answer: Result<(), Close>,
        local: &mut Local,
        me: ActorId,
    ) {
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

    /// It is open, if its middleware says so too.
    fn open_through(&mut self, local: &mut Local, me: ActorId) -> Result<(), Close> {
        let span = self.around.enter();
        self.around.open(Passage::new(&mut self.link, local, me))?;
        drop(span);
        if !self.around.is_open() {
            return Ok(()); // it has closed
        }
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

/// A session is about to hear a message: counts it, and takes the time of one in many.
#[inline(always)]
fn begin_message(local: &mut Local) -> Option<Time> {
    local.counters.messages_in += 1;
    if local.is_sample_due() { local.begin_sample() } else { None }
}

impl<S: Session, G: Around> Cell for Connection<S, G> {
    fn parts(&mut self) -> (Typed<'_>, Lent<'_>) {
        (Typed::new(&mut self.session), Lent { extra: &mut self.link, guard: self.around.guard() })
    }

    fn kind(&self) -> ActorKind {
        kind_of::<S>()
    }

    fn is_connection(&self) -> bool {
        true
    }

    fn may_move(&self) -> bool {
        G::NONE && S::MIGRATION.is_some() && self.link.may_move()
    }

    fn detach(&mut self, local: &mut Local, _: ActorId) {
        self.link.detach(local);
    }

    fn pack(mut self: Box<Self>, local: &mut Local) -> Result<Box<dyn Packed>, Box<dyn Cell>> {
        let Some(migration) = S::MIGRATION else { return Err(self) };
        match self.link.pack(local) {
            Ok(link) => Ok(migration.pack(self.session, link)),
            Err(exhausted) => {
                local.memory_is_short(exhausted);
                Err(self)
            }
        }
    }

    fn stays(&mut self, socket: SocketId, local: &mut Local, me: ActorId) {
        self.link.stays(socket, local, me);
        self.schedule_tick(local, me);
    }

    fn arrived(&mut self, from: ShardId, local: &mut Local, me: ActorId) -> Next {
        self.link.stays(self.link.socket, local, me);
        self.schedule_tick(local, me);
        self.call(local, me, |session, cx| session.moved(from, cx));
        Next::Stay
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
                self.link.count_slow(local);
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
                self.link.count_slow(local); // it is silent because it is not read from
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
        let read = self.read_held(local, me); // first, so that pongs need not wait for what is released
        self.link.release_later(local, me);
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
