//! Connections that move from shard to shard while clients speak, are slow, rude and cut off: their clients notice nothing, and
//! those who know their addresses reach them in order, wherever they live.

use corewire::actor::TimerId;
use corewire::prelude::*;
use corewire::shard::ShardId;
use corewire::sim::{self, Client, Fault, Faults, Heard, World};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const SHARDS: u16 = 3;

/// Echoes, and moves after every few messages.
struct Nomad {
    rng: fastrand::Rng,
    heard: u64,
    from: Arc<Mutex<u64>>,
}

impl Session for Nomad {
    const MIGRATION: Option<Migration<Self>> = Migration::ALLOWED;

    fn message(&mut self, message: Message, cx: &mut Context<Self>) -> Result<(), Close> {
        self.heard += 1;
        if self.rng.u8(0..3) == 0 {
            cx.migrate(cx.address(), ShardId(self.rng.u16(0..SHARDS)));
        }
        Ok(cx.client().send(message)?)
    }

    fn moved(&mut self, from: ShardId, cx: &mut Context<Self>) {
        assert_ne!(from, cx.shard());
        *self.from.lock().unwrap() += 1;
        if self.rng.u8(0..3) == 0 {
            cx.migrate(cx.address(), ShardId(self.rng.u16(0..SHARDS))); // and on at once
        }
    }
}

fn echo(world: World, moves: &Arc<Mutex<u64>>) -> World {
    let (moves, seed) = (moves.clone(), world.seed());
    patient(world).at("/", move |_: &Upgrade| {
        Ok(Nomad { rng: fastrand::Rng::with_seed(seed), heard: 0, from: moves.clone() })
    })
}

/// Nobody is cut off for its silence, and no ping comes to the rescue of who stands still.
fn patient(world: World) -> World {
    let seed = world.seed();
    world.shards(SHARDS).configure(|config| {
        config.rules.idle_timeout = Duration::from_secs(1800);
        config.rules.close_timeout = Duration::from_secs(600);
        config.rules.ping_interval = Duration::from_secs(7200);
        config.rules.send_queue_bytes_max = 410_000;
        config.batch = [1, 2, 32][seed as usize % 3]; // so that what is let go of is not told at once
    })
}

#[test]
fn clients_notice_nothing_of_the_moves_of_their_sessions() {
    let moves = Arc::default();
    sim::check(super::seeds(400), |world| {
        let faults = Faults::swarm(world.seed());
        let mut world = echo(world, &moves).clients(8).faults(faults);
        world.run_until_quiet(7_200_000);
        world.assert_echoed();
        world.shut_down();
    });
    let moves = *moves.lock().unwrap();
    println!("{moves} moves");
    assert!(moves > 400, "{moves} moves in all worlds");
}

#[test]
fn a_server_that_ends_takes_along_who_is_on_its_way() {
    let moves = Arc::default();
    sim::check(super::seeds(200), |world| {
        let seed = world.seed();
        let is_fine = seed.is_multiple_of(2);
        let faults = if is_fine { Faults::none() } else { Faults::swarm(seed).with(Fault::Cut, 0.0) };
        let mut world = echo(world, &moves).clients(6).faults(faults);
        world.run_for(seed % 500 * 10);
        world.drain();
        // Where all clients answer at once, nobody waits for a deadline.
        world.run_until_quiet(if is_fine { 2_000 } else { 7_200_000 });
        world.shut_down();
    });
}

/// Sends numbers to all whose addresses it knows, one at a time to each, from every shard and with every turn.
struct Post {
    to: Vec<Address<Diary>>,
    next: u32,
    heard: HashMap<Address<Diary>, u32>,
}

#[derive(Debug, Clone, Copy)]
struct Letter {
    from: ShardId,
    number: u32,
}

struct Known(Address<Diary>);
struct Next;

/// What a diary says of itself, with numbers that grow.
struct Said {
    by: Address<Diary>,
    number: u32,
}

