//! Futures and streams in handlers: polled on the actor's shard, their results handed to the actor.
//!
//! A handler never waits: it hands the future over and says what is to be called with the result. The future needs no
//! `Send` and no runtime; what wakes it may be anything, on any thread. It is dropped with its actor. One of glommio's is marked:
//! [`on_reactor`](crate::shard::on_reactor).

use super::address::ActorId;
use super::cell::{Cell, Next};
use super::envelope::with_actor;
use super::local::Local;
use super::{Actor, Context};
use futures_lite::Stream;
use pin_project_lite::pin_project;
use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task;

/// A future or stream of an actor's, for [`Context::cancel_task`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskId {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

/// As many futures run on this shard as [`Config::tasks_max`](crate::server::Config::tasks_max) allows; this one is
/// handed back.
pub struct TasksFull<F>(pub F);

impl<'a, A: Actor> Context<'a, A> {
    /// Runs `future` beside this actor, and `into` with its result. Meanwhile the actor goes on handling messages, so the
    /// results of two futures, or a result and an answer, may pass each other.
    ///
    /// # Errors
    /// The shard runs as many futures as it may.
    ///
    /// ```
    /// use corewire::prelude::*;
    ///
    /// # async fn look_up(word: String) -> String { word }
    /// struct Dictionary;
    /// impl Session for Dictionary {
    ///     fn message(&mut self, message: Message, cx: &mut Context<Self>) -> Result<(), Close> {
    ///         let word = message.as_text().unwrap_or_default().to_owned();
    ///         cx.pipe(look_up(word), Self::found)?; // too many at once: close 1013
    ///         Ok(())
    ///     }
    /// }
    /// impl Dictionary {
    ///     fn found(&mut self, meaning: String, cx: &mut Context<Self>) {
    ///         let _ = cx.client().send_text(&meaning); // a client that is not there any more needs no answer
    ///     }
    /// }
    /// ```
    pub fn pipe<F: Future + 'static>(
        &mut self,
        future: F,
        into: impl FnOnce(&mut A, F::Output, &mut Context<'_, A>) + 'static,
    ) -> Result<TaskId, TasksFull<F>> {
        self.local.check_task(future).map(|future| {
            let task = Piped { future, into: Some(into), actor: PhantomData };
            self.local.add_task(self.me, Box::pin(task), false)
        })
    }

    /// Runs `future`, and `into` with its result, and nothing else of this actor until then: its messages wait in its
    /// mailbox, its other futures' results with them, and a session's client is not read from. Its end does not wait:
    /// a client that hangs up, or a server that stops, ends the future too.
    ///
    /// Two that wait at once wait for both.
    ///
    /// # Errors
    /// As [`Self::pipe`].
    ///
    /// ```
    /// use corewire::prelude::*;
    ///
    /// # async fn load(user: u64) -> u64 { user }
    /// struct Account { user: u64, balance: u64 }
    /// impl Actor for Account {
    ///     fn started(&mut self, cx: &mut Context<Self>) {
    ///         // Nobody is served from an account that is not loaded.
    ///         if cx.wait(load(self.user), |account, balance, _| account.balance = balance).is_err() {
    ///             cx.stop();
    ///         }
    ///     }
    /// }
    /// ```
    pub fn wait<F: Future + 'static>(
        &mut self,
        future: F,
        into: impl FnOnce(&mut A, F::Output, &mut Context<'_, A>) + 'static,
    ) -> Result<TaskId, TasksFull<F>> {
        self.local.check_task(future).map(|future| {
            let task = Piped { future, into: Some(into), actor: PhantomData };
            let id = self.local.add_task(self.me, Box::pin(task), true);
            self.lent.extra.wait(self.local);
            id
        })
    }

