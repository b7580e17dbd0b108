//! Middleware of one closure.

use super::{Close, Message, Middleware, Passage};
use std::fmt;

/// Middleware that does this with every message that the client sends.
///
/// ```
/// use corewire::connection::middleware::inbound;
/// use corewire::prelude::*;
///
/// # struct Echo;
/// # impl Session for Echo {
/// #     fn message(&mut self, message: Message, cx: &mut Context<Self>) -> Result<(), Close> {
/// #         Ok(cx.client().send(message)?)
/// #     }
/// # }
/// let server = Server::bind(":9001")
///     .with(|_: &Upgrade| {
///         Ok(inbound(|message, _| match message {
///             Message::Text(_) => Ok(Some(message)),
///             Message::Binary(_) => Err(Close::new(1003, "text only")),
///         }))
///     })
///     .at("/", |_: &Upgrade| Ok(Echo));
/// ```
pub fn inbound<F>(f: F) -> Inbound<F>
where
    F: FnMut(Message, &mut Passage<'_>) -> Result<Option<Message>, Close> + 'static,
{
    Inbound(f)
}

/// Middleware that does this with every message that the session sends.
///
/// ```
/// use corewire::connection::middleware::outbound;
/// use corewire::prelude::*;
///
/// /// For clients who must not hear of anything secret.
/// fn censor(_: &Upgrade) -> Result<impl Middleware + use<>, Refusal> {
///     Ok(outbound(|message, passage| match message.as_text() {
///         Some(text) if text.contains("secret") => Ok(Some(passage.text("(removed)")?)),
///         _ => Ok(Some(message)),
///     }))
/// }
/// ```
pub fn outbound<F>(f: F) -> Outbound<F>
where
    F: FnMut(Message, &mut Passage<'_>) -> Result<Option<Message>, Close> + 'static,
{
    Outbound(f)
}

/// From [`inbound`].
pub struct Inbound<F>(F);

/// From [`outbound`].
pub struct Outbound<F>(F);

impl<F> Middleware for Inbound<F>
where
    F: FnMut(Message, &mut Passage<'_>) -> Result<Option<Message>, Close> + 'static,
{
    #[inline]
    fn inbound(&mut self, message: Message, passage: &mut Passage<'_>) -> Result<Option<Message>, Close> {
        (self.0)(message, passage)
    }

    fn sees_outbound(&self) -> bool {
        false
    }
}

impl<F> Middleware for Outbound<F>
where
    F: FnMut(Message, &mut Passage<'_>) -> Result<Option<Message>, Close> + 'static,
{
    #[inline]
    fn outbound(&mut self, message: Message, passage: &mut Passage<'_>) -> Result<Option<Message>, Close> {
        (self.0)(message, passage)
    }
}

impl<F> fmt::Debug for Inbound<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Inbound(..)")
    }
}

impl<F> fmt::Debug for Outbound<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Outbound(..)")
    }
}
