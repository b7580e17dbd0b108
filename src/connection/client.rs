//! What a session does to its client.

use super::guard::{Piece, Word};
use super::link::{Link, Payload, opcode_of};
use super::session::{Close, Session};
use super::{Message, Rules};
use crate::actor::cell::Guard;
use crate::actor::local::Local;
use crate::actor::{ActorId, Context, Priority, Refused, SendError};
use crate::buf::{Buf, Exhausted};
use crate::wire::Kind;
use crate::wire::frame::{CONTROL_BYTES_MAX, Opcode};
use std::any::Any;

/// The client of a session, while one of its callbacks runs. From [`Context::client`].
///
/// What is sent is queued, and all of it leaves in one send at the end of the turn.
pub struct Client<'a> {
    link: &'a mut Link,
    local: &'a mut Local,
    /// By reference: as a copy it would be read wider than it was written, which waits.
    me: &'a ActorId,
    /// Its middleware, if it has any.
    guard: Option<&'a mut dyn Guard>,
}

impl<S: Session> Context<'_, S> {
    /// The client of this session.
    pub fn client(&mut self) -> Client<'_> {
        let extra: &mut dyn Any = self.lent.extra;
        let link = extra.downcast_mut::<Link>().expect("a session's context carries its link");
        let guard = self.lent.guard.as_mut().map(|guard| &mut **guard as &mut dyn Guard);
        Client { link, local: self.local, me: &self.me, guard }
    }

    /// Room for a message of `bytes` bytes, empty, in this shard's memory.
    ///
    /// # Errors
    /// The shard's quota for outgoing bytes is used up.
    pub fn buffer(&mut self, bytes: usize) -> Result<Buf, Exhausted> {
        self.local.pool.take(bytes)
    }
}

impl<'a> Client<'a> {
    /// The client, without anybody between.
    pub(crate) fn unguarded(link: &'a mut Link, local: &'a mut Local, me: &'a ActorId) -> Self {
        Self { link, local, me, guard: None }
    }

    /// The client of a session that is not running.
    pub(super) fn with(
        link: &'a mut Link,
        local: &'a mut Local,
        me: &'a ActorId,
        guard: Option<&'a mut dyn Guard>,
    ) -> Self {
        Self { link, local, me, guard }
    }
}

