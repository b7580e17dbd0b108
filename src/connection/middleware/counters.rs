//! Counters: what is counted of connections by name.

use super::{Close, Message, Middleware, Passage};
use crate::connection::{CloseReason, Upgrade};
use crate::wire::http::Refusal;

/// Counts, shard by shard, in plain cells that [`Outside::stats`](crate::actor::Outside::stats) and
/// [`Context::stats`](crate::actor::Context::stats) read:
///
/// | counter | of what |
/// | --- | --- |
/// | `connection.opened` | connections that got as far as this |
/// | `connection.closed` | of those, the ones that have ended |
/// | `handler.processed` | messages that passed on their way to the session |
/// | `handler.panicked` | panics of the session |
///
/// What stands before it and refuses is not counted; what stands behind it and refuses is.
#[derive(Debug)]
pub struct Counters(());

impl Counters {
    /// For [`Server::with`](crate::Server::with).
    ///
    /// # Errors
    /// None.
    pub fn of(_: &Upgrade<'_>) -> Result<Self, Refusal> {
        Ok(Self(()))
    }
}

impl Middleware for Counters {
    fn open(&mut self, passage: &mut Passage<'_>) -> Result<(), Close> {
        passage.count("connection.opened", 1);
        Ok(())
    }

    #[inline]
    fn inbound(&mut self, message: Message, passage: &mut Passage<'_>) -> Result<Option<Message>, Close> {
        passage.count("handler.processed", 1);
        Ok(Some(message))
    }

    fn sees_outbound(&self) -> bool {
        false
    }

    fn panicked(&mut self, _: &str, close: Close, passage: &mut Passage<'_>) -> Close {
        passage.count("handler.panicked", 1);
        close
    }

    fn closed(&mut self, _: &mut CloseReason, passage: &mut Passage<'_>) {
        passage.count("connection.closed", 1);
    }
}
