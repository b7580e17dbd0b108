//! Where actors are started, and what becomes of one that is not.

use super::Book;
use corewire::actor::{ActorId, NotSpawned, Place};
use corewire::prelude::*;
use corewire::shard::ShardId;
use corewire::sim::{self, Faults, World};
use std::sync::{Arc, Mutex};

/// Is somewhere.
struct Guest(u32);
impl Actor for Guest {}

/// Starts guests as it is told, and notes where they are.
struct Host {
    begin: fn(&mut Context<Host>),
    book: Book,
    placed: Arc<Mutex<Vec<ActorId>>>,
}

impl Actor for Host {
    fn started(&mut self, cx: &mut Context<Self>) {
        if cx.shard() == ShardId(1) {
            (self.begin)(cx);
        }
    }
}

impl Host {
    fn placed(&mut self, guest: Result<Address<Guest>, NotSpawned<Guest>>, _: &mut Context<Self>) {
        match guest {
            Ok(guest) => self.placed.lock().unwrap().push(guest.id()),
            Err(NotSpawned { actor, why }) => self.book.note(format!("guest {}: {why:?}", actor.0)),
        }
    }
}

/// What a service on shard 1 of 3 notes that begins so, how many guests are on each shard, and the world.
fn placed(
    change: impl FnOnce(&mut Config),
    begin: fn(&mut Context<Host>),
) -> (Vec<String>, [usize; 3], World) {
    let (book, placed) = (Book::default(), Arc::new(Mutex::new(Vec::new())));
    let (their_book, theirs) = (book.clone(), placed.clone());
    let host = move |_| Host { begin, book: their_book.clone(), placed: theirs.clone() };
    let mut world = World::new(1).shards(3).configure(change).service(host);
    world.run_for(100);
    let mut by_shard = [0; 3];
    placed.lock().unwrap().iter().for_each(|id: &ActorId| by_shard[usize::from(id.shard().0)] += 1);
    (book.take(), by_shard, world)
}

fn start(place: Place, guests: u32, cx: &mut Context<Host>) {
    for number in 0..guests {
        cx.spawn_at(place, Guest(number)).then(Host::placed).expect("there is room for the answer");
    }
}

#[test]
fn an_actor_is_started_where_it_was_wanted() {
    let (said, by_shard, world) = placed(
        |_| (),
        |cx| {
            start(Place::Here, 2, cx);
            start(Place::Shard(ShardId(2)), 3, cx);
            let far = cx.service_on::<Host>(ShardId(0)).expect("there is one a shard");
            start(Place::Near(far.id()), 4, cx);
        },
    );
    assert_eq!((said.len(), by_shard), (0, [4, 2, 3]));
    world.shut_down();
}

#[test]
fn a_burst_spreads_over_the_least_loaded_shards() {
    let (said, by_shard, world) = placed(
        |_| (),
        |cx| {
            for number in 0..30 {
                cx.spawn(Guest(number)).expect("there is room");
            }
            start(Place::LeastLoaded, 90, cx);
        },
    );
    // Thirty more are on shard 1 and not noted: a service and forty of 120 on each.
    assert_eq!((said.len(), by_shard), (0, [40, 10, 40]));
    world.shut_down();
}

#[test]
fn an_actor_that_finds_no_room_comes_back_and_says_why() {
    let (said, by_shard, world) = placed(
        |config| (config.actors_max, config.connections_max) = (3, 1), // a service, and three more
        |cx| start(Place::Shard(ShardId(2)), 5, cx),
    );
    assert_eq!((said, by_shard), (vec!["guest 3: Full".into(), "guest 4: Full".into()], [0, 0, 3]));
    world.shut_down();

    let (_, by_shard, world) = placed(
        |config| config.asks_max = 2,
        |cx| {
            start(Place::Shard(ShardId(2)), 2, cx);
            let refused =
                cx.spawn_at(Place::Here, Guest(2)).then(Host::placed).expect_err("two are asked for");
            assert_eq!((refused.actor.0, refused.why), (2, corewire::actor::SpawnError::Busy));
            let refused = cx.spawn_at(Place::Shard(ShardId(3)), Guest(3)).then(Host::placed);
            let refused = refused.expect_err("there are three shards");
            assert_eq!((refused.actor.0, refused.why), (3, corewire::actor::SpawnError::NoShard));
        },
    );
    assert_eq!(by_shard, [0, 0, 2]);
    world.shut_down();
}

/// Starts a guest on the next shard, and is gone before it hears.
struct Hasty(Book);
impl Actor for Hasty {
    fn started(&mut self, cx: &mut Context<Self>) {
        let next = Place::Shard(ShardId((cx.shard().0 + 1) % cx.shards()));
        cx.spawn_at(next, Stayer(self.0.clone()))
            .then(|_, _, _| unreachable!("who has stopped is not called"))
            .expect("there is room for the answer");
        cx.stop();
    }
}

struct Stayer(Book);
impl Actor for Stayer {
    fn started(&mut self, cx: &mut Context<Self>) {
        self.0.note(format!("{}", cx.shard()));
    }
}

#[test]
fn who_is_started_stays_when_who_started_it_goes() {
    sim::check(0..50, |world| {
        let (seed, book) = (world.seed(), Book::default());
        let theirs = book.clone();
        let world = world.shards(3).configure(|config| config.lane_slots = 2);
        let mut world = world.faults(Faults::swarm(seed)).service(move |_| Hasty(theirs.clone()));
        world.run_for(1000);
        let mut heard = book.take();
        heard.sort();
        assert_eq!(heard, ["shard 0", "shard 1", "shard 2"]);
        world.shut_down();
    });
}
