//! Reaching whoever handles a message, without knowing what it is.

use super::address::{ActorId, Address};
use super::ask::{Answers, AtOnce};
use super::envelope::Delivery;
use super::{Handler, Sendable};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;

/// Any actor that handles `M`: an [`Address`] that has forgotten all else. 24 bytes, free to copy.
///
/// ```
/// use corewire::actor::Recipient;
/// use corewire::prelude::*;
///
/// #[derive(Clone)]
/// struct Tick(u64);
///
/// /// Tells whoever wants to hear it.
/// struct Clock(Vec<Recipient<Tick>>);
/// impl Actor for Clock {}
/// impl Handler<Tick> for Clock {
///     type Reply = usize; // how many could not be told
///     fn handle(&mut self, tick: Tick, cx: &mut Context<Self>) -> usize {
///         cx.send_to_many(self.0.iter().copied(), tick)
///     }
/// }
///
/// fn chain(first: Address<Clock>) -> Clock {
///     Clock(vec![first.recipient()]) // a clock handles ticks, so it is a recipient of them
/// }
/// ```
pub struct Recipient<M> {
    id: ActorId,
    delivery: &'static Delivery,
    message: PhantomData<fn(M)>,
}

impl<M> Recipient<M> {
    /// Which actor it is.
    pub fn id(self) -> ActorId {
        self.id
    }
}

impl<A: Handler<M>, M: Sendable> From<Address<A>> for Recipient<M> {
    fn from(address: Address<A>) -> Self {
        Self { id: address.id, delivery: <A as Answers<M, AtOnce>>::DELIVERY, message: PhantomData }
    }
}

impl<A: super::Actor> Address<A> {
    /// The same actor, as one that handles `M`.
    pub fn recipient<M: Sendable>(self) -> Recipient<M>
    where
        A: Handler<M>,
    {
        self.into()
    }
}

/// Where an `M` can be sent: the [`Address`] of an actor that handles it, or a [`Recipient`] of it.
#[diagnostic::on_unimplemented(
    message = "`{M}` cannot be sent to `{Self}`",
    label = "expected an `Address` of an actor that handles `{M}`, or a `Recipient<{M}>`"
)]
pub trait To<M>: Copy {
    #[doc(hidden)]
    fn route(self) -> Route;
}

/// Which actor, and how a message is given to it.
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
pub struct Route {
    pub(crate) id: ActorId,
    pub(crate) delivery: &'static Delivery,
}

impl<A: Handler<M>, M: Sendable> To<M> for Address<A> {
    #[inline]
    fn route(self) -> Route {
        Route { id: self.id, delivery: <A as Answers<M, AtOnce>>::DELIVERY }
    }
}

impl<M: Sendable> To<M> for Recipient<M> {
    #[inline]
    fn route(self) -> Route {
        Route { id: self.id, delivery: self.delivery }
    }
}

impl<M> Clone for Recipient<M> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<M> Copy for Recipient<M> {}

impl<M> PartialEq for Recipient<M> {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl<M> Eq for Recipient<M> {}

impl<M> Hash for Recipient<M> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
}

impl<M> fmt::Debug for Recipient<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recipient({:?})", self.id)
    }
}