impl Actor for Post {
    fn returned(&mut self, returned: Returned, _: &mut Context<Self>) {
        let to = returned.to;
        // Whoever it was for has ended, or its mailbox is full: then nothing more is sent to it, so that order is kept.
        assert!(returned.downcast::<Letter>().is_ok(), "it sends nothing else");
        self.to.retain(|known| known.id() != to);
    }
}

impl Handler<Known> for Post {
    type Reply = ();
    fn handle(&mut self, Known(diary): Known, cx: &mut Context<Self>) {
        if self.to.is_empty() && self.next < LETTERS {
            cx.next_turn(Next);
        }
        self.to.push(diary);
    }
}

impl Handler<Said> for Post {
    type Reply = ();
    fn handle(&mut self, Said { by, number }: Said, _: &mut Context<Self>) {
        let before = self.heard.insert(by, number);
        assert!(
            before < Some(number),
            "{number} after {before:?}: what one says comes in order, wherever it says it"
        );
    }
}

impl Handler<Next> for Post {
    type Reply = ();
    fn handle(&mut self, _: Next, cx: &mut Context<Self>) {
        let letter = Letter { from: cx.shard(), number: self.next };
        self.to.retain(|&to| cx.send(to, letter).is_ok());
        self.next += 1;
        if self.next < LETTERS && !self.to.is_empty() {
            cx.next_turn(Next);
        }
    }
}

const LETTERS: u32 = 60;

/// Writes down what it gets, and moves all the time.
struct Diary {
    rng: fastrand::Rng,
    book: Arc<Mutex<Book>>,
    seen: Vec<Option<u32>>,
    address: Option<Address<Self>>,
    said: u32,
    ticks: u32,
    tick: Option<TimerId>,
    late: Option<TimerId>,
}

#[derive(Default)]
struct Book {
    moves: u64,
    letters: u64,
    ticks: u64,
}

#[derive(Clone)]
struct Tick;
struct TooLate;

impl Diary {
    fn wander(&mut self, cx: &mut Context<Self>) {
        self.said += 1;
        let post = cx.service_on::<Post>(ShardId(self.said as u16 % SHARDS)).expect("each shard has one");
        let _ = cx.send(post, Said { by: cx.address(), number: self.said }); // a lane may be full
        if self.rng.u8(0..4) == 0 {
            cx.migrate(cx.address(), ShardId(self.rng.u16(0..SHARDS)));
        }
    }
}

impl Session for Diary {
    const MIGRATION: Option<Migration<Self>> = Migration::ALLOWED;
    const MAILBOX_SLOTS: Option<u32> = Some(400);

    fn open(&mut self, cx: &mut Context<Self>) -> Result<(), Close> {
        let me = cx.address();
        self.address = Some(me);
        for post in cx.services::<Post>() {
            let _ = cx.send(post, Known(me)); // where the lane is full, it hears nothing from there
        }
        self.tick = cx.every(Duration::from_millis(3), me, Tick).ok();
        self.late = cx.after(Duration::from_secs(5), me, TooLate).ok();
        Ok(())
    }

    fn message(&mut self, message: Message, cx: &mut Context<Self>) -> Result<(), Close> {
        self.wander(cx);
        Ok(cx.client().send(message)?)
    }

    fn moved(&mut self, from: ShardId, cx: &mut Context<Self>) {
        assert_ne!(from, cx.shard());
        assert_eq!(Some(cx.address()), self.address, "an address is for life");
        self.book.lock().unwrap().moves += 1;
        if self.rng.bool() {
            cx.migrate(cx.address(), ShardId(self.rng.u16(0..SHARDS)));
        }
    }
}

impl Handler<Letter> for Diary {
    type Reply = ();
    fn handle(&mut self, Letter { from, number }: Letter, cx: &mut Context<Self>) {
        let seen = &mut self.seen[usize::from(from.0)];
        let expected = seen.map_or(number, |last| last + 1);
        assert_eq!(number, expected, "of {from}: none lost, none twice, none out of order");
        *seen = Some(number);
        self.book.lock().unwrap().letters += 1;
        self.wander(cx);
    }
}