impl Client<'_> {
    /// Sends a message. Its bytes move; they are copied only where that is cheaper (up to 512 of them).
    ///
    /// # Errors
    /// [`SendError::Full`]: too much waits for this client already, see [`Rules::send_queue_bytes_max`].
    /// Or a [`Self::stream`] has begun and not finished: a message cannot go into another (RFC 6455 §5.4).
    /// [`SendError::Gone`]: the connection is closing. The message comes back either way.
    #[inline]
    pub fn send(&mut self, message: Message) -> Result<(), SendError<Message>> {
        let opcode = opcode_of(message.kind());
        if self.guard.is_none() && self.link.queue_next(opcode, message.as_bytes(), self.local, self.me.slot)
        {
            self.local.pool.recycle(message.into_bytes());
            return Ok(());
        }
        // Apart, and in parts, so that this is small enough to become part of the session's handler.
        let guard = self.guard.as_mut().map(|guard| &mut **guard as &mut dyn Guard);
        Self::send_slowly(self.link, self.local, self.me, guard, message)
    }

    #[inline(never)]
    fn send_slowly<'c>(
        link: &'c mut Link,
        local: &'c mut Local,
        me: &'c ActorId,
        guard: Option<&'c mut dyn Guard>,
        message: Message,
    ) -> Result<(), SendError<Message>> {
        if link.state.streaming {
            return Err(SendError::Full(message));
        }
        let mut client = Client { link, local, me, guard };
        match client.guard {
            Some(_) => client.send_guarded(Priority::Normal, message),
            None => client.send_straight(Priority::Normal, message),
        }
    }

    /// Sends a message that goes before others, or after them, while the client has not taken what was sent before: what
    /// waits with a higher [`Priority`] leaves first, also of what [rooms](Context::deliver) have for it, and in between
    /// are at most 64 KiB or one message that were on their way already. Messages of one priority keep their order. A client
    /// that keeps up gets everything as it is sent; but what is [`Low`](Priority::Low) waits for a turn in which its shard has
    /// nothing else to do, for the next message to this client or for [`LOW_WAITS`](crate::actor::LOW_WAITS) turns, whichever is
    /// first, and goes together then.
    ///
    /// # Errors
    /// As [`Self::send`].
    ///
    /// ```
    /// use corewire::actor::Priority;
    /// use corewire::prelude::*;
    ///
    /// struct Trader;
    /// impl Session for Trader {
    ///     fn message(&mut self, order: Message, cx: &mut Context<Self>) -> Result<(), Close> {
    ///         cx.client().send_text_at(Priority::Critical, "filled")?; // not behind a hundred quotes
    ///         Ok(cx.client().send_at(Priority::Low, order)?) // for their records
    ///     }
    /// }
    /// ```
    pub fn send_at(&mut self, priority: Priority, message: Message) -> Result<(), SendError<Message>> {
        if self.link.state.streaming {
            return Err(SendError::Full(message));
        }
        if self.guard.is_some() {
            return self.send_guarded(priority, message);
        }
        self.send_straight(priority, message)
    }

    #[inline]
    fn send_straight(&mut self, priority: Priority, message: Message) -> Result<(), SendError<Message>> {
        let kind = message.kind();
        let payload = Payload::Owned(message.into_bytes());
        let sent = self.link.queue_at(priority, opcode_of(kind), payload, self.local, *self.me);
        let back = |payload| match payload {
            Payload::Owned(bytes) => Message::checked(kind, bytes),
            Payload::Copied(_) => unreachable!("an owned payload comes back owned"),
        };
        sent.map_err(|error| match error {
            SendError::Full(payload) => SendError::Full(back(payload)),
            SendError::Gone(payload) => SendError::Gone(back(payload)),
        })
    }

    /// Sends a copy of `text`.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub fn send_text<'t>(&mut self, text: &'t str) -> Result<(), SendError<&'t str>> {
        self.send_text_at(Priority::Normal, text)
    }

    /// Sends a copy of `text`, as [`Self::send_at`].
    ///
    /// # Errors
    /// As [`Self::send`].
    #[inline]
    pub fn send_text_at<'t>(&mut self, priority: Priority, text: &'t str) -> Result<(), SendError<&'t str>> {
        self.send_copied(priority, Kind::Text, text.as_bytes())
            .map_err(|full| if full { SendError::Full(text) } else { SendError::Gone(text) })
    }

    /// Sends a copy of `bytes`.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub fn send_binary<'t>(&mut self, bytes: &'t [u8]) -> Result<(), SendError<&'t [u8]>> {
        self.send_binary_at(Priority::Normal, bytes)
    }

    /// Sends a copy of `bytes`, as [`Self::send_at`].
    ///
    /// # Errors
    /// As [`Self::send`].
    #[inline]
    pub fn send_binary_at<'t>(
        &mut self,
        priority: Priority,
        bytes: &'t [u8],
    ) -> Result<(), SendError<&'t [u8]>> {
        self.send_copied(priority, Kind::Binary, bytes)
            .map_err(|full| if full { SendError::Full(bytes) } else { SendError::Gone(bytes) })
    }

    /// Sends a message in fragments, as they become known (RFC 6455 §5.4). Nothing but pings can be sent to this
    /// client until it is finished.
    ///
    /// # Errors
    /// As [`Self::send`].
    ///
    /// ```
    /// use corewire::actor::SendError;
    /// use corewire::connection::Client;
    /// use corewire::wire::Kind;
    ///
    /// fn report(client: &mut Client<'_>, rows: &[&str]) -> Result<(), SendError<()>> {
    ///     let mut stream = client.stream(Kind::Text);
    ///     for row in rows {
    ///         stream.write(row.as_bytes())?; // whole characters only, if it is text
    ///     }
    ///     stream.finish()
    /// }
    /// ```
    pub fn stream(&mut self, kind: Kind) -> Stream<'_> {
        let next = if self.link.state.streaming { Opcode::Continuation } else { opcode_of(kind) };
        let guard = match &mut self.guard {
            Some(guard) if guard.sees_all() => Some(&mut **guard as &mut dyn Guard),
            _ => None,
        };
        Stream { link: self.link, local: self.local, me: *self.me, kind, next, guard }
    }

    /// Sends a ping with up to 125 bytes; more are cut off. The answer is heard by the connection only.
    ///
    /// # Errors
    /// [`SendError::Full`]: memory is short. [`SendError::Gone`]: the connection is closing.
    pub fn ping(&mut self, payload: &[u8]) -> Result<(), SendError<()>> {
        let payload = &payload[..payload.len().min(CONTROL_BYTES_MAX)];
        let sent = self.link.queue(Opcode::Ping, true, Payload::Copied(payload), self.local, *self.me);
        sent.map_err(|error| {
            if matches!(error, SendError::Full(_)) { SendError::Full(()) } else { SendError::Gone(()) }
        })
    }

    /// Closes the connection when this callback returns, after what was sent. Returning `Err` of the same does as well.
    pub fn close(&mut self, close: Close) {
        if let Some(guard) = &mut self.guard {
            guard.pass(&mut Word::Close(close), self.link, self.local, *self.me);
        } else if !self.link.state.closing {
            self.link.queue_close(Some(&close), self.local, *self.me);
            self.link.begin_closing(self.local, *self.me);
        }
    }

    /// Bytes that wait for this client. If more than a few of low priority are still there when the next turn begins, it has
    /// not taken what was sent to it.
    pub fn queued_bytes(&self) -> usize {
        self.link.queued_bytes()
    }

    /// Hears nothing from this client until [`Self::resume`], and soon lets TCP tell it to wait. Messages that were
    /// received already wait too. Pongs are not heard either, so the idle time-out does not apply meanwhile.
    pub fn pause(&mut self) {
        self.link.pause(self.local);
    }

    /// Hears this client again.
    pub fn resume(&mut self) {
        self.link.resume(self.local, *self.me);
    }

    /// What this connection may do.
    pub fn rules(&self) -> &Rules {
        &self.link.rules
    }

    fn send_copied(&mut self, priority: Priority, kind: Kind, bytes: &[u8]) -> Result<(), bool> {
        if self.link.state.streaming {
            return Err(true);
        }
        if let Some(guard) = &self.guard
            && guard.sees_all()
        {
            return self.send_copied_guarded(priority, kind, bytes);
        }
        let opcode = opcode_of(kind);
        if priority == Priority::Normal && self.link.queue_next(opcode, bytes, self.local, self.me.slot) {
            return Ok(());
        }
        let payload = Payload::Copied(bytes);
        let sent = self.link.queue_at(priority, opcode, payload, self.local, *self.me);
        sent.map_err(|error| matches!(error, SendError::Full(_)))
    }
}

