//! Spans that follow messages, from whoever sends one to whoever handles it, on whatever shard.
//!
//! An envelope has no room for a span, so a message that has one travels inside another, which is delivered by entering
//! the span and delivering what is inside. Where nobody wants these spans no message has one: one test of a flag that is
//! set once a turn.

use super::Priority;
use super::address::ActorId;
use super::cell::{Cell, Next};
use super::envelope::{Delivery, Envelope, What};
use super::local::Local;
use super::mailbox::MailId;
use super::reply::Asker;
use crate::ring::parcel::Parcel;
use tracing::{Level, Span};

/// Whether somebody wants to see messages' spans.
pub(super) fn is_on() -> bool {
    tracing::span_enabled!(target: "corewire::message", Level::TRACE)
}

/// The span that is entered here, for what is done later; none if nobody wants it.
pub(super) fn current() -> Option<Span> {
    if is_on() { Some(Span::current()) } else { None }
}

/// A message with its span.
struct Carried {
    span: Span,
    delivery: &'static Delivery,
    parcel: Parcel,
}

/// As the delivery inside says, but for what it hides.
const CARRIED: &Delivery = &Delivery { deliver, key, names: || ("", ""), passes_duty: false };
const CARRIED_WITH_DUTY: &Delivery = &Delivery { deliver, key, names: || ("", ""), passes_duty: true };

fn deliver(cell: &mut dyn Cell, letter: MailId, local: &mut Local, me: &ActorId) -> Next {
    let (Carried { span, delivery, parcel }, asker) = local.open(letter);
    let (from, what) = match asker {
        Some(Asker { who, ask }) => (Some(who), What::Ask(delivery, Priority::Normal, ask)),
        None => (None, What::Message(delivery, Priority::Normal)),
    };
    local.run_alone(); // what comes after it has a span of its own, or none
    let letter = local.lay(Envelope { to: *me, from, what, parcel });
    span.in_scope(|| (delivery.deliver)(cell, letter, local, me))
}

fn key(parcel: &Parcel) -> Option<u64> {
    let carried = parcel.peek::<Carried>()?;
    (carried.delivery.key)(&carried.parcel)
}

impl Envelope {
    /// The same with a span, a child of the one that is entered here.
    #[cold]
    pub(super) fn carried(self) -> Self {
        let Some((delivery, _)) = self.delivery() else { return self };
        let Self { to, from, what, parcel } = self;
        let (actor, message) = (delivery.names)();
        let span = tracing::trace_span!(target: "corewire::message", "message", message, actor, ?from, ?to);
        let outer = if delivery.passes_duty { CARRIED_WITH_DUTY } else { CARRIED };
        let what = match what {
            What::Message(_, priority) => What::Message(outer, priority),
            What::Ask(_, priority, ask) => What::Ask(outer, priority, ask),
            other => other,
        };
        Self { to, from, what, parcel: Parcel::new(Carried { span, delivery, parcel }) }
    }

    /// The types of the actor and of the message.
    pub(super) fn names(&self) -> (&'static str, &'static str) {
        let delivery = match self.parcel.peek::<Carried>() {
            Some(carried) => Some(carried.delivery),
            None => self.delivery().map(|(delivery, _)| delivery),
        };
        delivery.map_or(("", ""), |delivery| (delivery.names)())
    }
}

/// The message itself, without a span.
pub(super) fn uncarried(parcel: Parcel) -> Parcel {
    parcel.downcast().map_or_else(|parcel| parcel, |Carried { parcel, .. }| parcel)
}

/// The same, to look at.
pub(super) fn look_inside(parcel: &Parcel) -> &Parcel {
    parcel.peek::<Carried>().map_or(parcel, |carried| &carried.parcel)
}
