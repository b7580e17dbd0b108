//! Hearing of each other's end: watches, which tell, and links, which take along.

use super::address::ActorId;
use super::ask::{Answers, AtOnce};
use super::local::How;
use super::{Actor, Address, Context, Handler, Reason, Recipient};
use std::fmt;

/// An actor that this one watches has ended. Comes before all mail: what that actor sent before may still wait.
///
/// ```
/// use corewire::actor::{ActorId, Down};
/// use corewire::prelude::*;
///
/// struct Seat { player: ActorId }
/// impl Actor for Seat {
///     fn started(&mut self, cx: &mut Context<Self>) {
///         if cx.watch(self.player).is_err() {
///             cx.stop(); // the shard watches as many as it may
///         }
///     }
/// }
/// impl Handler<Down> for Seat {
///     type Reply = ();
///     fn handle(&mut self, down: Down, cx: &mut Context<Self>) {
///         println!("{:?} has left: {}", down.who, down.reason);
///         cx.stop();
///     }
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Down {
    /// Who.
    pub who: ActorId,
    /// Why; [`Reason::Gone`] if it had ended before it was watched.
    pub reason: Reason,
}

impl<A: Actor> Context<'_, A> {
    /// Tells this actor, by one [`Down`], when `who` has ended, on whatever shard it lives; at once if it is gone already. A
    /// restart by its supervisor is not an end. Watching twice is watching once. When this actor is itself made anew by its
    /// supervisor, it watches nobody.
    ///
    /// # Errors
    /// This shard's actors watch as many as [`watches_max`](crate::server::Config::watches_max) allows.
    pub fn watch(&mut self, who: impl Into<ActorId>) -> Result<(), WatchesFull>
    where
        A: Handler<Down>,
    {
        let delivery = <A as Answers<Down, AtOnce>>::DELIVERY;
        self.local.watch(self.identity(), who.into(), How::Watch(delivery))
    }

    /// Takes a watch back: no [`Down`] will come for it. False if there is none, or its `Down` has come.
    pub fn unwatch(&mut self, who: impl Into<ActorId>) -> bool {
        self.local.unwatch(self.identity(), who.into(), false)
    }

    /// Ties this actor and `who` together: when either fails ([`Reason::is_failure`]), or `who` is gone already, the other
    /// fails too, with [`Reason::Linked`]. A failed session closes with 1011. A link lasts over restarts of both, which are
    /// no ends.
    ///
    /// # Errors
    /// As [`Self::watch`]; a link is one more on the shard of who makes it.
    ///
    /// ```
    /// use corewire::prelude::*;
    ///
    /// struct Reader;
    /// impl Actor for Reader {}
    ///
    /// /// Half of a pair: neither is of use without the other.
    /// struct Writer(Address<Reader>);
    /// impl Actor for Writer {
    ///     fn started(&mut self, cx: &mut Context<Self>) {
    ///         if cx.link(self.0).is_err() {
    ///             cx.stop();
    ///         }
    ///     }
    /// }
    /// ```
    pub fn link(&mut self, who: impl Into<ActorId>) -> Result<(), WatchesFull> {
        self.local.watch(self.identity(), who.into(), How::Link)
    }

    /// Takes back a link that this actor made. False if there is none.
    pub fn unlink(&mut self, who: impl Into<ActorId>) -> bool {
        self.local.unwatch(self.identity(), who.into(), true)
    }
}

impl<A: Actor> From<Address<A>> for ActorId {
    fn from(address: Address<A>) -> Self {
        address.id()
    }
}

impl<M> From<Recipient<M>> for ActorId {
    fn from(recipient: Recipient<M>) -> Self {
        recipient.id()
    }
}

/// The actors of this shard watch, and are linked to, as many as [`watches_max`](crate::server::Config::watches_max)
/// allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WatchesFull;

impl fmt::Display for WatchesFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this shard's actors watch as many as watches_max allows; watch fewer, or raise it")
    }
}

impl std::error::Error for WatchesFull {}
