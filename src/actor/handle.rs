//! The way in for other threads: a handle that any of them may have.

use super::address::{Address, Refused, SendError};
use super::ask::{Answers, AskError, Callback, WITHIN};
use super::cell::Next;
use super::envelope::{Envelope, What};
use super::load::Loads;
use super::local::outsider;
use super::outside::{Calls, Word};
use super::service::Services;
use super::trail;
use super::{Actor, Context, Priority, Route, Sendable, To};
use crate::ring::parcel::Parcel;
use crate::shard::ShardId;
use crate::sync::Arc;
use flume::{Receiver, RecvTimeoutError, Sender, TryRecvError};
use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{self, Poll};
use std::time::Duration;

/// The shards of a server, for any thread: `main`, a signal handler, a tokio runtime beside it. From
/// [`Handle::outside`](crate::server::Handle::outside), or [`Context::outside`] to give away.
///
/// What is said waits in a box of the receiver's shard, which has
/// [`outside_slots`](crate::server::Config::outside_slots) and wakes the shard if it sleeps. From one thread to one actor
/// messages arrive in order.
///
/// ```
/// use corewire::actor::Outside;
/// use corewire::prelude::*;
/// use corewire::shard::ShardId;
/// use std::time::Duration;
///
/// struct Counter(u64);
/// impl Actor for Counter {}
/// struct Add(u64);
/// impl Handler<Add> for Counter {
///     type Reply = u64;
///     fn handle(&mut self, Add(n): Add, _: &mut Context<Self>) -> u64 {
///         self.0 += n;
///         self.0
///     }
/// }
///
/// /// On a thread of its own, which may block.
/// fn count(shards: &Outside) -> Result<u64, AskError> {
///     let counter = shards.spawn_on(ShardId(0), Counter(0)).wait(Duration::from_secs(1))?;
///     let _ = shards.send(counter, Add(1)); // full or gone: then it is not counted
///     shards.ask(counter, Add(2)).within(Duration::from_secs(1)).wait()
/// }
///
/// /// In any runtime's task.
/// async fn count_on(shards: &Outside, counter: Address<Counter>) -> Result<u64, AskError> {
///     shards.ask(counter, Add(3)).await
/// }
/// ```
#[derive(Clone)]
pub struct Outside {
    calls: Arc<[Calls]>,
    pub(super) services: Services,
    pub(super) loads: Loads,
}

impl Outside {
    pub(crate) fn new(shards: impl IntoIterator<Item = Calls>, services: Services) -> Self {
        let calls: Arc<[Calls]> = shards.into_iter().collect();
        Self { loads: Loads::new(calls.len() as u16), calls, services }
    }

    /// How many shards there are.
    pub fn shards(&self) -> u16 {
        self.calls.len() as u16
    }

    /// Sends `message`. Does not block, and hears no answer: a message that finds a full mailbox, or nobody, when it gets
    /// there is dropped and counted.
    ///
    /// # Errors
    /// The message comes back: as many wait for its shard as may ([`SendError::Full`]), or the server has ended
    /// ([`SendError::Gone`]).
    pub fn send<M: Sendable>(&self, to: impl To<M>, message: M) -> Result<(), SendError<M>> {
        let Route { id, delivery } = to.route();
        self.say(id.shard, message, |message| {
            let what = What::Message(delivery, Priority::Normal);
            let envelope = Envelope { to: id, from: None, what, parcel: Parcel::new(message) };
            Word::Mail(if trail::is_on() { envelope.carried() } else { envelope })
        })
    }

    /// Asks `to` something. Then `.await` the answer in any runtime, or [`wait`](OutsideAsk::wait) for it on this thread.
    pub fn ask<B: Answers<M, How>, M: Sendable, How>(
        &self,
        to: Address<B>,
        message: M,
    ) -> OutsideAsk<B, M, How> {
        OutsideAsk { shards: self.clone(), to, message, within: WITHIN, how: PhantomData }
    }

    /// Starts an actor on a shard. [`AskError::Full`]: the shard has no slot left, or so much waits for it;
    /// [`AskError::Gone`]: there is no such shard, or it ends.
    pub fn spawn_on<A: Actor + Send>(&self, shard: ShardId, actor: A) -> Asked<Address<A>> {
        const { assert!(!A::IS_SESSION, "a session is made by a route, for a client; it cannot be spawned") };
        let (answer, asked) = Asked::new();
        let refused = answer.clone();
        let said = self.say(shard, actor, move |actor| {
            Word::Errand(Box::new(move |local| {
                let spawned = local.spawn(actor).map_err(|error| error.reason().into());
                let _ = answer.try_send(spawned); // nobody may wait any more; the actor is there
            }))
        });
        if let Err(error) = said {
            let _ = refused.try_send(Err(error.reason().into()));
        }
        asked
    }

    pub(super) fn say<M>(
        &self,
        shard: ShardId,
        message: M,
        word: impl FnOnce(M) -> Word,
    ) -> Result<(), SendError<M>> {
        let Some(calls) = self.calls.get(usize::from(shard.0)) else { return Err(SendError::Gone(message)) };
        let mut message = Some(message);
        let said = calls.say(|| word(message.take().expect("a word is made once")));
        said.map_err(|refused| {
            let message = message.expect("a word that is refused is not made");
            match refused {
                Refused::Full => SendError::Full(message),
                Refused::Gone => SendError::Gone(message),
            }
        })
    }

