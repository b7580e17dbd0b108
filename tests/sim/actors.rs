//! Messages between actors: in order from one to another within a priority, and each handled, refused to its sender, or returned to it:
//! one of these, once.

use crate::actor::trail::Recorder;
use corewire::actor::{Actor, ActorId, Handler, Priority, Returned, SendError};
use corewire::prelude::*;
use corewire::sim::{self, Client, Fault, Faults};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What everybody saw, for the test to look at. One thread runs the world; the lock is for the compiler.
#[derive(Default)]
struct Book {
    peers: Vec<Address<Peer>>,
    handled: HashMap<(ActorId, ActorId, Priority), Vec<u32>>,
    /// Told to the sender at once.
    refused: HashSet<(ActorId, ActorId, u32)>,
    returned: Vec<(ActorId, ActorId, u32)>,
    sent: Vec<(ActorId, ActorId, u32)>,
    stopped: HashSet<ActorId>,
}

type Shared = Arc<Mutex<Book>>;

/// Sends to all others, a few at a time, until it has had enough; some stop in the middle of it.
struct Peer {
    book: Shared,
    left: u32,
    burst: u32,
    /// Stops after so many notes, however many wait.
    enough: Option<u32>,
    next: u32,
}

const PRIORITIES: [Priority; 5] =
    [Priority::Low, Priority::Normal, Priority::Normal, Priority::High, Priority::Critical];

struct Go;

struct Note {
    from: ActorId,
    number: u32,
    priority: Priority,
}

impl Actor for Peer {
    fn started(&mut self, cx: &mut Context<Self>) {
        let me = cx.address();
        self.book.lock().unwrap().peers.push(me);
        cx.after(Duration::from_millis(1), me, Go).expect("a shard has timers left");
    }

    fn stopped(&mut self, _: &Reason, cx: &mut Context<Self>) {
        self.book.lock().unwrap().stopped.insert(cx.address().id());
    }

    fn returned(&mut self, returned: Returned, cx: &mut Context<Self>) {
        let to = returned.to;
        let note = returned.downcast::<Note>().expect("only notes are sent");
        assert_eq!(note.from, cx.address().id(), "a message comes back to its sender");
        self.book.lock().unwrap().returned.push((note.from, to, note.number));
    }
}

impl Handler<Go> for Peer {
    type Reply = ();
    fn handle(&mut self, _: Go, cx: &mut Context<Self>) {
        let me = cx.address();
        let peers = self.book.lock().unwrap().peers.clone();
        for _ in 0..self.burst {
            for &peer in &peers {
                self.next += 1;
                let (from, number) = (me.id(), self.next);
                let priority = PRIORITIES[number as usize * 7 % 5];
                let sent = cx.send_at(priority, peer, Note { from, number, priority });
                let mut book = self.book.lock().unwrap();
                book.sent.push((from, peer.id(), number));
                if let Err(SendError::Full(note) | SendError::Gone(note)) = sent {
                    assert_eq!(note.number, number, "the message itself comes back");
                    book.refused.insert((from, peer.id(), number));
                }
            }
        }
        self.left -= 1;
        if self.left > 0 {
            cx.after(Duration::from_millis(1), me, Go).expect("a shard has timers left");
        }
    }
}

impl Handler<Note> for Peer {
    type Reply = ();
    fn handle(&mut self, note: Note, cx: &mut Context<Self>) {
        let me = cx.address().id();
        self.book
            .lock()
            .unwrap()
            .handled
            .entry((note.from, me, note.priority))
            .or_default()
            .push(note.number);
        if let Some(enough) = &mut self.enough {
            *enough = enough.saturating_sub(1);
            if *enough == 0 {
                cx.stop();
            }
        }
    }
}

/// A session that starts peers.
struct Host {
    book: Shared,
    seed: u64,
}

impl Session for Host {
    fn open(&mut self, cx: &mut Context<Self>) -> Result<(), Close> {
        let mut rng = fastrand::Rng::with_seed(self.seed ^ cx.address().id().shard().0 as u64);
        for _ in 0..rng.u32(1..3) {
            let left = rng.u32(1..8);
            let enough = rng.bool().then(|| rng.u32(1..100));
            let peer = Peer { book: self.book.clone(), left, burst: rng.u32(1..8), enough, next: 0 };
            cx.spawn(peer).map_err(|_| Close::new(1013, "no slot"))?;
        }
        Ok(())
    }

    fn message(&mut self, message: Message, cx: &mut Context<Self>) -> Result<(), Close> {
        Ok(cx.client().send(message)?)
    }
}

