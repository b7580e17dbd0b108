//! What shards tell of themselves when they are asked.

use super::{Book, world_after, world_with};
use corewire::actor::Snapshot;
use corewire::prelude::*;
use corewire::sim::{self, Client, Faults, World};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Has so many of something.
struct Holder(i64);
impl Actor for Holder {
    fn started(&mut self, cx: &mut Context<Self>) {
        cx.register_probe("held", |holder| -1 - holder.0).expect("there is room for probes");
        cx.register_probe("held", |holder| holder.0).expect("it takes the other's place");
    }
}

struct Take(i64);
impl Handler<Take> for Holder {
    type Reply = ();
    fn handle(&mut self, Take(n): Take, cx: &mut Context<Self>) {
        self.0 += n;
        cx.count("taken", n as u64);
        if n == 0 {
            cx.stop();
        }
    }
}

/// What another thread hears of the world's shards.
#[track_caller]
fn look(world: &mut World) -> Snapshot {
    let mut asked = world.outside().stats();
    for _ in 0..1000 {
        if let Some(answer) = asked.ready() {
            return answer.expect("all shards turn");
        }
        world.run_for(1);
    }
    panic!("no answer within a second");
}

#[test]
fn a_probe_is_read_when_somebody_looks_and_goes_with_its_actor() {
    let book = Arc::new(Mutex::new(None));
    let theirs = book.clone();
    let mut world = world_after(move |cx| {
        let holders = [1, 10].map(|n| cx.spawn(Holder(n)).expect("there is a slot"));
        *theirs.lock().expect("nobody panics with it") = Some(holders);
    });
    let [one, ten] = book.lock().expect("nobody panics with it").take().expect("the session has opened");
    let outside = world.outside();
    assert_eq!(look(&mut world).probe("held"), 11);

    outside.send(one, Take(2)).expect("there is room");
    outside.send(ten, Take(5)).expect("there is room");
    world.run_for(10);
    let stats = look(&mut world);
    assert_eq!((stats.probe("held"), stats.probe("taken"), stats.probe("unheard of")), (18, 7, 0));
    assert_eq!(stats.probe("active_connections"), 1);
    assert_eq!((stats.sum(|shard| shard.handled), stats.sum(|shard| shard.actors)), (2, 3));

    outside.send(one, Take(0)).expect("there is room");
    world.run_for(10);
    assert_eq!(look(&mut world).probe("held"), 15);
    world.shut_down();
}

#[test]
fn a_probe_that_panics_is_not_read_again_and_its_actor_goes_on() {
    struct Odd(Arc<AtomicU64>);
    impl Actor for Odd {
        fn started(&mut self, cx: &mut Context<Self>) {
            let read = |odd: &Self| match odd.0.fetch_add(1, Ordering::Relaxed) {
                0 => 7,
                _ => panic!("it was told to"),
            };
            cx.register_probe("odd", read).expect("there is room for probes");
            cx.register_probe("even", |_| 8).expect("there is room for probes");
        }
    }
    let reads = Arc::new(AtomicU64::new(0));
    let theirs = reads.clone();
    let mut world = world_after(move |cx| {
        cx.spawn(Odd(theirs)).expect("there is a slot");
    });
    let seen: Vec<(i64, i64, u64)> = (0..3)
        .map(|_| look(&mut world))
        .map(|stats| (stats.probe("odd"), stats.probe("even"), stats.sum(|shard| shard.actors)))
        .collect();
    assert_eq!(seen, [(7, 8, 2), (0, 8, 2), (0, 8, 2)]);
    assert_eq!(reads.load(Ordering::Relaxed), 2);
    world.shut_down_after_panics(1);
}

#[test]
fn there_are_as_many_probes_as_may_be_and_those_who_ended_make_room() {
    let book = Book::default();
    let theirs = book.clone();
    let world = world_with(
        |config| config.probes_max = 1,
        move |cx| {
            let first = cx.spawn(Holder(1)).expect("there is a slot");
            let full = cx.register_probe("mine", |_| 1).expect_err("there is one already");
            theirs.note(full.to_string());
            cx.send(first, Take(0)).expect("there is room");
            let me = cx.address();
            cx.after(Duration::from_millis(5), me, Again(theirs.clone())).expect("there are timers");
        },
    );
    world.shut_down();
    assert_eq!(
        book.take(),
        ["this shard has no room for one more probe; raise `probes_max`, or register fewer", "Ok(())"]
    );
}

struct Again(Book);
impl Handler<Again> for super::Host {
    type Reply = ();
    fn handle(&mut self, Again(book): Again, cx: &mut Context<Self>) {
        book.note(format!("{:?}", cx.register_probe("mine", |_| 1)));
    }
}

#[test]
fn who_asks_within_a_handler_is_seen_between_two() {
    let book = Book::default();
    let theirs = book.clone();
    let world = world_after(move |cx| {
        cx.register_probe("me", |_| 5).expect("there is room for probes");
        cx.stats(move |_, stats, cx| {
            let stats = stats.expect("there is one shard, and it turns");
            theirs.note(format!("{} {}", stats.probe("me"), stats.shards.len()));
            assert!(cx.stats(|_, _, _| ()).is_ok(), "and may ask again");
        })
        .expect("there is room for questions");
    });
    world.shut_down();
    assert_eq!(book.take(), ["5 1"]);
}

/// Asks how everybody is with every message, and says how many shards have told.
struct Curious {
    told: Arc<AtomicU64>,
}

impl Session for Curious {
    fn open(&mut self, cx: &mut Context<Self>) -> Result<(), Close> {
        cx.register_probe("curious", |_| 1).map_err(|full| Close::new(1013, full.to_string()))
    }

    fn message(&mut self, message: Message, cx: &mut Context<Self>) -> Result<(), Close> {
        // Full is an answer: so many look already.
        let _ = cx.stats(|curious, stats, cx| {
            let Ok(stats) = stats else { return };
            assert_eq!(stats.shards.len(), 3, "each shard tells once");
            let connections = stats.probe("active_connections");
            assert!(connections <= 9 && stats.probe("curious") <= connections, "{stats:?}");
            assert!(stats.probe("curious") > 0, "the asker itself was seen: {:?}", cx.address());
            curious.told.fetch_add(1, Ordering::Relaxed);
        });
        Ok(cx.client().send(message)?)
    }
}

#[test]
fn all_shards_tell_whatever_goes_wrong_around_them() {
    let told = Arc::new(AtomicU64::new(0));
    sim::check(0..100, |world| {
        let (seed, theirs) = (world.seed(), told.clone());
        let mut world = world
            .shards(3)
            .clients(8)
            .faults(Faults::swarm(seed))
            .configure(|config| {
                config.lane_slots = 2;
                config.rules.idle_timeout = Duration::from_secs(1800);
                config.rules.close_timeout = Duration::from_secs(600);
                config.rules.ping_interval = Duration::from_secs(7200);
            })
            .at("/", move |_: &Upgrade| Ok(Curious { told: theirs.clone() }));
        world.client(Client::at("/").text("hello").until_heard(1).close(1000));
        world.run_until_quiet(7_200_000);
        world.assert_echoed();
        assert_eq!(look(&mut world).probe("curious"), 0, "those who ended are not seen");
        world.shut_down();
    });
    assert!(told.load(Ordering::Relaxed) > 1000, "{told:?} looks are too few to tell");
}
