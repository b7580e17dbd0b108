//! `Session`: what people write for each client.

use super::{Message, Migration};
use crate::actor::{
    Actor, Context, Overflow, Refused, Returned, SendError, Supervision, TasksFull, WatchesFull, WorkRefused,
};
use crate::buf::Exhausted;
use crate::shard::ShardId;
use crate::wire::{CloseCode, Kind};
use std::borrow::Cow;

/// The actor of one client. It lives on the client's shard, from the upgrade to the end of the connection, and runs one
/// callback at a time. Other actors reach it by the messages that it has a [`Handler`](crate::actor::Handler) for;
/// only its client can call [`Self::message`].
///
/// ```
/// use corewire::connection::{Close, Message, Session};
/// use corewire::actor::Context;
///
/// struct Shout;
/// impl Session for Shout {
///     fn message(&mut self, message: Message, cx: &mut Context<Self>) -> Result<(), Close> {
///         let Some(text) = message.as_text() else {
///             return Err(Close::new(1003, "text only"));
///         };
///         Ok(cx.client().send_text(&text.to_uppercase())?)
///     }
/// }
/// ```
pub trait Session: Sized + 'static {
    /// How many messages of other actors may wait for it, as [`Actor::MAILBOX_SLOTS`].
    const MAILBOX_SLOTS: Option<u32> = None;

    /// What is done with one more, as [`Actor::OVERFLOW`].
    const OVERFLOW: Overflow = Overflow::Refuse;

    /// What is done when an actor fails that it has started as its child, as [`Actor::SUPERVISION`].
    const SUPERVISION: Supervision = Supervision::ONE_FOR_ONE;

    /// Whether it may move to another shard, with its client, while it lives: [`Migration::ALLOWED`] for a session that is
    /// `Send` and keeps nothing of its shard. Not by itself, since a session may well keep something: the address of a service of
    /// its shard, say, which it would look up anew in [`Self::moved`].
    const MIGRATION: Option<Migration<Self>> = None;

    /// Whether [`Self::view`] is called for messages that lie in one piece in what was received.
    const VIEWS: bool = false;

    /// The connection is open; nothing has been received.
    ///
    /// # Errors
    /// Closes the connection.
    fn open(&mut self, cx: &mut Context<'_, Self>) -> Result<(), Close> {
        let _ = cx;
        Ok(())
    }

    /// The client has sent a message.
    ///
    /// # Errors
    /// Closes the connection. A queue that is full ([`Client::send`](super::Client::send)) becomes 1013 by `?`.
    fn message(&mut self, message: Message, cx: &mut Context<'_, Self>) -> Result<(), Close>;

    /// The client has sent a message, which is to be read where the kernel has put it: it is not copied, and gone when this
    /// returns. Called in place of [`Self::message`] if [`Self::VIEWS`] says so and the message came in one frame, which lies in
    /// one piece in what was received. Others come to `message`: long ones, those in several frames, those that two reads
    /// have cut, and all where there is [middleware](super::middleware). So one does what the other does.
    ///
    /// What is text is UTF-8 and checked.
    ///
    /// ```
    /// use corewire::prelude::*;
    /// use corewire::wire::Kind;
    ///
    /// /// Adds up bytes, and keeps none of them.
    /// struct Sum(u64);
    /// impl Session for Sum {
    ///     const VIEWS: bool = true;
    ///
    ///     fn view(&mut self, _: Kind, bytes: &[u8], _: &mut Context<Self>) -> Result<(), Close> {
    ///         self.0 += bytes.iter().copied().map(u64::from).sum::<u64>();
    ///         Ok(())
    ///     }
    ///
    ///     fn message(&mut self, message: Message, cx: &mut Context<Self>) -> Result<(), Close> {
    ///         self.view(message.kind(), message.as_bytes(), cx)
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    /// Closes the connection, as [`Self::message`].
    fn view(&mut self, kind: Kind, bytes: &[u8], cx: &mut Context<'_, Self>) -> Result<(), Close> {
        let _ = (kind, bytes, cx);
        Ok(())
    }

    /// There is room again: the client had not taken what was sent to it and now has, or a send was refused as
    /// [`Full`](SendError::Full) and what stood in its way is sent. May be told once too often; not told after a `Full` of
    /// another cause (memory of the shard, a stream that is open).
    fn drained(&mut self, cx: &mut Context<'_, Self>) {
        let _ = cx;
    }

    /// It has moved here from another shard. Its address is what it was.
    fn moved(&mut self, from: ShardId, cx: &mut Context<'_, Self>) {
        let _ = (from, cx);
    }

    /// A message of this session's to an actor on another shard came back, as in
    /// [`Actor::returned`](crate::actor::Actor::returned).
    fn returned(&mut self, returned: Returned, cx: &mut Context<'_, Self>) {
        let _ = (returned, cx);
    }

    /// The connection has ended, for whatever reason but a panic of this session. Nothing is called after.
    fn closed(&mut self, reason: CloseReason, cx: &mut Context<'_, Self>) {
        let _ = (reason, cx);
    }
}

