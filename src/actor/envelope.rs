//! A message on its way: to whom, from whom, and what to do with it on arrival.

use super::address::{ActorId, Refused};
use super::ask::{Answers, AskError, AskId, AtOnce};
use super::cell::{Cell, Next};
use super::local::Local;
use super::mailbox::MailId;
use super::reply::{Asker, ReplyTo, Request};
use super::trail::uncarried;
use super::{Actor, Context, Handler, Priority, Sendable};
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
    Message(&'static Delivery, Priority),
    /// The same, and the sender waits for an answer.
    Ask(&'static Delivery, Priority, AskId),
    /// It could not be delivered, and here it is back.
    Returned(Refused),
    /// Here is the answer to a question of the receiver's.
    Answer(AskId),
    /// There is none.
    NoAnswer(AskId, AskError),
    /// For the shard itself.
    Shard,
}

const _: () = assert!(size_of::<Envelope>() == 128); // two cache lines: a message between shards moves them both

impl What {
    /// A message, with `ask` one whose answer is waited for.
    #[inline]
    pub(crate) fn message(delivery: &'static Delivery, priority: Priority, ask: Option<AskId>) -> Self {
        match ask {
            None => Self::Message(delivery, priority),
            Some(ask) => Self::Ask(delivery, priority, ask),
        }
    }

    /// When it is to be handled.
    #[inline]
    pub(crate) fn priority(self) -> Priority {
        match self {
            Self::Message(_, priority) | Self::Ask(_, priority, _) => priority,
            _ => Priority::Normal,
        }
    }
}

impl Envelope {
    /// Who waits for an answer to it.
    pub(crate) fn asker(&self) -> Option<Asker> {
        match self.what {
            What::Ask(.., ask) => self.from.map(|who| Asker { who, ask }),
            _ => None,
        }
    }

    /// How it is given to its actor, and when.
    pub(crate) fn delivery(&self) -> Option<(&'static Delivery, Priority)> {
        match self.what {
            What::Message(delivery, priority) | What::Ask(delivery, priority, _) => {
                Some((delivery, priority))
            }
            _ => None,
        }
    }

    /// The same, if it is for a mailbox.
    #[inline]
    pub(crate) fn mail_priority(&self) -> Option<Priority> {
        match self.what {
            What::Message(_, priority) | What::Ask(_, priority, _) => Some(priority),
            _ => None,
        }
    }

    /// When it is to be handled.
    #[inline]
    pub(crate) fn priority(&self) -> Priority {
        self.what.priority()
    }

    /// Turns it into the same on its way back. False if there is nobody to go back to.
    pub(crate) fn turn_back(&mut self, reason: Refused) -> bool {
        match (self.what, self.from) {
            (What::Message(..), Some(_)) => self.what = What::Returned(reason),
            (What::Ask(.., ask), Some(asker)) => {
                (self.what, self.to, self.from) = (What::NoAnswer(ask, reason.into()), asker, None);
            }
            _ => return false,
        }
        true
    }

    /// Where one on its way back goes.
    pub(crate) fn home(&self) -> Option<ActorId> {
        match self.what {
            What::Returned(_) => self.from,
            What::Answer(_) | What::NoAnswer(..) => Some(self.to),
            What::Message(..) | What::Ask(..) | What::Shard => None,
        }
    }
}

/// What is known about a message to an actor when neither's type is.
#[derive(Debug)]
pub struct Delivery {
    /// Opens the envelope, calls the handler of its message's type, and answers who asks. Goes on with what is alike behind it.
    pub(crate) deliver: fn(&mut dyn Cell, MailId, &mut Local, &ActorId) -> Next,
    /// What it says that it is the latest of.
    pub(crate) key: fn(&Parcel) -> Option<u64>,
    /// The actor's type, and the message's.
    pub(crate) names: fn() -> (&'static str, &'static str),
    /// Whether the handler gets the duty to answer, as a [`ReplyTo`] that sees to it even in a panic.
    pub(crate) passes_duty: bool,
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
        Self { to, reason, parcel: uncarried(parcel) }
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

pub(crate) fn deliver<A: Handler<M>, M: Sendable>(
    cell: &mut dyn Cell,
    letter: MailId,
    local: &mut Local,
    me: &ActorId,
) -> Next {
    with_actor(cell, local, *me, |actor: &mut A, cx| {
        let (message, asker) = cx.local.open::<M>(letter);
        let reply = actor.handle(message, cx);
        if let Some(asker) = asker {
            return cx.local.answer(asker, Ok(Parcel::new(reply)));
        }
        drop(reply);
        while !cx.is_stopping()
            && let Some(message) = cx.local.take_alike::<M>(me.slot, <A as Answers<M, AtOnce>>::DELIVERY)
        {
            actor.handle(message, cx);
        }
    })
}

pub(crate) fn names<A, M>() -> (&'static str, &'static str) {
    (std::any::type_name::<A>(), std::any::type_name::<M>())
}

pub(crate) fn key<A: Handler<M>, M: Sendable>(parcel: &Parcel) -> Option<u64> {
    A::key(parcel.peek::<M>()?)
}

pub(crate) fn deliver_request<A: Handler<Request<M, R>>, M: Sendable, R: Send + 'static>(
    cell: &mut dyn Cell,
    letter: MailId,
    local: &mut Local,
    me: &ActorId,
) -> Next {
    let priority = local.priority_of(letter);
    let (message, asker) = local.open::<M>(letter);
    let Some(asker) = asker else { return Next::Stay }; // made for asks, so there is always one
    let request = Request { message, reply: ReplyTo::new(asker, priority, local.calls().clone()) };
    with_actor(cell, local, *me, |actor: &mut A, cx| {
        actor.handle(request, cx);
    })
}

/// Calls `f` with the actor inside `cell`, and asks the cell what follows if it wants to stop.
#[inline]
pub(crate) fn with_actor<A: Actor>(
    cell: &mut dyn Cell,
    local: &mut Local,
    me: ActorId,
    f: impl FnOnce(&mut A, &mut Context<'_, A>),
) -> Next {
    let mut parts = cell.parts();
    let actor = parts.0.get::<A>().expect("an address carries the type of its actor");
    let mut cx = Context::new(local, me, &mut parts.1);
    f(actor, &mut cx);
    if cx.is_stopping() { cell.stop(local, me) } else { Next::Stay }
}