#[test]
fn every_message_is_handled_in_order_or_refused_or_returned_once() {
    check_messages(super::seeds(300), 100);
}

#[test]
fn a_message_that_has_a_span_is_handled_or_refused_or_returned_as_any_other() {
    let recorder = Recorder::default();
    recorder.listen(|| check_messages(super::seeds(24), 10));
    assert!(recorder.spans() > 1000, "{} messages had a span", recorder.spans());
}

/// In these worlds; each fate must have come to more than so many.
fn check_messages(seeds: std::ops::Range<u64>, each_min: usize) {
    let ways = Mutex::new([0; 3]);
    sim::check(seeds, |world| {
        let seed = world.seed();
        let book = Shared::default();
        let hosts = book.clone();
        let make = move |_: &Upgrade| Ok(Host { book: hosts.clone(), seed });
        let mut world = world
            .shards(seed as u16 % 9 + 2)
            .at("/", make)
            .faults(Faults::swarm(seed).with(Fault::Cut, 0.02));
        world = world.configure(|config| {
            config.lane_slots = 2 << (seed % 4);
            // With small turns and many shards more comes than is handled, and what waits does not fit into the way back.
            config.mailbox_slots = [3, 9, 100][seed as usize / 4 % 3];
            config.batch = [1, 32, 2][seed as usize / 12 % 3];
        });
        for n in 0..20 {
            world.client(
                Client::at("/").later(Duration::from_millis(n)).text("hello").until_heard(1).close(1000),
            );
        }
        world.run_until_quiet(600_000);
        world.run_for(1000);
        let book = book.lock().unwrap();
        check_book(&book);
        let seen = [book.handled.len(), book.refused.len(), book.returned.len()];
        ways.lock().unwrap().iter_mut().zip(seen).for_each(|(sum, seen)| *sum += seen);
        drop(book);
        world.shut_down();
    });
    let ways = ways.into_inner().unwrap();
    assert!(
        ways.iter().all(|&seen| seen > each_min),
        "too few were handled, refused and returned to tell: {ways:?}"
    );
}

fn check_book(book: &Book) {
    let mut fate: HashMap<(ActorId, ActorId, u32), &str> = HashMap::new();
    let mut end = |message: (ActorId, ActorId, u32), how: &'static str| {
        if let Some(before) = fate.insert(message, how) {
            panic!("{message:?} was {before} and then {how}");
        }
    };
    for (&(from, to, _), numbers) in &book.handled {
        assert!(numbers.is_sorted(), "from {from:?} to {to:?} out of order: {numbers:?}");
        numbers.iter().for_each(|&number| end((from, to, number), "handled"));
    }
    book.refused.iter().for_each(|&message| end(message, "refused"));
    book.returned.iter().for_each(|&message| end(message, "returned"));
    for message in book.sent.iter().filter(|message| !book.stopped.contains(&message.0)) {
        assert!(fate.contains_key(message), "{message:?} was neither handled nor refused nor returned");
    }
}

/// Lives for a moment.
struct Mayfly;
struct Night;

impl Actor for Mayfly {
    fn started(&mut self, cx: &mut Context<Self>) {
        let me = cx.address();
        cx.after(Duration::from_millis(1), me, Night).expect("a shard has timers left");
    }
}

impl Handler<Night> for Mayfly {
    type Reply = ();
    fn handle(&mut self, _: Night, cx: &mut Context<Self>) {
        cx.stop();
    }
}

/// An echo whose messages start actors, which take the slots that connections leave.
struct Pond;

impl Session for Pond {
    fn message(&mut self, message: Message, cx: &mut Context<Self>) -> Result<(), Close> {
        cx.spawn(Mayfly).map_err(|_| Close::new(1013, "no slot"))?;
        Ok(cx.client().send(message)?)
    }
}

#[test]
fn who_takes_the_slot_of_a_connection_hears_nothing_of_its_socket() {
    sim::check(super::seeds(300), |world| {
        let seed = world.seed();
        let faults = Faults::swarm(seed)
            .with(Fault::Cut, 0.05)
            .with(Fault::ShortSend, 0.3)
            .with(Fault::RudeClient, 0.3);
        let mut world = world.at("/", |_: &Upgrade| Ok(Pond)).clients(40).faults(faults);
        world = world.configure(super::sessions::patient);
        world.run_until_quiet(7_200_000);
        world.assert_echoed();
        world.shut_down();
    });
}
