//! Middleware: what stands between clients and sessions, sees what passes, and may change or refuse it.
//!
//! - [`Middleware`]: what people write; [`inbound`] and [`outbound`]: the same of a closure
//! - [`Passage`]: what it may do while something passes
//! - [`Chain`]: two, one outside the other; that is how several are put together, without a call through a pointer
//! - [`Logging`], [`Recovery`], [`Counters`]: what comes with corewire
//!
//! Does not know: which routes it stands before; that is said with [`Server::with`](crate::Server::with).
//!
//! A message comes from the client through the outermost first, and leaves for the client through it last.

mod closures;
mod counters;
mod logging;
mod passage;
mod recovery;

pub use closures::{Inbound, Outbound, inbound, outbound};
pub use counters::Counters;
pub use logging::Logging;
pub use passage::Passage;
pub use recovery::Recovery;

use super::{Close, CloseReason, Message};

/// What stands between one client and its session. It is made when the client asks for an upgrade, by the function that
/// [`Server::with`](crate::Server::with) is given, and may refuse it there; it lives on the connection's shard as long as
/// the connection, and runs one callback at a time with its session.
///
/// Every callback passes on what it is given unless it is written to do something else. A panic in one of them is the
/// session's: see [`Self::panicked`].
///
/// ```
/// use corewire::prelude::*;
///
/// /// At most so many messages of a client.
/// struct Quota(u32);
/// impl Middleware for Quota {
///     fn inbound(&mut self, message: Message, _: &mut Passage) -> Result<Option<Message>, Close> {
///         self.0 = self.0.checked_sub(1).ok_or_else(|| Close::new(1008, "you have said enough"))?;
///         Ok(Some(message)) // passes; `Ok(None)` would be heard by nobody
///     }
/// }
///
/// # struct Echo;
/// # impl Session for Echo {
/// #     fn message(&mut self, message: Message, cx: &mut Context<Self>) -> Result<(), Close> {
/// #         Ok(cx.client().send(message)?)
/// #     }
/// # }
/// let server = Server::bind(":9001")
///     .with(|upgrade: &Upgrade| match upgrade.header("authorization") {
///         Some(_) => Ok(Quota(1000)),
///         None => Err(Refusal::new(401)),
///     })
///     .at("/", |_: &Upgrade| Ok(Echo));
/// ```
pub trait Middleware: 'static {
    /// The connection is open, and its session hears it next.
    ///
    /// # Errors
    /// Closes the connection, as [`Client::close`](super::Client::close) does here. What is further inside is not opened: not
    /// told of anything, its end included.
    fn open(&mut self, passage: &mut Passage<'_>) -> Result<(), Close> {
        let _ = passage;
        Ok(())
    }

    /// The client has sent a message. What is returned goes on to the session: this, or another, or nothing.
    ///
    /// # Errors
    /// Closes the connection.
    fn inbound(&mut self, message: Message, passage: &mut Passage<'_>) -> Result<Option<Message>, Close> {
        let _ = passage;
        Ok(Some(message))
    }

    /// The session sends a message. What is returned goes on to the client: this, or another, or nothing. The session
    /// is told [`Full`](crate::actor::SendError::Full) before, by the size of what it sends, and not for what is made of
    /// it here.
    ///
    /// # Errors
    /// Closes the connection. The session is not told: for it, the message is sent.
    fn outbound(&mut self, message: Message, passage: &mut Passage<'_>) -> Result<Option<Message>, Close> {
        let _ = passage;
        Ok(Some(message))
    }

    /// Whether it has a use for [`Self::outbound`]. Where one on the way has, a text that the session would have copied
    /// to the client once is copied twice, and what it [streams](super::Client::stream) goes out in one piece, when it is
    /// whole; more than [`send_queue_bytes_max`](super::Rules::send_queue_bytes_max) of that ends the connection with 1011.
    /// So who looks at nothing says `false` here.
    fn sees_outbound(&self) -> bool {
        true
    }

    /// Our side closes, for whatever reason. What is returned is said to the client. Not called where the client closes
    /// first.
    fn closing(&mut self, close: Close, passage: &mut Passage<'_>) -> Close {
        let _ = passage;
        close
    }

    /// The session has panicked with this message, or one of its middleware has: the connection ends with `close`, or with
    /// what is returned. [`Self::closing`] sees that too.
    fn panicked(&mut self, panic: &str, close: Close, passage: &mut Passage<'_>) -> Close {
        let _ = (panic, passage);
        close
    }

    /// The connection has ended, for whatever reason. Called once if [`Self::open`] was, and nothing after it. The session
    /// hears what is left in `reason`, unless it has panicked.
    fn closed(&mut self, reason: &mut CloseReason, passage: &mut Passage<'_>) {
        let _ = (reason, passage);
    }

    /// A span in which everything happens that concerns this connection, but for the messages that its session gets from
    /// other actors.
    fn span(&self) -> Option<&tracing::Span> {
        None
    }
}

