//! Asking: a message that is answered, once.

use super::address::{Address, Refused, SendError};
use super::envelope::{Delivery, deliver, deliver_request, key, names, with_actor};
use super::reply::Request;
use super::{Actor, Context, Handler, Priority, Route, Sendable};
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

/// Answers messages of type `M`: by a [`Handler<M>`](Handler), whose return value is the answer, or by a
/// [`Handler<Request<M, R>>`](Handler), which answers when it likes. Nobody implements this; it follows.
///
/// `How` is one of [`AtOnce`] and [`InTime`], and inferred.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not answer `{M}`",
    label = "there is neither a `Handler<{M}>` nor a `Handler<Request<{M}, _>>` for it",
    note = "write `impl Handler<{M}> for {Self}`; what `handle` returns is the answer"
)]
pub trait Answers<M, How>: Actor {
    /// The answer.
    type Reply: Send + 'static;

    #[doc(hidden)]
    const DELIVERY: &'static Delivery;
}

/// The answer is what the handler returns.
#[derive(Debug)]
pub enum AtOnce {}

/// The handler gets a [`Request`] and answers it in time.
#[derive(Debug)]
pub struct InTime<R>(PhantomData<R>);

impl<A: Handler<M>, M: Sendable> Answers<M, AtOnce> for A {
    type Reply = A::Reply;

    const DELIVERY: &'static Delivery =
        &Delivery { deliver: deliver::<A, M>, key: key::<A, M>, names: names::<A, M>, passes_duty: false };
}

impl<A: Handler<Request<M, R>>, M: Sendable, R: Send + 'static> Answers<M, InTime<R>> for A {
    type Reply = R;

    const DELIVERY: &'static Delivery = &Delivery {
        deliver: deliver_request::<A, M, R>,
        key: |_| None,
        names: names::<A, M>,
        passes_duty: true,
    };
}

/// A question that has not been put yet, from [`Context::ask`].
#[must_use = "a question is put by `then`"]
pub struct Ask<'c, 'a, A, B, M, How> {
    pub(super) cx: &'c mut Context<'a, A>,
    pub(super) to: Address<B>,
    pub(super) message: M,
    pub(super) within: Duration,
    pub(super) priority: Priority,
    pub(super) how: PhantomData<How>,
}

impl<A: Actor, B: Answers<M, How>, M: Sendable, How> Ask<'_, '_, A, B, M, How> {
    /// Waits so long for the answer, rounded up to a millisecond; else five seconds.
    pub fn within(mut self, time: Duration) -> Self {
        self.within = time;
        self
    }

    /// With this priority in its mailbox. The answer has none: it comes before all mail.
    pub fn at(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// Puts the question. `then` is called once, with the answer or with why there is none, unless this actor stops
    /// before. Other messages are handled meanwhile, and an answer may overtake messages of who gives it. Allocates only
    /// if `then` captures something.
    ///
    /// # Errors
    /// The question comes back, and `then` is not called: no room for it or for its answer
    /// ([`asks_max`](crate::server::Config::asks_max)), or nobody there.
    pub fn then(
        self,
        then: impl FnOnce(&mut A, Result<B::Reply, AskError>, &mut Context<'_, A>) + 'static,
    ) -> Result<(), SendError<M>> {
        let Self { cx, to, message, within, priority, .. } = self;
        let callback: Callback = Box::new(|cell, answer, local, me| {
            let answer =
                answer.map(|parcel| parcel.downcast().expect("who is asked knows what it answers with"));
            with_actor(cell, local, me, |actor, cx| then(actor, answer, cx))
        });
        let route = Route { id: to.id, delivery: B::DELIVERY };
        cx.local.ask(route, message, priority, cx.me, within, callback)
    }
}

impl<A, B, M, How> fmt::Debug for Ask<'_, '_, A, B, M, How> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ask").field("to", &self.to).field("within", &self.within).finish_non_exhaustive()
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum AskError {
    /// The mailbox was full.
    Full,
    /// Nobody is there, or it stopped before it came to the question.
    Gone,
    /// Who had to answer let go of the [`ReplyTo`](super::ReplyTo) without a word.
    NoReply,
    /// The time was up. What is answered later is dropped, and counted.
    TimedOut,
    /// The handler panicked.
    Crashed,
    /// It was dropped for another message: see [`Overflow`](super::Overflow).
    Dropped,
}

impl fmt::Display for AskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "its mailbox is full; ask later, or less",
            Self::Gone => "it has stopped; look its address up again",
            Self::NoReply => "it decided not to answer",
            Self::TimedOut => "it has not answered in time",
            Self::Crashed => "its handler panicked",
            Self::Dropped => "its mailbox was full, and it was dropped for another message",
        })
    }
}

impl std::error::Error for AskError {}

impl From<Refused> for AskError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Full => Self::Full,
            Refused::Gone => Self::Gone,
        }
    }
}

/// What is done with an answer, without its types.
pub(crate) type Callback = Box<
    dyn FnOnce(
        &mut dyn super::cell::Cell,
        Result<crate::ring::parcel::Parcel, AskError>,
        &mut super::local::Local,
        super::ActorId,
    ) -> super::cell::Next,
>;

/// A question that waits for its answer, on the shard of who asked: 48 bits, so that an envelope has room for it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct AskId([u16; 3]);

impl AskId {
    pub(crate) fn new(index: u32, generation: u32) -> Self {
        let bits = u64::from(index) | u64::from(generation) << INDEX_BITS;
        Self([bits as u16, (bits >> 16) as u16, (bits >> 32) as u16])
    }

    pub(crate) fn index(self) -> u32 {
        self.bits() as u32 & (ASKS_MAX - 1)
    }

    pub(crate) fn generation(self) -> u32 {
        (self.bits() >> INDEX_BITS) as u32
    }

    fn bits(self) -> u64 {
        let [low, middle, high] = self.0.map(u64::from);
        low | middle << 16 | high << 32
    }
}

impl fmt::Debug for AskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.index(), self.generation())
    }
}

const INDEX_BITS: u32 = 20;
/// No shard has more questions open than this.
pub(crate) const ASKS_MAX: u32 = 1 << INDEX_BITS;
/// How often a place is used before its numbers begin again.
pub(crate) const GENERATIONS: u32 = 1 << (48 - INDEX_BITS);
/// How long an answer is waited for if nothing else is said.
pub(super) const WITHIN: Duration = Duration::from_secs(5);
