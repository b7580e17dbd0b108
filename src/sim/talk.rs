//! What a test says to actors itself, without a client.

use super::world::World;
use crate::actor::{Actor, Address, Answers, AskError, Asked, SendError, Sendable, To};
use crate::shard::ShardId;
use std::time::Duration;

/// Actors of a world, as another thread would reach them: what is said gets there when chance likes.
///
/// ```
/// use corewire::prelude::*;
/// use corewire::sim;
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
/// sim::check(10, |world| {
///     let mut world = world.shards(2);
///     let counter = world.spawn(Counter(0));
///     world.send(counter, Add(2)).expect("there is room");
///     assert_eq!(world.ask(counter, Add(3)), Ok(5)); // from one thread to one actor messages arrive in order
///     world.shut_down();
/// });
/// ```
impl World {
    /// Starts an actor, on a shard that chance chooses.
    ///
    /// # Panics
    /// As [`Self::spawn_on`].
    pub fn spawn<A: Actor + Send>(&mut self, actor: A) -> Address<A> {
        let shards = self.outside().shards();
        let shard = ShardId(self.choose(shards));
        self.spawn_on(shard, actor)
    }

    /// Starts an actor on this shard, and runs until it is there.
    ///
    /// # Panics
    /// If that shard has no room for it, or there is no such shard.
    pub fn spawn_on<A: Actor + Send>(&mut self, shard: ShardId, actor: A) -> Address<A> {
        let asked = self.outside().spawn_on(shard, actor);
        self.run_until_answered(asked)
            .unwrap_or_else(|error| panic!("no actor was started on {shard}: {error}"))
    }

    /// Sends a message. Nobody hears it before the world runs.
    ///
    /// # Errors
    /// As [`Outside::send`](crate::actor::Outside::send).
    pub fn send<M: Sendable>(&mut self, to: impl To<M>, message: M) -> Result<(), SendError<M>> {
        self.outside().send(to, message)
    }

    /// Asks, and runs until there is an answer, or none will be.
    ///
    /// # Errors
    /// There is none, for one of the reasons of [`AskError`].
    ///
    /// # Panics
    /// If a shard sleeps although there is something for it to do.
    pub fn ask<B: Answers<M, How>, M: Sendable, How>(
        &mut self,
        to: Address<B>,
        message: M,
    ) -> Result<B::Reply, AskError> {
        let asked = self.outside().ask(to, message).put().map_err(|error| error.reason())?;
        self.run_until_answered(asked)
    }

    fn run_until_answered<R: 'static>(&mut self, mut asked: Asked<R>) -> Result<R, AskError> {
        let end = self.now() + PATIENCE;
        loop {
            if let Some(answer) = asked.ready() {
                return answer;
            }
            if !self.begin().step(end) {
                return Err(AskError::TimedOut);
            }
        }
    }
}

/// More than any question waits, if nothing else is said.
const PATIENCE: Duration = Duration::from_secs(10);
