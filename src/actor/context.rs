//! What a handler may do.

use super::address::{ActorId, Address, SendError};
use super::ask::{Answers, Ask, WITHIN};
use super::cell::Lent;
use super::local::Local;
use super::recipient::To;
use super::{Actor, Handler, Priority, Sendable};
use crate::shard::{ShardId, Time};
use std::marker::PhantomData;
use std::time::Duration;

/// A handler's view of its shard.
///
/// ```
/// use corewire::actor::{Actor, Context, Handler};
/// use std::time::Duration;
///
/// struct Egg;
/// struct Ring;
/// impl Actor for Egg {
///     fn started(&mut self, cx: &mut Context<Self>) {
///         let me = cx.address();
///         cx.after(Duration::from_secs(300), me, Ring).expect("a new shard has timers left");
///     }
/// }
/// impl Handler<Ring> for Egg {
///     type Reply = ();
///     fn handle(&mut self, _: Ring, cx: &mut Context<Self>) {
///         println!("ready after {:?}", cx.now());
///         cx.stop();
///     }
/// }
/// ```
pub struct Context<'a, A> {
    pub(crate) local: &'a mut Local,
    pub(crate) me: ActorId,
    /// What this kind of actor has besides: a session's connection. Where its cell has put it: to copy what was just written
    /// word by word in larger pieces is to wait for it.
    pub(crate) lent: &'a mut Lent<'a>,
    stopping: bool,
    actor: PhantomData<fn(A)>,
}

/// A timer that has not ended yet, for [`Context::cancel`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimerId {
    pub(crate) index: u32,
    pub(crate) generation: u32,
    /// Where it was set.
    pub(crate) shard: ShardId,
}

impl<'a, A: Actor> Context<'a, A> {
    #[inline]
    pub(crate) fn new(local: &'a mut Local, me: ActorId, lent: &'a mut Lent<'a>) -> Self {
        let ActorId { generation, slot, shard } = me; // as it was written, for the same reason
        let me = ActorId { generation, slot, shard };
        Self { local, me, lent, stopping: false, actor: PhantomData }
    }

    /// This actor's address, the same for all its life.
    pub fn address(&self) -> Address<A> {
        Address::new(self.identity())
    }

    /// By what others know it.
    #[inline]
    pub(crate) fn identity(&self) -> ActorId {
        self.local.identity(self.me)
    }

    /// The shard that this actor lives on.
    pub fn shard(&self) -> ShardId {
        self.me.shard
    }

    /// The time of this turn.
    pub fn now(&self) -> Time {
        self.local.now()
    }

    /// Sends `message`. Messages of one [`Priority`] from one actor to another arrive in order.
    ///
    /// # Errors
    /// The message comes back: no room for it, or nobody there. For an actor on another shard only the way there is
    /// known at once; if its mailbox turns out to be full, or the actor gone, the message comes back by
    /// [`Actor::returned`].
    #[inline]
    pub fn send<M: Sendable>(&mut self, to: impl To<M>, message: M) -> Result<(), SendError<M>> {
        self.local.send(to.route(), message, Priority::Normal, Some(self.identity()))
    }

    /// The same, before or after others in its mailbox.
    ///
    /// # Errors
    /// As [`Self::send`].
    #[inline]
    pub fn send_at<M: Sendable>(
        &mut self,
        priority: Priority,
        to: impl To<M>,
        message: M,
    ) -> Result<(), SendError<M>> {
        self.local.send(to.route(), message, priority, Some(self.identity()))
    }

    /// Sends a clone of `message` to each of `to`. Returns how many it could not be sent to.
    pub fn send_to_many<M: Sendable + Clone, T: To<M>>(
        &mut self,
        to: impl IntoIterator<Item = T>,
        message: M,
    ) -> usize {
        let mut to = to.into_iter();
        let Some(mut next) = to.next() else { return 0 };
        let mut refused = 0;
        for after in to {
            refused += usize::from(self.send(next, message.clone()).is_err());
            next = after;
        }
        refused + usize::from(self.send(next, message).is_err())
    }

    /// Asks `to` something: [`Ask::then`] says what is done with the answer. See [`Request`](super::Request) for an
    /// example.
    pub fn ask<B: Answers<M, How>, M: Sendable, How>(
        &mut self,
        to: Address<B>,
        message: M,
    ) -> Ask<'_, 'a, A, B, M, How> {
        Ask { cx: self, to, message, within: WITHIN, priority: Priority::Normal, how: PhantomData }
    }

