//! Accepting later: a request waits while another thread makes up its mind.

use super::handshake::Verdict;
use super::{Connection, Session};
use crate::actor::ActorId;
use crate::actor::cell::Cell;
use crate::actor::outside::Calls;
use crate::wire::http::Refusal;
use std::marker::PhantomData;

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
    session: PhantomData<fn() -> S>,
}

impl<S: Session> Ticket<S> {
    /// A ticket, and where its use shows.
    pub(crate) fn new(calls: Calls, to: ActorId) -> (Self, flume::Receiver<Verdict>) {
        let (verdict, receiver) = flume::bounded(1);
        (Self { verdict: Some(verdict), calls, to, session: PhantomData }, receiver)
    }

    /// Opens the WebSocket. `make` is called on the connection's shard, so the session need not be `Send`.
    pub fn accept(self, make: impl FnOnce() -> S + Send + 'static) {
        self.say(Ok(Box::new(|link| Box::new(Connection::new(make(), link)) as Box<dyn Cell>)));
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
