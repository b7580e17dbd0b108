//! A message on its way: to whom, from whom, and what to do with it on arrival.

use super::address::{ActorId, Refused};
use super::cell::{Cell, Next};
use super::local::Local;
use super::{Actor, Context, Handler};
use crate::ring::parcel::Parcel;

/// A message of any type, addressed.
#[derive(Debug)]
pub(crate) struct Envelope {
    pub(crate) to: ActorId,
    /// Whom to tell if it cannot be delivered.
    pub(crate) from: Option<ActorId>,
    pub(crate) what: What,
    pub(crate) parcel: Parcel,
}

/// What an envelope is for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum What {
    /// Hand the parcel to the handler that this knows.
    Message(&'static Delivery),
    /// It could not be delivered, and here it is back.
    Returned(Refused),
    /// For the shard itself.
    Shard,
}

/// What is known about a message to an actor when neither's type is.
#[derive(Debug)]
pub(crate) struct Delivery {
    /// Unpacks the parcel and calls the handler of its type.
    pub(crate) deliver: fn(&mut dyn Cell, Parcel, &mut Local, ActorId) -> Next,
}

/// The [`Delivery`] of messages of type `M` to actors of type `A`.
pub(crate) const fn delivery<A: Handler<M>, M: Send + 'static>() -> &'static Delivery {
    const { &Delivery { deliver: deliver::<A, M> } }
}

/// A message that could not be delivered on another shard and came back to its sender.
#[derive(Debug)]
pub struct Returned {
    /// Whom it was for.
    pub to: ActorId,
    /// Why it is back.
    pub reason: Refused,
    parcel: Parcel,
}

impl Returned {
    pub(crate) fn new(to: ActorId, reason: Refused, parcel: Parcel) -> Self {
        Self { to, reason, parcel }
    }

    /// The message, if it is an `M`.
    ///
    /// # Errors
    /// It is not; `self` comes back.
    pub fn downcast<M: 'static>(self) -> Result<M, Self> {
        let Self { to, reason, parcel } = self;
        parcel.downcast().map_err(|parcel| Self { to, reason, parcel })
    }

    /// The name of the message's type, for logs.
    pub fn type_name(&self) -> &'static str {
        self.parcel.type_name()
    }
}

fn deliver<A: Handler<M>, M: Send + 'static>(
    cell: &mut dyn Cell,
    parcel: Parcel,
    local: &mut Local,
    me: ActorId,
) -> Next {
    let message = parcel.downcast::<M>().expect("an envelope's function and parcel are made together");
    with_actor(cell, local, me, |actor: &mut A, cx| {
        actor.handle(message, cx);
    })
}

/// Calls `f` with the actor inside `cell`, and asks the cell what follows if it wants to stop.
pub(crate) fn with_actor<A: Actor>(
    cell: &mut dyn Cell,
    local: &mut Local,
    me: ActorId,
    f: impl FnOnce(&mut A, &mut Context<'_, A>),
) -> Next {
    let (actor, extra) = cell.parts();
    let actor = actor.downcast_mut::<A>().expect("an address carries the type of its actor");
    let mut cx = Context::new(local, me, extra);
    f(actor, &mut cx);
    if cx.is_stopping() { cell.stop(local, me) } else { Next::Stay }
}
