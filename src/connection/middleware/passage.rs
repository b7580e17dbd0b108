//! What a middleware may do while something passes it.

use crate::actor::local::Local;
use crate::actor::{ActorId, Priority, SendError, Sendable, To};
use crate::buf::{Buf, Exhausted};
use crate::connection::link::Link;
use crate::connection::{Client, Message, Text};
use crate::shard::{ShardId, Time};

/// A middleware's view of its connection and its shard.
///
/// ```
/// use corewire::prelude::*;
///
/// /// Answers for the session while it is away.
/// struct Away;
/// impl Middleware for Away {
///     fn inbound(&mut self, _: Message, passage: &mut Passage) -> Result<Option<Message>, Close> {
///         passage.client().send_text("back at nine")?;
///         Ok(None) // the session hears nothing
///     }
/// }
/// ```
#[derive(Debug)]
pub struct Passage<'a> {
    link: &'a mut Link,
    local: &'a mut Local,
    me: ActorId,
}

impl<'a> Passage<'a> {
    #[inline]
    pub(crate) fn new(link: &'a mut Link, local: &'a mut Local, me: ActorId) -> Self {
        Self { link, local, me }
    }

    /// Whether our side has closed.
    pub(crate) fn is_closing(&self) -> bool {
        self.link.state.closing
    }

    /// The session behind it.
    pub fn id(&self) -> ActorId {
        self.me
    }

    /// The shard that the connection lives on.
    pub fn shard(&self) -> ShardId {
        self.me.shard()
    }

    /// The time of this turn.
    pub fn now(&self) -> Time {
        self.local.now()
    }

    /// The client. What is sent by it goes straight there, past all middleware.
    pub fn client(&mut self) -> Client<'_> {
        Client::unguarded(self.link, self.local, &self.me)
    }

    /// Room for a message of `bytes` bytes, empty, in this shard's memory.
    ///
    /// # Errors
    /// The shard's quota for outgoing bytes is used up.
    pub fn buffer(&mut self, bytes: usize) -> Result<Buf, Exhausted> {
        self.local.pool.take(bytes)
    }

    /// A message of this text, to pass on in the place of another.
    ///
    /// # Errors
    /// As [`Self::buffer`]. `?` makes it a close with 1013.
    pub fn text(&mut self, text: &str) -> Result<Message, Exhausted> {
        let bytes = self.local.pool.copy(text.as_bytes())?;
        Ok(Message::Text(Text::from_utf8(bytes).expect("it was a text before it was copied")))
    }

    /// Sends `message` to an actor. Nobody hears it if it cannot be delivered on another shard.
    ///
    /// # Errors
    /// As [`Context::send`](crate::actor::Context::send).
    pub fn send<M: Sendable>(&mut self, to: impl To<M>, message: M) -> Result<(), SendError<M>> {
        self.local.send(to.route(), message, Priority::Normal, None)
    }

    /// Adds to a counter of this shard's, as [`Context::count`](crate::actor::Context::count).
    pub fn count(&mut self, name: &'static str, by: u64) {
        self.local.count(name, by);
    }
}
