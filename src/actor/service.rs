//! Services: actors of which every shard has one, started before all others and stopped after them.
//!
//! They take the first slots of every shard, in the order in which they are given, and are the first actors that it
//! makes. So the address of each is known to everybody, without asking and without a table a shard.
//!
//! Does not know: what they do. How they are started and stopped is `local`'s and the server's.

use super::cell::{Cell, Plain, kind_of};
use super::local::ActorKind;
use super::{Actor, ActorId, Address, Context, Outside, Restart};
use crate::shard::ShardId;
use crate::sync::Arc;
use std::any::TypeId;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::num::NonZeroU64;

/// All services of a server, shared by its shards.
#[derive(Default, Clone)]
pub(crate) struct Services(Arc<Vec<Entry>>);

struct Entry {
    actor: TypeId,
    kind: ActorKind,
    restart: Restart,
    make: Box<dyn Fn(ShardId) -> Box<dyn Cell> + Send + Sync>,
}

impl Services {
    /// One more, after those that are there.
    pub(crate) fn add<A: Actor>(&mut self, make: impl Fn(ShardId) -> A + Send + Sync + 'static) {
        const { assert!(!A::IS_SESSION, "a session is made by a route, for a client; it cannot be a service") };
        let make = Box::new(move |shard| Box::new(Plain::new(make(shard))) as Box<dyn Cell>);
        let entry = Entry { actor: TypeId::of::<A>(), kind: kind_of::<A>(), restart: A::AS_SERVICE, make };
        Arc::get_mut(&mut self.0).expect("services are added before they are shared").push(entry);
    }

    /// What cannot be, and what to do about it.
    pub(crate) fn check(&self, actors_max: u32) -> Result<(), String> {
        for (at, entry) in self.0.iter().enumerate() {
            if self.0[..at].iter().any(|earlier| earlier.actor == entry.actor) {
                return Err(format!(
                    "two services of type {}: a shard has one of each type; wrap the second in a type of its own",
                    entry.kind.name
                ));
            }
        }
        if self.0.len() > actors_max as usize {
            return Err(format!("{} services, and actors_max of {actors_max}: raise it", self.0.len()));
        }
        Ok(())
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Makes the service of this number for a shard.
    pub(super) fn make(&self, number: usize, shard: ShardId) -> (ActorKind, Box<dyn Cell>) {
        let Entry { kind, make, .. } = &self.0[number];
        (*kind, make(shard))
    }

    /// When it is made anew.
    pub(super) fn restart(&self, number: usize) -> Restart {
        self.0[number].restart
    }

    /// Where the service of this number lives on a shard: the same slot and generation everywhere.
    pub(super) fn id(number: usize, shard: ShardId) -> ActorId {
        let generation = NonZeroU64::MIN.saturating_add(number as u64);
        ActorId { generation, slot: number as u32, shard }
    }

    /// The number of the service of this type. There are a handful, and looking at each is quicker than hashing.
    fn number<A: Actor>(&self) -> Option<usize> {
        self.0.iter().position(|entry| entry.actor == TypeId::of::<A>())
    }
}

impl Outside {
    /// The service of type `A` on `shard`. `None`: there is no such service, or no such shard.
    pub fn service_on<A: Actor>(&self, shard: ShardId) -> Option<Address<A>> {
        let number = self.services.number::<A>().filter(|_| shard.0 < self.shards())?;
        Some(Address::new(Services::id(number, shard)))
    }

    /// The services of type `A` on all shards, in the shards' order.
    pub fn services<A: Actor>(&self) -> impl Iterator<Item = Address<A>> + use<A> {
        let number = self.services.number::<A>();
        let on = move |shard| number.map(|number| Address::new(Services::id(number, ShardId(shard))));
        (0..self.shards()).filter_map(on)
    }

    /// The service of type `A` that `key` belongs to: on some shard, and always the same in this process.
    pub fn service_for<A: Actor>(&self, key: &(impl Hash + ?Sized)) -> Option<Address<A>> {
        self.service_on(self.home_of(key))
    }

    /// The shard that `key` belongs to.
    pub(crate) fn home_of(&self, key: &(impl Hash + ?Sized)) -> ShardId {
        let mut hasher = DefaultHasher::new(); // without a seed: the same on all shards
        key.hash(&mut hasher);
        ShardId((hasher.finish() % u64::from(self.shards())) as u16)
    }
}

impl<A: Actor> Context<'_, A> {
    /// How many shards there are.
    pub fn shards(&self) -> u16 {
        self.local.outside().shards()
    }

    /// This shard's service of type `B`: one that [`Server::service`](crate::Server::service) was told to start.
    ///
    /// It costs a look at the few services that there are, not a message. Keep the address or ask again, as you like: it
    /// does not change.
    ///
    /// ```
    /// use corewire::prelude::*;
    /// use corewire::shard::ShardId;
    ///
    /// /// Counts what happens on its shard.
    /// struct Tally(u64);
    /// impl Actor for Tally {}
    /// struct One;
    /// impl Handler<One> for Tally {
    ///     type Reply = u64;
    ///     fn handle(&mut self, _: One, _: &mut Context<Self>) -> u64 {
    ///         self.0 += 1;
    ///         self.0
    ///     }
    /// }
    ///
    /// struct Visit;
    /// impl Session for Visit {
    ///     fn message(&mut self, _: Message, cx: &mut Context<Self>) -> Result<(), Close> {
    ///         let tally = cx.service::<Tally>().expect("main starts one a shard");
    ///         Ok(cx.send(tally, One)?)
    ///     }
    /// }
    ///
    /// let server = Server::bind(":9001").service(|_: ShardId| Tally(0)).at("/", |_: &Upgrade| Ok(Visit));
    /// # drop(server);
    /// ```
    pub fn service<B: Actor>(&self) -> Option<Address<B>> {
        self.service_on(self.me.shard)
    }

    /// The service of type `B` on `shard`. `None`: there is no such service, or no such shard.
    pub fn service_on<B: Actor>(&self, shard: ShardId) -> Option<Address<B>> {
        self.local.outside().service_on(shard)
    }

    /// The services of type `B` on all shards, this one among them, in the shards' order: for
    /// [`Self::send_to_many`].
    pub fn services<B: Actor>(&self) -> impl Iterator<Item = Address<B>> + use<A, B> {
        self.local.outside().services()
    }

    /// The service of type `B` that `key` belongs to: on some shard, and always the same in this process. What is kept by
    /// key, a room by its name, is kept there.
    pub fn service_for<B: Actor>(&self, key: &(impl Hash + ?Sized)) -> Option<Address<B>> {
        self.local.outside().service_for(key)
    }
}
