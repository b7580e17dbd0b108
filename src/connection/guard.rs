//! What is around a session: nothing, or its middleware.
//!
//! Nothing takes no byte and no instruction. Middleware is compiled into its connection; only what a session sends comes
//! to it by a pointer, since a session does not know who stands around it.

use super::link::{Link, Payload, opcode_of};
use super::middleware::Middleware;
use super::{Close, CloseReason, Message, Passage, Text};
use crate::actor::cell::Guard;
use crate::actor::local::Local;
use crate::actor::{ActorId, Priority, Refused};
use crate::wire::{CloseCode, Kind};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use tracing::span::EnteredSpan;

/// What is around a session, as its connection sees it.
pub(crate) trait Around: 'static {
    /// Nothing is.
    const NONE: bool;

    fn guard(&mut self) -> Option<&mut dyn Guard>;

    /// Enters its span, if it has one.
    fn enter(&self) -> Option<EnteredSpan>;

    fn open(&mut self, at: Passage<'_>) -> Result<(), Close>;

    /// Whether the session was told that it is open.
    fn is_open(&self) -> bool;

    fn inbound(&mut self, message: Message, at: Passage<'_>) -> Result<Option<Message>, Close>;

    fn closing(&mut self, close: Close, at: Passage<'_>) -> Close;

    fn closed(&mut self, reason: &mut CloseReason, at: Passage<'_>);

    /// The session has panicked, or this has. What is said to the client, and how often somebody panicked over it.
    fn panicked(
        &mut self,
        panic: &str,
        close: Close,
        link: &mut Link,
        local: &mut Local,
        me: ActorId,
    ) -> (Close, u32);
}

impl Around for () {
    const NONE: bool = true;

    #[inline]
    fn guard(&mut self) -> Option<&mut dyn Guard> {
        None
    }

    #[inline]
    fn enter(&self) -> Option<EnteredSpan> {
        None
    }

    #[inline]
    fn open(&mut self, _: Passage<'_>) -> Result<(), Close> {
        Ok(())
    }

    #[inline]
    fn is_open(&self) -> bool {
        true
    }

    #[inline]
    fn inbound(&mut self, message: Message, _: Passage<'_>) -> Result<Option<Message>, Close> {
        Ok(Some(message))
    }

    #[inline]
    fn closing(&mut self, close: Close, _: Passage<'_>) -> Close {
        close
    }

    #[inline]
    fn closed(&mut self, _: &mut CloseReason, _: Passage<'_>) {}

    fn panicked(&mut self, _: &str, close: Close, _: &mut Link, _: &mut Local, _: ActorId) -> (Close, u32) {
        (close, 0)
    }
}

/// Middleware around a session, and how far it has come.
#[derive(Debug)]
pub(crate) struct Guarded<M> {
    middleware: M,
    /// It was told that the connection is open.
    began: bool,
    /// And so was the session.
    opened: bool,
    /// It was told that the connection has ended.
    ended: bool,
    /// What of a streamed message has been written, where that must be seen whole.
    streamed: Vec<u8>,
}

impl<M: Middleware> Guarded<M> {
    pub(crate) fn new(middleware: M) -> Self {
        Self { middleware, began: false, opened: false, ended: false, streamed: Vec::new() }
    }

    /// What the session sends: what is left of it.
    fn outbound(
        &mut self,
        message: Message,
        link: &mut Link,
        local: &mut Local,
        me: ActorId,
    ) -> Option<Message> {
        if self.ended {
            return Some(message); // its last words, which nobody sees
        }
        match self.middleware.outbound(message, &mut Passage::new(link, local, me)) {
            Ok(message) => message,
            Err(close) => {
                self.close(close, link, local, me);
                None
            }
        }
    }

    fn close(&mut self, close: Close, link: &mut Link, local: &mut Local, me: ActorId) {
        if !link.state.closing {
            let close = if self.ended {
                close
            } else {
                self.middleware.closing(close, &mut Passage::new(link, local, me))
            };
            link.queue_close(Some(&close), local, me);
            link.begin_closing(local, me);
        }
    }

    /// Queues what came out of [`Self::outbound`]. There was room for what went in.
    fn queue(
        &mut self,
        priority: Priority,
        message: Message,
        link: &mut Link,
        local: &mut Local,
        me: ActorId,
    ) {
        if link.machine.close_sent() {
            return local.pool.recycle(message.into_bytes());
        }
        let opcode = opcode_of(message.kind());
        let payload = Payload::Owned(message.into_bytes());
        if link.queue_anyway_at(priority, opcode, payload, local, me).is_err() {
            // The session was told that it is sent, so silence would be a lie.
            let reason = "the server is short of memory".into();
            self.close(Close { code: CloseCode::TRY_AGAIN_LATER, reason }, link, local, me);
        }
    }

    /// A piece of a message that is seen when it is whole.
    fn fragment(
        &mut self,
        piece: &mut Piece,
        link: &mut Link,
        local: &mut Local,
        me: ActorId,
    ) -> Result<(), Refused> {
        if link.machine.close_sent() {
            return Err(Refused::Gone);
        }
        let bytes = self.streamed.len() + piece.bytes.len();
        let bytes_max = link.rules.send_queue_bytes_max;
        if bytes > bytes_max {
            tracing::error!(
                actor = ?me, bytes_max,
                "a session streams a message that is too long to be shown to its middleware whole; raise \
                 send_queue_bytes_max, or have no middleware that sees what is sent"
            );
            self.close(Close::new(1011, "a message was too long for us"), link, local, me);
            return Err(Refused::Gone);
        }
        if piece.last && !link.has_room(bytes, local, me) {
            return Err(Refused::Full);
        }
        if !piece.last {
            self.streamed.append(&mut piece.bytes);
            return Ok(());
        }
        let mut whole = local.pool.take(bytes).map_err(|exhausted| {
            local.memory_is_short(exhausted);
            Refused::Full
        })?;
        for part in [std::mem::take(&mut self.streamed), std::mem::take(&mut piece.bytes)] {
            whole.extend_from_slice(&part).expect("it was taken with room for all");
        }
        let message = match piece.kind {
            Kind::Binary => Ok(Message::Binary(whole)),
            Kind::Text => Text::from_utf8(whole).map(Message::Text),
        };
        match message {
            Ok(message) => {
                if let Some(message) = self.outbound(message, link, local, me) {
                    self.queue(Priority::Normal, message, link, local, me);
                }
            }
            Err(bytes) => {
                local.pool.recycle(bytes);
                tracing::error!(actor = ?me, "a session has streamed a text that is none");
                self.close(Close::new(1011, "the session failed"), link, local, me);
            }
        }
        Ok(())
    }
}

/// What passes a guard: a request, and its outcome.
pub(super) enum Word {
    /// A message for the client. None: it was taken care of.
    Message(Option<Message>, Priority),
    /// A message of others for the client. What is left of it stays here, and is not sent.
    Delivered(Option<Message>),
    /// A part of one.
    Piece(Piece, Result<(), Refused>),
    /// Our side closes.
    Close(Close),
}

/// A part of a message that a session streams.
pub(super) struct Piece {
    pub(super) kind: Kind,
    pub(super) bytes: Vec<u8>,
    pub(super) last: bool,
}

impl<M: Middleware> Guard for Guarded<M> {
    fn pass(&mut self, word: &mut dyn Any, extra: &mut dyn Any, local: &mut Local, me: ActorId) {
        let word = word.downcast_mut::<Word>().expect("a client says words only");
        let link = extra.downcast_mut::<Link>().expect("a session's extra is its link");
        match word {
            Word::Message(message, priority) => {
                let message = message.take().expect("a word is said with what it is about");
                if let Some(message) = self.outbound(message, link, local, me) {
                    self.queue(*priority, message, link, local, me);
                }
            }
            Word::Delivered(message) => {
                *message = message.take().and_then(|message| self.outbound(message, link, local, me));
            }
            Word::Piece(piece, outcome) => *outcome = self.fragment(piece, link, local, me),
            Word::Close(close) => self.close(close.clone(), link, local, me),
        }
    }

    fn sees_all(&self) -> bool {
        self.middleware.sees_outbound()
    }
}

impl<M: Middleware> Around for Guarded<M> {
    const NONE: bool = false;

    fn guard(&mut self) -> Option<&mut dyn Guard> {
        Some(self)
    }

    fn enter(&self) -> Option<EnteredSpan> {
        self.middleware.span().filter(|span| !span.is_disabled()).map(|span| span.clone().entered())
    }

    fn open(&mut self, mut at: Passage<'_>) -> Result<(), Close> {
        self.began = true;
        self.middleware.open(&mut at)?;
        self.opened = !at.is_closing();
        Ok(())
    }

    fn is_open(&self) -> bool {
        self.opened
    }

    #[inline]
    fn inbound(&mut self, message: Message, mut at: Passage<'_>) -> Result<Option<Message>, Close> {
        self.middleware.inbound(message, &mut at)
    }

    fn closing(&mut self, close: Close, mut at: Passage<'_>) -> Close {
        self.middleware.closing(close, &mut at)
    }

    fn closed(&mut self, reason: &mut CloseReason, mut at: Passage<'_>) {
        if self.began && !std::mem::replace(&mut self.ended, true) {
            self.middleware.closed(reason, &mut at);
        }
    }

    fn panicked(
        &mut self,
        panic: &str,
        mut close: Close,
        link: &mut Link,
        local: &mut Local,
        me: ActorId,
    ) -> (Close, u32) {
        if self.ended {
            return (close, 0); // it was the session's last words
        }
        let mut panics = 0;
        // Each by itself: whoever panicked is asked too, and may do it again. What it is given is ours and whole.
        let mut contained =
            |f: &mut dyn FnMut()| panics += u32::from(catch_unwind(AssertUnwindSafe(f)).is_err());
        if link.state.closing {
            // It has heard why already.
            contained(&mut || {
                drop(self.middleware.panicked(panic, close.clone(), &mut Passage::new(link, local, me)))
            });
        } else {
            contained(&mut || {
                close = self.middleware.panicked(panic, close.clone(), &mut Passage::new(link, local, me));
                close = self.middleware.closing(close.clone(), &mut Passage::new(link, local, me));
            });
        }
        let mut reason = CloseReason {
            code: close.code(),
            reason: close.reason.clone().into_owned(),
            by: super::ClosedBy::Server,
        };
        contained(&mut || self.closed(&mut reason, Passage::new(link, local, me)));
        (close, panics)
    }
}