    pub(crate) fn calls(&self, shard: ShardId) -> &Calls {
        &self.calls[usize::from(shard.0)]
    }
}

impl<A: Actor> Context<'_, A> {
    /// All shards, for another thread that is to send here.
    pub fn outside(&self) -> Outside {
        self.local.outside().clone()
    }
}

/// A question of another thread's that has not been put yet, from [`Outside::ask`].
#[must_use = "a question is put by `.await`, `wait` or `put`"]
pub struct OutsideAsk<B, M, How> {
    shards: Outside,
    to: Address<B>,
    message: M,
    within: Duration,
    how: PhantomData<How>,
}

impl<B: Answers<M, How>, M: Sendable, How> OutsideAsk<B, M, How> {
    /// Waits so long for the answer; else five seconds.
    pub fn within(mut self, time: Duration) -> Self {
        self.within = time;
        self
    }

    /// Puts the question, and waits for the answer on this thread. Not for handlers: their shard would stand still.
    ///
    /// # Errors
    /// There is no answer, for one of the reasons of [`AskError`].
    pub fn wait(self) -> Result<B::Reply, AskError> {
        let within = self.within;
        self.put().map_err(|error| error.reason())?.wait(within)
    }

    /// Puts the question. The answer can be waited for later.
    ///
    /// # Errors
    /// The question comes back: as many words wait for that shard as may, or the server has ended.
    pub fn put(self) -> Result<Asked<B::Reply>, SendError<M>> {
        let Self { shards, to, message, within, .. } = self;
        let (answer, asked) = Asked::new();
        let span = trail::current();
        shards.say(to.id.shard, message, |message| {
            Word::Errand(Box::new(move |local| {
                let _span = span.map(tracing::Span::entered);
                let refused = answer.clone();
                let route = Route { id: to.id, delivery: B::DELIVERY };
                let callback: Callback = Box::new(move |_, reply, _, _| {
                    let reply = reply
                        .map(|parcel| parcel.downcast().expect("who is asked knows what it answers with"));
                    let _ = answer.try_send(reply); // nobody may wait any more
                    Next::Stay
                });
                let from = outsider(to.id.shard);
                if let Err(error) = local.ask(route, message, Priority::Normal, from, within, callback) {
                    let _ = refused.try_send(Err(error.reason().into()));
                }
            }))
        })?;
        Ok(asked)
    }
}

impl<B: Answers<M, How>, M: Sendable, How> IntoFuture for OutsideAsk<B, M, How> {
    type Output = Result<B::Reply, AskError>;
    type IntoFuture = Asked<B::Reply>;

    fn into_future(self) -> Asked<B::Reply> {
        self.put().unwrap_or_else(|error| {
            let (answer, asked) = Asked::new();
            let _ = answer.try_send(Err(error.reason().into())); // there is room for one
            asked
        })
    }
}

/// An answer that will come: a future for any runtime, or something to wait for. Dropping it is no harm; what was asked
/// for happens.
#[must_use = "an answer that nobody waits for could have been a `send`"]
pub struct Asked<R: 'static> {
    answer: Receiver<Result<R, AskError>>,
    /// While it is polled.
    future: Option<flume::r#async::RecvFut<'static, Result<R, AskError>>>,
}

impl<R> Asked<R> {
    pub(super) fn new() -> (Sender<Result<R, AskError>>, Self) {
        let (sender, answer) = flume::bounded(1);
        (sender, Self { answer, future: None })
    }

    /// Waits for it on this thread. Not for handlers: their shard would stand still.
    ///
    /// # Errors
    /// There is no answer, for one of the reasons of [`AskError`].
    pub fn wait(self, timeout: Duration) -> Result<R, AskError> {
        self.answer.recv_timeout(timeout).unwrap_or_else(|error| match error {
            RecvTimeoutError::Timeout => Err(AskError::TimedOut),
            RecvTimeoutError::Disconnected => Err(AskError::Gone), // the server has ended
        })
    }

    /// The answer, if it is there.
    pub fn ready(&mut self) -> Option<Result<R, AskError>> {
        match self.answer.try_recv() {
            Ok(answer) => Some(answer),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(Err(AskError::Gone)),
        }
    }
}

impl<R> Future for Asked<R> {
    type Output = Result<R, AskError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Self::Output> {
        let Self { answer, future } = &mut *self;
        let future = future.get_or_insert_with(|| answer.clone().into_recv_async());
        Pin::new(future).poll(cx).map(|answer| answer.unwrap_or(Err(AskError::Gone)))
    }
}

impl<B, M, How> fmt::Debug for OutsideAsk<B, M, How> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutsideAsk")
            .field("to", &self.to)
            .field("within", &self.within)
            .finish_non_exhaustive()
    }
}

impl<R> fmt::Debug for Asked<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Asked(..)")
    }
}

impl fmt::Debug for Outside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outside").field("shards", &self.calls.len()).finish_non_exhaustive()
    }
}
