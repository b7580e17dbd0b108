//! Other threads: what they send is handled once and in order, refused to them, or counted; each question has one end.

use corewire::actor::{Asked, Outside};
use corewire::prelude::*;
use corewire::shard::ShardId;
use corewire::sim::{self, Faults, World};
use std::sync::{Arc, Mutex};
use std::time::Duration;

type Handled = Arc<Mutex<Vec<u32>>>;

/// Writes down what it is told, and answers as it is asked to.
struct Desk {
    handled: Handled,
    kept: Vec<ReplyTo<u32>>,
}
impl Actor for Desk {}

struct Note(u32);
impl Handler<Note> for Desk {
    type Reply = u32;
    fn handle(&mut self, Note(number): Note, _: &mut Context<Self>) -> u32 {
        self.handled.lock().unwrap().push(number);
        number
    }
}

enum How {
    Now(u32),
    NotAtAll,
    Never,
    Panic,
}
impl Handler<Request<How, u32>> for Desk {
    type Reply = ();
    fn handle(&mut self, Request { message, reply }: Request<How, u32>, cx: &mut Context<Self>) {
        match message {
            How::Now(number) => reply.send(number, cx),
            How::NotAtAll => drop(reply),
            How::Never => self.kept.push(reply),
            How::Panic => panic!("on purpose"),
        }
    }
}

struct Stop;
impl Handler<Stop> for Desk {
    type Reply = ();
    fn handle(&mut self, _: Stop, cx: &mut Context<Self>) {
        cx.stop();
    }
}

/// A desk on each shard.
fn desks(world: &mut World, shards: u16) -> (Outside, Vec<(Address<Desk>, Handled)>) {
    let outside = world.outside();
    assert_eq!(outside.shards(), shards);
    let spawned: Vec<_> = (0..shards)
        .map(|shard| {
            let handled = Handled::default();
            let desk = Desk { handled: handled.clone(), kept: Vec::new() };
            (outside.spawn_on(ShardId(shard), desk), handled)
        })
        .collect();
    world.run_for(100);
    let ready = |(mut asked, handled): (Asked<Address<Desk>>, Handled)| {
        let desk = asked.ready().expect("a moment is enough").expect("there is room");
        (desk, handled)
    };
    let desks: Vec<_> = spawned.into_iter().map(ready).collect();
    assert!((0..shards).all(|shard| desks[usize::from(shard)].0.id().shard() == ShardId(shard)));
    (outside, desks)
}

#[test]
fn what_other_threads_send_is_handled_once_and_in_order_or_comes_back_or_is_counted() {
    let seen = Mutex::new([0; 3]);
    sim::check(super::seeds(200), |world| {
        let seed = world.seed();
        let mut rng = fastrand::Rng::with_seed(seed);
        let shards = seed as u16 % 4 + 1;
        let mut world = world.shards(shards).faults(Faults::swarm(seed)).configure(|config| {
            config.outside_slots = [3, 50][seed as usize % 2];
            config.mailbox_slots = [4, 1000][seed as usize / 2 % 2];
            config.batch = [1, 32][seed as usize / 4 % 2];
        });
        let (outside, desks) = desks(&mut world, shards);
        let mut taken = vec![Vec::new(); desks.len()];
        let mut full = 0;
        for number in 0..300 {
            let desk = rng.usize(0..desks.len());
            match outside.send(desks[desk].0, Note(number)) {
                Ok(()) => taken[desk].push(number),
                Err(SendError::Full(Note(back))) => {
                    assert_eq!(back, number, "the message itself comes back");
                    full += 1;
                }
                Err(SendError::Gone(_)) => panic!("all are there"),
            }
            if rng.u8(0..20) == 0 {
                world.run_for(rng.u64(0..5));
            }
        }
        world.run_for(1000);
        let mut handled = 0;
        for ((_, heard), taken) in desks.iter().zip(&taken) {
            let heard = heard.lock().unwrap();
            assert!(
                heard.is_sorted() && heard.iter().all(|number| taken.contains(number)),
                "{heard:?} of {taken:?}"
            );
            handled += heard.len();
        }
        let (taken, refused) = (taken.iter().map(Vec::len).sum::<usize>(), world.stats().refused as usize);
        assert_eq!(handled + refused, taken, "what was taken is handled, or counted as refused on arrival");
        let mut sums = seen.lock().unwrap();
        *sums = [sums[0] + handled, sums[1] + refused, sums[2] + full];
        drop(sums);
        world.shut_down();
        assert!(
            matches!(outside.send(desks[0].0, Note(0)), Err(SendError::Gone(Note(0)))),
            "the server has ended"
        );
    });
    let seen = seen.into_inner().unwrap();
    assert!(seen.iter().all(|&seen| seen > 1000), "too few handled, refused and full to tell: {seen:?}");
}

