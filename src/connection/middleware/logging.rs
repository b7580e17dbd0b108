//! Logging: a span a connection, and a line for what happens to it.

use super::{Close, Message, Middleware, Passage};
use crate::connection::{CloseReason, Upgrade};
use crate::shard::Time;
use crate::wire::http::Refusal;
use tracing::Span;

/// Logs a connection's beginning and end at `INFO` and its messages at `DEBUG`, without what is in them, all in a span
/// `connection` of its own with path and peer. What the session logs in its callbacks is in that span too. The query is
/// not logged: tokens stand in it.
///
/// What the subscriber does not want costs next to nothing: a span that is off is nothing, and each line is one look at a
/// number.
///
/// ```
/// use corewire::prelude::*;
///
/// # struct Echo;
/// # impl Session for Echo {
/// #     fn message(&mut self, message: Message, cx: &mut Context<Self>) -> Result<(), Close> {
/// #         Ok(cx.client().send(message)?)
/// #     }
/// # }
/// let server = Server::bind(":9001").with(Logging::of).at("/", |_: &Upgrade| Ok(Echo));
/// ```
#[derive(Debug)]
pub struct Logging {
    span: Span,
    opened_at: Time,
    heard: u64,
}

impl Logging {
    /// For [`Server::with`](crate::Server::with).
    ///
    /// # Errors
    /// None.
    pub fn of(upgrade: &Upgrade<'_>) -> Result<Self, Refusal> {
        let span = tracing::info_span!("connection", path = upgrade.path(), peer = %upgrade.peer());
        Ok(Self { span, opened_at: Time::ZERO, heard: 0 })
    }
}

impl Middleware for Logging {
    fn open(&mut self, passage: &mut Passage<'_>) -> Result<(), Close> {
        self.opened_at = passage.now();
        tracing::info!(actor = ?passage.id(), "opened");
        Ok(())
    }

    #[inline]
    fn inbound(&mut self, message: Message, _: &mut Passage<'_>) -> Result<Option<Message>, Close> {
        self.heard += 1;
        tracing::debug!(kind = ?message.kind(), bytes = message.len(), "heard");
        Ok(Some(message))
    }

    fn sees_outbound(&self) -> bool {
        false
    }

    fn panicked(&mut self, panic: &str, close: Close, _: &mut Passage<'_>) -> Close {
        tracing::warn!(panic, "the session panicked");
        close
    }

    fn closed(&mut self, reason: &mut CloseReason, passage: &mut Passage<'_>) {
        let after_ms = passage.now().since(self.opened_at).as_millis() as u64;
        tracing::info!(code = reason.code, reason = reason.reason, by = ?reason.by, heard = self.heard, after_ms, "closed");
    }

    fn span(&self) -> Option<&Span> {
        Some(&self.span)
    }
}
