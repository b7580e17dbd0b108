//! Accepting later: a request waits while another thread makes up its mind.

use super::guard::Around;
use super::handshake::Verdict;
use super::link::Link;
use super::{Connection, Session};
use crate::actor::ActorId;
use crate::actor::cell::Cell;
use crate::actor::outside::Calls;
use crate::wire::http::Refusal;
use std::any::Any;

/// The right to answer one request to upgrade, from any thread, for whom the route does not know yet: a user that has
/// to be looked up, a token that has to be checked. The client waits meanwhile, up to
/// [`Rules::handshake_timeout`](super::Rules::handshake_timeout); then it is answered 408 and the ticket is worth
/// nothing. A ticket that is dropped is answered 503.
///
/// ```
/// use corewire::prelude::*;
/// use corewire::connection::Ticket;
///
/// struct Desk { user: String }
/// impl Session for Desk {
///     fn message(&mut self, _: Message, cx: &mut Context<Self>) -> Result<(), Close> {
///         Ok(cx.client().send_text(&self.user)?)
///     }
/// }
///
/// let server = Server::bind(":9001").at_later("/desk", |upgrade: &Upgrade, ticket: Ticket<Desk>| {
///     let token = upgrade.header("authorization").map(str::to_owned);
///     std::thread::spawn(move || match token {
///         Some(user) => ticket.accept(|| Desk { user }), // after a slow look-up
///         None => ticket.refuse(Refusal::new(401)),
///     });
/// });
/// ```
pub struct Ticket<S> {
    verdict: Option<flume::Sender<Verdict>>,
    calls: Calls,
    /// The request that waits.
    to: ActorId,
    /// Makes its connection, with what is around it.
    build: fn(S, Link, Box<dyn Any>) -> Box<dyn Cell>,
}

impl<S: Session> Ticket<S> {
    /// A ticket, and where its use shows.
    pub(crate) fn new<G: Around>(calls: Calls, to: ActorId) -> (Self, flume::Receiver<Verdict>) {
        let (verdict, receiver) = flume::bounded(1);
        (Self { verdict: Some(verdict), calls, to, build: build::<S, G> }, receiver)
    }

    /// Opens the WebSocket. `make` is called on the connection's shard, so the session need not be `Send`.
    pub fn accept(self, make: impl FnOnce() -> S + Send + 'static) {
        let build = self.build;
        self.say(Ok(Box::new(move |link, around| build(make(), link, around))));
    }

    /// Answers with a status.
    pub fn refuse(self, refusal: Refusal) {
        self.say(Err(refusal));
    }

    fn say(&self, verdict: Verdict) {
        if let Some(sender) = &self.verdict {
            // The one place is free: a ticket is used once. A receiver that has gone needs no answer any more.
            let _ = sender.try_send(verdict);
        }
    }
}

fn build<S: Session, G: Around>(session: S, link: Link, around: Box<dyn Any>) -> Box<dyn Cell> {
    let around: Box<G> =
        around.downcast().expect("a ticket and what is around its session are made together");
    Box::new(Connection::new(session, link, *around))
}

impl<S> Drop for Ticket<S> {
    fn drop(&mut self) {
        // Whether something was said or never will be, it must show before the shard looks.
        self.verdict = None;
        self.calls.poke(self.to);
    }
}

impl<S> std::fmt::Debug for Ticket<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ticket").finish_non_exhaustive()
    }
}