/// Nothing: for who has looked at the request, and lets it in.
impl Middleware for () {
    fn sees_outbound(&self) -> bool {
        false
    }
}

/// Of which kind it is is not known before it runs. One indirect call each time.
impl<M: Middleware + ?Sized> Middleware for Box<M> {
    fn open(&mut self, passage: &mut Passage<'_>) -> Result<(), Close> {
        (**self).open(passage)
    }

    fn inbound(&mut self, message: Message, passage: &mut Passage<'_>) -> Result<Option<Message>, Close> {
        (**self).inbound(message, passage)
    }

    fn outbound(&mut self, message: Message, passage: &mut Passage<'_>) -> Result<Option<Message>, Close> {
        (**self).outbound(message, passage)
    }

    fn sees_outbound(&self) -> bool {
        (**self).sees_outbound()
    }

    fn closing(&mut self, close: Close, passage: &mut Passage<'_>) -> Close {
        (**self).closing(close, passage)
    }

    fn panicked(&mut self, panic: &str, close: Close, passage: &mut Passage<'_>) -> Close {
        (**self).panicked(panic, close, passage)
    }

    fn closed(&mut self, reason: &mut CloseReason, passage: &mut Passage<'_>) {
        (**self).closed(reason, passage);
    }

    fn span(&self) -> Option<&tracing::Span> {
        (**self).span()
    }
}

/// Two of them: the first is nearer to the client.
#[derive(Debug)]
pub struct Chain<A, B> {
    outer: A,
    inner: B,
    /// The outer has let it open.
    reached: bool,
}

impl<A: Middleware, B: Middleware> Chain<A, B> {
    /// `outer` around `inner`.
    pub fn new(outer: A, inner: B) -> Self {
        Self { outer, inner, reached: false }
    }
}

impl<A: Middleware, B: Middleware> Middleware for Chain<A, B> {
    fn open(&mut self, passage: &mut Passage<'_>) -> Result<(), Close> {
        self.outer.open(passage)?;
        if passage.is_closing() {
            return Ok(());
        }
        self.reached = true;
        self.inner.open(passage)
    }

    #[inline]
    fn inbound(&mut self, message: Message, passage: &mut Passage<'_>) -> Result<Option<Message>, Close> {
        match self.outer.inbound(message, passage)? {
            Some(message) => self.inner.inbound(message, passage),
            None => Ok(None),
        }
    }

    #[inline]
    fn outbound(&mut self, message: Message, passage: &mut Passage<'_>) -> Result<Option<Message>, Close> {
        match self.inner.outbound(message, passage)? {
            Some(message) => self.outer.outbound(message, passage),
            None => Ok(None),
        }
    }

    fn sees_outbound(&self) -> bool {
        self.outer.sees_outbound() || self.inner.sees_outbound()
    }

    fn closing(&mut self, close: Close, passage: &mut Passage<'_>) -> Close {
        let close = if self.reached { self.inner.closing(close, passage) } else { close };
        self.outer.closing(close, passage)
    }

    fn panicked(&mut self, panic: &str, close: Close, passage: &mut Passage<'_>) -> Close {
        let close = if self.reached { self.inner.panicked(panic, close, passage) } else { close };
        self.outer.panicked(panic, close, passage)
    }

    fn closed(&mut self, reason: &mut CloseReason, passage: &mut Passage<'_>) {
        self.outer.closed(reason, passage);
        if self.reached {
            self.inner.closed(reason, passage);
        }
    }

    fn span(&self) -> Option<&tracing::Span> {
        self.inner.span().or_else(|| self.outer.span())
    }
}