#[test]
fn each_question_of_another_thread_has_one_end() {
    let ends = Mutex::new(std::collections::HashMap::<String, u32>::new());
    sim::check(super::seeds(200), |world| {
        let seed = world.seed();
        let mut rng = fastrand::Rng::with_seed(seed);
        let shards = seed as u16 % 3 + 1;
        let mut world = world.shards(shards).faults(Faults::swarm(seed)).configure(|config| {
            config.mailbox_slots = [3, 1000][seed as usize % 2];
        });
        let (outside, desks) = desks(&mut world, shards);
        let mut asked = Vec::new();
        let mut panics = 0;
        for number in 0..40 {
            let desk = rng.choice(&desks).expect("there is one").0;
            let how = match rng.u8(0..12) {
                0 => How::NotAtAll,
                1 => How::Never,
                2 if panics == 0 => How::Panic,
                3 => {
                    let _ = outside.send(desk, Stop);
                    How::Now(number)
                }
                4 => {
                    asked.push((number, outside.ask(desk, Note(number)).put().expect("there is room")));
                    continue;
                }
                _ => How::Now(number),
            };
            panics += u64::from(matches!(how, How::Panic));
            let question = outside.ask(desk, how).within(Duration::from_millis(500));
            asked.push((number, question.put().expect("there is room")));
            world.run_for(rng.u64(0..2));
        }
        world.run_for(6000);
        let count = |what: String| *ends.lock().unwrap().entry(what).or_default() += 1;
        for (number, mut asked) in asked {
            match asked.ready() {
                None => panic!("question {number} has no end"),
                Some(Ok(answer)) => {
                    assert_eq!(answer, number, "the answer is to this question");
                    count("answered".into());
                }
                Some(Err(why)) => count(format!("{why:?}")),
            }
            assert!(!matches!(asked.ready(), Some(Ok(_))), "it is answered once");
        }
        let panicked = world.stats().panics; // a desk that has stopped does not panic
        let open = outside.ask(desks[0].0, How::Never).put().expect("there is room");
        world.shut_down_after_panics(panicked);
        let end = open.wait(Duration::ZERO);
        assert!(matches!(end, Err(AskError::Gone | AskError::NoReply)), "who could answer is gone: {end:?}");
    });
    let ends = ends.into_inner().unwrap();
    for end in ["answered", "Full", "Gone", "NoReply", "TimedOut", "Crashed"] {
        assert!(ends.get(end).is_some_and(|&count| count > 10), "too few of {end} to tell: {ends:?}");
    }
}

#[test]
fn what_other_threads_say_is_of_the_world_of_a_seed() {
    let run = || {
        let mut world = World::new(9).shards(3).faults(Faults::swarm(4));
        let (outside, desks) = desks(&mut world, 3);
        for number in 0..50 {
            let _ = outside.send(desks[number as usize % 3].0, Note(number));
            world.run_for(1);
        }
        world.run_for(100);
        let handled: Vec<_> = desks.iter().map(|(_, handled)| handled.lock().unwrap().clone()).collect();
        (handled, world.turns(), world.stats())
    };
    assert_eq!(run(), run());
}

#[test]
fn no_actor_is_started_on_a_shard_that_is_full_or_not_there() {
    let mut world = World::new(1).configure(|config| (config.actors_max, config.connections_max) = (1, 1));
    let outside = world.outside();
    let desk = || Desk { handled: Handled::default(), kept: Vec::new() };
    let mut spawned: Vec<_> = (0..3).map(|_| outside.spawn_on(ShardId(0), desk())).collect();
    let mut nowhere = outside.spawn_on(ShardId(1), desk());
    assert_eq!(nowhere.ready(), Some(Err(AskError::Gone)));
    world.run_for(10);
    assert!(spawned[1].ready().expect("it has been tried").is_ok());
    assert_eq!(spawned[2].ready(), Some(Err(AskError::Full)));
    world.shut_down();
}

#[test]
fn no_actor_is_started_on_a_shard_that_ends_and_that_is_what_it_says() {
    let mut world = World::new(1).configure(|config| config.drain_timeout = Duration::from_secs(10));
    let outside = world.outside();
    let desk = || Desk { handled: Handled::default(), kept: Vec::new() };
    let mut first = outside.spawn_on(ShardId(0), Keeper);
    world.run_for(10);
    assert!(first.ready().expect("it has been tried").is_ok());
    world.drain();
    world.run_for(100);
    let mut late = outside.spawn_on(ShardId(0), desk());
    world.run_for(100);
    assert_eq!(late.ready(), Some(Err(AskError::Gone)));
    world.shut_down();
}

/// Wants to handle what it has accepted before it ends, and waits for what never comes.
struct Keeper;
impl Actor for Keeper {
    fn started(&mut self, cx: &mut Context<Self>) {
        cx.wait(std::future::pending::<()>(), |_: &mut Self, (), _| ()).expect("there is room");
    }

    fn stopping(&mut self, _: &mut Context<Self>) -> Stopping {
        Stopping::AfterMail
    }
}
