//! Starting an actor where it is to live, which need not be here.

use super::ask::Callback;
use super::envelope::with_actor;
use super::{Actor, ActorId, Address, Context, Refused, SpawnError};
use crate::ring::parcel::Parcel;
use crate::shard::ShardId;
use std::fmt;

/// Where an actor is to live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// On the shard of who starts it.
    Here,
    /// On this shard.
    Shard(ShardId),
    /// On the shard with the fewest actors, connections and those on their way counted; this one if it is one of them.
    LeastLoaded,
    /// On the shard of this actor, so that messages between the two change no cores.
    Near(ActorId),
}

/// An actor that was not started, and why.
pub struct NotSpawned<B> {
    /// The actor, as it was.
    pub actor: B,
    /// Why.
    pub why: SpawnError,
}

/// An actor that is to be started, from [`Context::spawn_at`].
#[must_use = "it is started by `then`"]
pub struct SpawnAt<'c, 'a, A, B> {
    cx: &'c mut Context<'a, A>,
    place: Place,
    actor: B,
}

impl<'a, A: Actor> Context<'a, A> {
    /// Starts an actor on some shard: [`SpawnAt::then`] says what is done with its address. What is to live here and is
    /// needed at once is started by [`Self::spawn`].
    ///
    /// ```
    /// use corewire::actor::{NotSpawned, Place};
    /// use corewire::prelude::*;
    ///
    /// struct Room(String);
    /// impl Actor for Room {}
    ///
    /// #[derive(Default)]
    /// struct House(Vec<Address<Room>>);
    /// impl Actor for House {
    ///     fn started(&mut self, cx: &mut Context<Self>) {
    ///         let room = Room("lobby".into());
    ///         cx.spawn_at(Place::LeastLoaded, room).then(Self::furnished).unwrap_or_else(|room| println!("{room}"));
    ///     }
    /// }
    /// impl House {
    ///     fn furnished(&mut self, room: Result<Address<Room>, NotSpawned<Room>>, _: &mut Context<Self>) {
    ///         match room {
    ///             Ok(address) => self.0.push(address),
    ///             Err(NotSpawned { actor, why }) => println!("no {}: {why}", actor.0),
    ///         }
    ///     }
    /// }
    /// ```
    pub fn spawn_at<B: Actor + Send>(&mut self, place: Place, actor: B) -> SpawnAt<'_, 'a, A, B> {
        const { assert!(!B::IS_SESSION, "a session is made by a route, for a client; it cannot be spawned") };
        SpawnAt { cx: self, place, actor }
    }
}

impl<A: Actor, B: Actor + Send> SpawnAt<'_, '_, A, B> {
    /// Starts it. `then` is called once, in a later turn, with its address or with the actor itself, unless the one that
    /// starts it stops before: the new one is there all the same. There is no deadline, and no way to be lost: the answer
    /// comes when that shard comes round.
    ///
    /// # Errors
    /// The actor comes back, and `then` is not called: there is no such shard, or no room for the answer
    /// ([`asks_max`](crate::server::Config::asks_max)).
    pub fn then(
        self,
        then: impl FnOnce(&mut A, Result<Address<B>, NotSpawned<B>>, &mut Context<'_, A>) + 'static,
    ) -> Result<(), NotSpawned<B>> {
        let Self { cx, place, actor } = self;
        let (local, me) = (&mut *cx.local, cx.me);
        let Some(shard) = local.shard_of(place) else {
            return Err(NotSpawned { actor, why: SpawnError::NoShard });
        };
        let callback: Callback = Box::new(|cell, answer, local, me| {
            let parcel: Parcel = answer.expect("who has no deadline is answered");
            let answer = parcel.downcast().expect("it was packed by what follows");
            with_actor(cell, local, me, |actor, cx| then(actor, answer, cx))
        });
        let Some(asker) = local.keep_callback(me, callback) else {
            return Err(NotSpawned { actor, why: SpawnError::Busy });
        };
        local.add_load(shard);
        // Not more of these are on their way than questions may be open.
        local.tell(shard, move |local| {
            local.load_has_come();
            let spawned = local.spawn(actor).map_err(|error| {
                let why = match error.reason() {
                    Refused::Gone => SpawnError::Ending,
                    Refused::Full => SpawnError::Full,
                };
                NotSpawned { actor: error.into_inner(), why }
            });
            local.answer(asker, Ok(Parcel::new(spawned)));
        });
        Ok(())
    }
}

impl<B> fmt::Display for NotSpawned<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.why.fmt(f)
    }
}

impl<B> fmt::Debug for NotSpawned<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NotSpawned").field("why", &self.why).finish_non_exhaustive()
    }
}

impl<B> std::error::Error for NotSpawned<B> {}

impl<A, B> fmt::Debug for SpawnAt<'_, '_, A, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpawnAt").field("place", &self.place).finish_non_exhaustive()
    }
}