    /// Runs `each` with every item of `stream`, and `end` after the last. Not more is taken from it than this actor
    /// handles: while it waits, so does the stream.
    ///
    /// # Errors
    /// As [`Self::pipe`].
    ///
    /// ```
    /// use corewire::prelude::*;
    ///
    /// struct Ticker { prices: flume::Receiver<u64> }
    /// impl Session for Ticker {
    ///     fn open(&mut self, cx: &mut Context<Self>) -> Result<(), Close> {
    ///         cx.stream(self.prices.clone().into_stream(), Self::price, |_, cx| cx.stop())?;
    ///         Ok(())
    ///     }
    ///     fn message(&mut self, _: Message, _: &mut Context<Self>) -> Result<(), Close> {
    ///         Ok(())
    ///     }
    /// }
    /// impl Ticker {
    ///     fn price(&mut self, price: u64, cx: &mut Context<Self>) {
    ///         let _ = cx.client().send_text(&price.to_string()); // a client that is slow misses some
    ///     }
    /// }
    /// ```
    pub fn stream<S: Stream + 'static>(
        &mut self,
        stream: S,
        each: impl FnMut(&mut A, S::Item, &mut Context<'_, A>) + 'static,
        end: impl FnOnce(&mut A, &mut Context<'_, A>) + 'static,
    ) -> Result<TaskId, TasksFull<S>> {
        self.local.check_task(stream).map(|stream| {
            let task = Streamed { stream, each, end: Some(end), actor: PhantomData };
            self.local.add_task(self.me, Box::pin(task), false)
        })
    }

    /// Drops a future or stream. False if it has ended, or is not this actor's.
    pub fn cancel_task(&mut self, task: TaskId) -> bool {
        self.local.cancel_task(task, self.me)
    }
}

/// A future or stream, and what is done with what comes out of it.
pub(crate) trait Task {
    /// Polls it, and hands what is ready to the actor in `cell`.
    fn step(
        self: Pin<&mut Self>,
        cell: &mut dyn Cell,
        local: &mut Local,
        me: ActorId,
        waker: &mut task::Context<'_>,
    ) -> (Next, Step);
}

/// How far a task has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// It will wake its waker.
    Pending,
    /// There may be more at once.
    Again,
    Done,
}

pin_project! {
    struct Piped<A, F, G> {
        #[pin]
        future: F,
        into: Option<G>,
        actor: PhantomData<fn(A)>,
    }
}

impl<A, F, G> Task for Piped<A, F, G>
where
    A: Actor,
    F: Future,
    G: FnOnce(&mut A, F::Output, &mut Context<'_, A>),
{
    fn step(
        self: Pin<&mut Self>,
        cell: &mut dyn Cell,
        local: &mut Local,
        me: ActorId,
        waker: &mut task::Context<'_>,
    ) -> (Next, Step) {
        let this = self.project();
        let task::Poll::Ready(output) = this.future.poll(waker) else { return (Next::Stay, Step::Pending) };
        let into = this.into.take().expect("a future is not polled after it is ready");
        (with_actor(cell, local, me, |actor, cx| into(actor, output, cx)), Step::Done)
    }
}

pin_project! {
    struct Streamed<A, S, E, G> {
        #[pin]
        stream: S,
        each: E,
        end: Option<G>,
        actor: PhantomData<fn(A)>,
    }
}

impl<A, S, E, G> Task for Streamed<A, S, E, G>
where
    A: Actor,
    S: Stream,
    E: FnMut(&mut A, S::Item, &mut Context<'_, A>),
    G: FnOnce(&mut A, &mut Context<'_, A>),
{
    fn step(
        self: Pin<&mut Self>,
        cell: &mut dyn Cell,
        local: &mut Local,
        me: ActorId,
        waker: &mut task::Context<'_>,
    ) -> (Next, Step) {
        let mut this = self.project();
        for _ in 0..ITEMS_PER_TURN {
            match this.stream.as_mut().poll_next(waker) {
                task::Poll::Pending => return (Next::Stay, Step::Pending),
                task::Poll::Ready(Some(item)) => {
                    let next = with_actor(cell, local, me, |actor, cx| (this.each)(actor, item, cx));
                    if !matches!(next, Next::Stay) || local.is_waiting(me) {
                        return (next, Step::Again);
                    }
                }
                task::Poll::Ready(None) => {
                    let end = this.end.take().expect("a stream is not polled after its end");
                    return (with_actor(cell, local, me, end), Step::Done);
                }
            }
        }
        (Next::Stay, Step::Again)
    }
}

impl<F> TasksFull<F> {
    /// The future or stream.
    pub fn into_inner(self) -> F {
        self.0
    }
}

impl<F> fmt::Debug for TasksFull<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TasksFull(..)")
    }
}

impl<F> fmt::Display for TasksFull<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the shard runs as many futures as tasks_max allows; begin this one later, or raise it")
    }
}

impl<F> std::error::Error for TasksFull<F> {}

/// A stream that always has something does not keep its shard from others.
const ITEMS_PER_TURN: usize = 16;
