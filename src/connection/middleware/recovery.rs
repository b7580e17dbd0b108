//! Recovery: what the client and the log are told of a session that panicked.

use super::{Close, Message, Middleware, Passage};
use crate::connection::Upgrade;
use crate::wire::http::Refusal;

/// Says who is to blame when a session panics: in the log, with the path, the client and how much it had said by then; and
/// to the client, in words of yours. Without it the client hears 1011 and "the session failed", and the log has the
/// panic with the session's type and number.
///
/// The session is gone either way: its state may be half changed. Others go on.
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
/// let server = Server::bind(":9001")
///     .with(Recovery::saying(Close::new(1011, "sorry; we look into it")))
///     .at("/", |_: &Upgrade| Ok(Echo));
/// ```
#[derive(Debug)]
pub struct Recovery {
    close: Close,
    path: Box<str>,
    peer: std::net::SocketAddr,
    heard: u64,
}

impl Recovery {
    /// One that says this to the client, for [`Server::with`](crate::Server::with).
    pub fn saying(
        close: Close,
    ) -> impl for<'a, 'r> Fn(&'a Upgrade<'r>) -> Result<Self, Refusal> + Clone + Send + Sync + use<> {
        move |upgrade| {
            Ok(Self { close: close.clone(), path: upgrade.path().into(), peer: upgrade.peer(), heard: 0 })
        }
    }
}

impl Middleware for Recovery {
    #[inline]
    fn inbound(&mut self, message: Message, _: &mut Passage<'_>) -> Result<Option<Message>, Close> {
        self.heard += 1;
        Ok(Some(message))
    }

    fn sees_outbound(&self) -> bool {
        false
    }

    fn panicked(&mut self, panic: &str, _: Close, passage: &mut Passage<'_>) -> Close {
        let Self { path, peer, heard, close } = self;
        tracing::error!(actor = ?passage.id(), %path, %peer, message = *heard, panic, "a session panicked; its client is told");
        close.clone()
    }
}