impl Handler<Tick> for Diary {
    type Reply = ();
    fn handle(&mut self, _: Tick, cx: &mut Context<Self>) {
        self.ticks += 1;
        assert!(self.ticks <= 20, "a timer is taken back on whatever shard");
        self.book.lock().unwrap().ticks += 1;
        self.wander(cx);
        if self.ticks == 20 {
            let was_set =
                |timer: Option<TimerId>, cx: &mut Context<Self>| timer.is_some_and(|timer| cx.cancel(timer));
            assert!(was_set(self.tick.take(), cx), "it fires again and again");
            assert!(was_set(self.late.take(), cx), "it has not fired");
            let all: Vec<_> = self.seen.iter().map(|seen| seen.unwrap_or(0).to_string()).collect();
            let _ = cx.client().send_text(&all.join(" "));
        }
    }
}

impl Handler<TooLate> for Diary {
    type Reply = ();
    fn handle(&mut self, _: TooLate, _: &mut Context<Self>) {
        panic!("it was taken back");
    }
}

#[test]
fn mail_and_timers_follow_who_moves_in_order() {
    let book = Arc::<Mutex<Book>>::default();
    sim::check(super::seeds(400), |world| {
        let (seed, seen) = (world.seed(), book.clone());
        let faults = Faults::swarm(seed).with(Fault::Cut, 0.0).with(Fault::StalledClient, 0.0);
        let mut world = patient(world)
            .configure(|config| config.lane_slots = [4, 64][usize::from(seed % 2 == 1)])
            .service(|_| Post { to: Vec::new(), next: 0, heard: HashMap::new() })
            .at("/", move |upgrade: &Upgrade| {
                Ok(Diary {
                    rng: fastrand::Rng::with_seed(seed ^ upgrade.peer().port() as u64),
                    book: seen.clone(),
                    seen: vec![None; usize::from(SHARDS)],
                    address: None,
                    said: 0,
                    ticks: 0,
                    tick: None,
                    late: None,
                })
            })
            .faults(faults);
        let clients: Vec<_> =
            (0..4).map(|_| world.client(Client::at("/").text("a").text("b").until_heard(3))).collect();
        world.run_for(3_000_000);
        for client in clients {
            let report = world.report(client);
            assert!(
                report.messages().any(|heard| matches!(heard, Heard::Text(text) if text.contains(' '))),
                "{:?}",
                report.heard
            );
        }
        world.shut_down();
    });
    let Book { moves, letters, ticks, .. } = &*book.lock().unwrap();
    println!("{moves} moves, {letters} letters, {ticks} ticks");
    assert!(*moves > 5_000 && *letters > 50_000, "{moves} moves, {letters} letters");
}

/// Goes to the first shard, and stays there.
struct Flock;

impl Session for Flock {
    const MIGRATION: Option<Migration<Self>> = Migration::ALLOWED;

    fn message(&mut self, message: Message, cx: &mut Context<Self>) -> Result<(), Close> {
        if message.as_text() == Some("go") {
            cx.migrate(cx.address(), ShardId(0));
        }
        Ok(cx.client().send(message)?)
    }
}

#[test]
fn shards_balance_when_they_are_told() {
    sim::check(super::seeds(100), |world| {
        let faults = Faults::swarm(world.seed()).with(Fault::Cut, 0.0).with(Fault::StalledClient, 0.0);
        let mut world = patient(world).at("/", |_: &Upgrade| Ok(Flock)).faults(faults);
        let script =
            Client::at("/").expects_echo().text("go").wait(Duration::from_secs(100)).text("still there");
        let clients: Vec<_> = (0..30).map(|_| world.client(script.clone())).collect();
        world.run_for(50_000);
        assert_eq!(world.connections_by_shard(), [30, 0, 0]);
        for _ in 0..4 {
            world.rebalance();
            world.run_for(5_000);
        }
        let shards = world.connections_by_shard();
        assert!(shards.iter().all(|count| (7..=15).contains(count)), "{shards:?}");
        world.run_for(200_000);
        for client in clients {
            assert_eq!(world.report(client).messages().count(), 2, "{:?}", world.report(client));
        }
        world.shut_down();
    });
}