    /// Sends `message` when `delay` has passed, rounded up to a millisecond. If there is no room then, it is dropped
    /// and counted.
    ///
    /// # Errors
    /// The shard's timers are used up; the message comes back.
    pub fn after<M: Sendable>(
        &mut self,
        delay: Duration,
        to: impl To<M>,
        message: M,
    ) -> Result<TimerId, SendError<M>> {
        self.local.after(delay, to.route(), message, self.identity())
    }

    /// Sends a clone of `message` when `period` has passed (a millisecond at least), and again after each, at a fixed rate:
    /// the times do not drift. What falls into a stall of the shard, or finds no room, is left out and not made up for.
    ///
    /// It ends by [`Self::cancel`], and by itself when this actor ends, or the receiver if that is on this shard. From
    /// another shard, what finds nobody comes back by [`Actor::returned`].
    ///
    /// # Errors
    /// The shard's timers are used up; the message comes back.
    ///
    /// ```
    /// use corewire::prelude::*;
    /// use std::time::Duration;
    ///
    /// #[derive(Clone)]
    /// struct Tick;
    /// struct Metronome(u32);
    /// impl Actor for Metronome {
    ///     fn started(&mut self, cx: &mut Context<Self>) {
    ///         let me = cx.address();
    ///         if cx.every(Duration::from_millis(500), me, Tick).is_err() {
    ///             cx.stop();
    ///         }
    ///     }
    /// }
    /// impl Handler<Tick> for Metronome {
    ///     type Reply = ();
    ///     fn handle(&mut self, _: Tick, _: &mut Context<Self>) {
    ///         self.0 += 1;
    ///     }
    /// }
    /// ```
    pub fn every<M: Sendable + Clone>(
        &mut self,
        period: Duration,
        to: impl To<M>,
        message: M,
    ) -> Result<TimerId, SendError<M>> {
        self.local.every(period, to.route(), message, self.identity())
    }

    /// Sends `message` to this actor itself in the next turn: for work that is done in slices, between which sockets, timers
    /// and other actors have their turn. It is not lost: where there is no room for it, it is tried again. One at a time, then.
    ///
    /// ```
    /// use corewire::prelude::*;
    ///
    /// struct Archive(Vec<u64>);
    /// struct Sum { from: usize, sum: u64 }
    /// impl Actor for Archive {}
    /// impl Handler<Sum> for Archive {
    ///     type Reply = ();
    ///     fn handle(&mut self, Sum { from, sum }: Sum, cx: &mut Context<Self>) {
    ///         let until = self.0.len().min(from + 10_000);
    ///         let sum = sum + self.0[from..until].iter().sum::<u64>();
    ///         if until < self.0.len() {
    ///             cx.next_turn(Sum { from: until, sum });
    ///         } else {
    ///             println!("{sum}");
    ///         }
    ///     }
    /// }
    /// ```
    pub fn next_turn<M: Sendable>(&mut self, message: M)
    where
        A: Handler<M>,
    {
        self.local.send_next_turn(self.address().recipient::<M>().route(), message);
    }

    /// Takes a timer back. False if it has fired, and was not to fire again.
    pub fn cancel(&mut self, timer: TimerId) -> bool {
        self.local.cancel_of(self.me, timer)
    }

    /// Starts an actor on this shard. It is there at once: what is sent to it before this handler ends waits for it.
    ///
    /// # Errors
    /// The actor comes back: the shard has no slot left ([`SendError::Full`]), or is ending ([`SendError::Gone`]).
    pub fn spawn<B: Actor>(&mut self, actor: B) -> Result<Address<B>, SendError<B>> {
        const { assert!(!B::IS_SESSION, "a session is made by a route, for a client; it cannot be spawned") };
        self.local.spawn(actor)
    }

    /// Adds to a counter of this shard's, a plain number that [`Self::stats`] and
    /// [`Outside::stats`](super::Outside::stats) read. A shard has at most 1,024 of them; what is counted by further
    /// names is lost.
    pub fn count(&mut self, name: &'static str, by: u64) {
        self.local.count(name, by);
    }

    /// Ends this actor when its handler returns. A session is closed with 1000.
    pub fn stop(&mut self) {
        self.stopping = true;
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping
    }
}

impl<A> std::fmt::Debug for Context<'_, A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").field("me", &self.me).finish_non_exhaustive()
    }
}