/// Where there is middleware.
impl Client<'_> {
    #[inline(never)]
    fn send_guarded(&mut self, priority: Priority, message: Message) -> Result<(), SendError<Message>> {
        let Some(guard) = self.guard.as_mut().filter(|guard| guard.sees_all()) else {
            return self.send_straight(priority, message);
        };
        if self.link.machine.close_sent() {
            return Err(SendError::Gone(message));
        }
        // Asked before it is changed: what comes back to the session must be what it sent.
        if !self.link.has_room(message.len(), self.local, *self.me) {
            return Err(SendError::Full(message));
        }
        guard.pass(&mut Word::Message(Some(message), priority), self.link, self.local, *self.me);
        Ok(())
    }

    #[inline(never)]
    fn send_copied_guarded(&mut self, priority: Priority, kind: Kind, bytes: &[u8]) -> Result<(), bool> {
        if self.link.machine.close_sent() {
            return Err(false);
        }
        if !self.link.has_room(bytes.len(), self.local, *self.me) {
            return Err(true);
        }
        let own = self.local.pool.copy(bytes).map_err(|exhausted| {
            self.local.memory_is_short(exhausted);
            true
        })?;
        self.send_guarded(priority, Message::checked(kind, own)).map_err(|error| {
            let full = matches!(error, SendError::Full(_));
            self.local.pool.recycle(error.into_inner().into_bytes());
            full
        })
    }
}

impl std::fmt::Debug for Client<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("link", &self.link).field("me", &self.me).finish_non_exhaustive()
    }
}

/// A message that is sent in fragments. Dropped before [`Self::finish`], it stays open: go on with
/// [`Client::stream`], in a later callback if need be.
pub struct Stream<'a> {
    link: &'a mut Link,
    local: &'a mut Local,
    me: ActorId,
    kind: Kind,
    next: Opcode,
    /// Its middleware, if that is to see the message.
    guard: Option<&'a mut dyn Guard>,
}

impl Stream<'_> {
    /// Sends a fragment.
    ///
    /// # Errors
    /// As [`Client::send`]; nothing of it was sent.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), SendError<()>> {
        self.fragment(bytes, false)
    }

    /// Ends the message.
    ///
    /// # Errors
    /// As [`Client::send`]; it is not ended.
    pub fn finish(mut self) -> Result<(), SendError<()>> {
        self.fragment(&[], true)
    }

    fn fragment(&mut self, bytes: &[u8], fin: bool) -> Result<(), SendError<()>> {
        if let Some(guard) = &mut self.guard {
            let piece = Piece { kind: self.kind, bytes: bytes.to_vec(), last: fin };
            let mut word = Word::Piece(piece, Ok(()));
            guard.pass(&mut word, self.link, self.local, self.me);
            match word {
                Word::Piece(_, Err(Refused::Full)) => return Err(SendError::Full(())),
                Word::Piece(_, Err(Refused::Gone)) => return Err(SendError::Gone(())),
                _ => {}
            }
        } else {
            let sent = self.link.queue(self.next, fin, Payload::Copied(bytes), self.local, self.me);
            sent.map_err(|error| {
                if matches!(error, SendError::Full(_)) { SendError::Full(()) } else { SendError::Gone(()) }
            })?;
        }
        self.next = Opcode::Continuation;
        self.link.state.streaming = !fin;
        if fin {
            self.link.go_on_later(self.local, self.me);
        }
        Ok(())
    }
}

impl std::fmt::Debug for Stream<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream").field("me", &self.me).field("next", &self.next).finish_non_exhaustive()
    }
}
