//! Answering later: the duty to answer, as a value.

use super::address::{ActorId, SendError};
use super::ask::{Answers, AskError, AskId};
use super::outside::Calls;
use super::{Actor, Address, Context, Priority, Route, Sendable};
use crate::ring::parcel::Parcel;
use std::fmt;
use std::marker::PhantomData;

/// A question with the duty to answer it: what [`Handler`](super::Handler) gets who answers in its own time.
///
/// ```
/// use corewire::actor::{Request, ReplyTo};
/// use corewire::prelude::*;
/// use std::time::Duration;
///
/// struct Oven(Option<ReplyTo<&'static str>>);
/// struct Bake;
/// struct Done;
///
/// impl Actor for Oven {}
/// impl Handler<Request<Bake, &'static str>> for Oven {
///     type Reply = ();
///     fn handle(&mut self, request: Request<Bake, &'static str>, cx: &mut Context<Self>) {
///         let me = cx.address();
///         if cx.after(Duration::from_secs(1), me, Done).is_ok() {
///             self.0 = Some(request.reply); // one that lay there is dropped: its asker hears `NoReply`
///         }
///     }
/// }
/// impl Handler<Done> for Oven {
///     type Reply = ();
///     fn handle(&mut self, _: Done, cx: &mut Context<Self>) {
///         if let Some(reply) = self.0.take() {
///             reply.send("bread", cx);
///         }
///     }
/// }
///
/// struct Guest(Address<Oven>);
/// impl Actor for Guest {
///     fn started(&mut self, cx: &mut Context<Self>) {
///         let asked = cx.ask(self.0, Bake).within(Duration::from_secs(3)).then(Self::served);
///         asked.unwrap_or_else(|error| println!("{error}"));
///     }
/// }
/// impl Guest {
///     fn served(&mut self, what: Result<&'static str, AskError>, _: &mut Context<Self>) {
///         println!("{what:?}");
///     }
/// }
/// ```
#[derive(Debug)]
pub struct Request<M, R> {
    /// The question.
    pub message: M,
    /// Where the answer goes.
    pub reply: ReplyTo<R>,
}

/// The duty to answer a question, once. Dropping it is an answer too: [`AskError::NoReply`]. `Send`, so another actor or
/// another thread may have it.
#[must_use = "dropping it tells the asker that there is no answer"]
pub struct ReplyTo<R> {
    asker: Option<Asker>,
    /// Of the question.
    priority: Priority,
    /// By which it answers where there is no shard at hand.
    calls: Calls,
    reply: PhantomData<fn(R)>,
}

/// Who waits for an answer, and to which of its questions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asker {
    pub(crate) who: ActorId,
    pub(crate) ask: AskId,
}

impl<R: Send + 'static> ReplyTo<R> {
    pub(crate) fn new(asker: Asker, priority: Priority, calls: Calls) -> Self {
        Self { asker: Some(asker), priority, calls, reply: PhantomData }
    }

    /// Answers. If the asker has stopped, or does not wait any more, the answer is dropped.
    pub fn send<A: Actor>(mut self, value: R, cx: &mut Context<'_, A>) {
        if let Some(asker) = self.asker.take() {
            cx.local.answer(asker, Ok(Parcel::new(value)));
        }
    }

    /// Answers from any thread. On a shard, [`Self::send`] is much cheaper.
    pub fn send_from_outside(mut self, value: R) {
        if let Some(asker) = self.asker.take() {
            self.calls.answer(asker, Ok(Parcel::new(value)));
        }
    }

    /// Asks somebody else, with the same priority, whose answer goes straight to the asker. The asker's deadline stays as it
    /// was.
    ///
    /// # Errors
    /// The question and the duty come back: no room, or nobody there.
    pub fn forward<A, B, M, How>(
        mut self,
        to: Address<B>,
        message: M,
        cx: &mut Context<'_, A>,
    ) -> Result<(), SendError<Request<M, R>>>
    where
        A: Actor,
        B: Answers<M, How, Reply = R>,
        M: Sendable,
    {
        let Some(asker) = self.asker.take() else { return Ok(()) };
        let route = Route { id: to.id, delivery: B::DELIVERY };
        cx.local.pass_on(route, message, self.priority, asker).map_err(|error| {
            self.asker = Some(asker);
            error.map(|message| Request { message, reply: self })
        })
    }
}

impl<R> Drop for ReplyTo<R> {
    fn drop(&mut self) {
        if let Some(asker) = self.asker.take() {
            let why = if std::thread::panicking() { AskError::Crashed } else { AskError::NoReply };
            self.calls.answer(asker, Err(why));
        }
    }
}

impl<R> fmt::Debug for ReplyTo<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplyTo").field("asker", &self.asker).finish_non_exhaustive()
    }
}