/// Every session is an actor; what a connection needs beyond that is the framework's.
impl<S: Session> Actor for S {
    const IS_SESSION: bool = true;
    const MAILBOX_SLOTS: Option<u32> = S::MAILBOX_SLOTS;
    const OVERFLOW: Overflow = S::OVERFLOW;
    const SUPERVISION: Supervision = S::SUPERVISION;
}

/// Why and how to close.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Close {
    pub(crate) code: CloseCode,
    pub(crate) reason: Cow<'static, str>,
}

impl Close {
    /// A close with this code and reason. A code that may not travel (RFC 6455 §7.4; allowed are 1000–1003, 1007–1014
    /// and 3000–4999) becomes 1011. A reason is cut to 123 bytes.
    pub fn new(code: u16, reason: impl Into<Cow<'static, str>>) -> Self {
        let code = CloseCode::new(code).unwrap_or(CloseCode::INTERNAL_ERROR);
        Self { code, reason: reason.into() }
    }

    /// 1000: all is done.
    pub fn normal() -> Self {
        Self { code: CloseCode::NORMAL, reason: "".into() }
    }

    /// The code.
    pub fn code(&self) -> u16 {
        self.code.get()
    }
}

/// What the client is told: 1013 where a queue is full, 1011 where nobody is there.
impl<M> From<SendError<M>> for Close {
    #[cold]
    #[inline(never)]
    fn from(error: SendError<M>) -> Self {
        match error.reason() {
            Refused::Full => {
                Self { code: CloseCode::TRY_AGAIN_LATER, reason: "too much waits; try again later".into() }
            }
            Refused::Gone => {
                Self { code: CloseCode::INTERNAL_ERROR, reason: "whom this was for has stopped".into() }
            }
        }
    }
}

/// What the client is told: 1013.
impl<F> From<TasksFull<F>> for Close {
    fn from(_: TasksFull<F>) -> Self {
        Self { code: CloseCode::TRY_AGAIN_LATER, reason: "too much is under way; try again later".into() }
    }
}

/// What the client is told: 1013.
impl From<Exhausted> for Close {
    fn from(_: Exhausted) -> Self {
        Self { code: CloseCode::TRY_AGAIN_LATER, reason: "the server is short of memory".into() }
    }
}

/// What the client is told: 1013, or 1001 where the server ends.
impl<J> From<WorkRefused<J>> for Close {
    fn from(refused: WorkRefused<J>) -> Self {
        match refused {
            WorkRefused::Full(_) => Self {
                code: CloseCode::TRY_AGAIN_LATER,
                reason: "too much is under way; try again later".into(),
            },
            WorkRefused::Ending(_) => Self { code: CloseCode::GOING_AWAY, reason: "the server ends".into() },
        }
    }
}

/// What the client is told: 1013.
impl From<WatchesFull> for Close {
    fn from(_: WatchesFull) -> Self {
        Self { code: CloseCode::TRY_AGAIN_LATER, reason: "too much is watched; try again later".into() }
    }
}

/// How a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloseReason {
    /// The close code: what the first to close said (we, if it was both at once), 1005 if that was nothing (RFC 6455 §7.1.5), 1006 if the connection
    /// ended without a closing handshake.
    pub code: u16,
    /// In words, if there were any.
    pub reason: String,
    /// Who ended it.
    pub by: ClosedBy,
}

/// Who ended a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClosedBy {
    /// The client said close.
    Client,
    /// Our side did: the session, the server, a limit or a rule.
    Server,
    /// Nobody did: the connection broke.
    Broken,
}
