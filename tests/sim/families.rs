//! Trees of supervisors in which anybody crashes at any time: no message is handled twice, none that was accepted is lost
//! but the one that crashed, addresses stay good over restarts, and nothing of it is left.

use corewire::actor::{ActorId, Down, Restart, Returned, Supervision};
use corewire::prelude::*;
use corewire::sim::{self, Client, Faults};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What everybody saw. One thread runs the world; the lock is for the compiler.
#[derive(Default)]
struct Book {
    /// All that ever lived, and their children.
    nodes: Vec<Node>,
    /// By message: what became of it.
    fate: HashMap<u64, &'static str>,
    sent: u64,
    /// Of senders that are gone, or were made anew, which are told nothing any more.
    orphaned: HashSet<u64>,
    /// Who watches whom and has not heard of it, among those who live.
    watching: HashSet<(ActorId, ActorId)>,
    ended: HashMap<ActorId, Reason>,
    panics: u64,
    escalations: u64,
    calm: bool,
}

/// Somebody to send to.
#[derive(Clone, Copy)]
enum Node {
    OneForOne(Address<Peer<0>>),
    OneForAll(Address<Peer<1>>),
    RestForOne(Address<Peer<2>>),
}

impl Node {
    fn id(self) -> ActorId {
        match self {
            Self::OneForOne(address) => address.id(),
            Self::OneForAll(address) => address.id(),
            Self::RestForOne(address) => address.id(),
        }
    }
}

type Shared = Arc<Mutex<Book>>;

/// A supervisor and a child at once.
struct Peer<const STRATEGY: u8> {
    book: Shared,
    rng: fastrand::Rng,
    depth: u32,
    /// Sent by this life, and not known to have arrived.
    under_way: Vec<u64>,
}

struct Go;
struct Note(u64);

impl<const STRATEGY: u8> Peer<STRATEGY> {
    fn new(book: &Shared, rng: &mut fastrand::Rng, depth: u32) -> Self {
        Self { book: book.clone(), rng: rng.fork(), depth, under_way: Vec::new() }
    }

    fn crash(&self) {
        let mut book = self.book.lock().unwrap();
        if !book.calm {
            book.panics += 1;
            drop(book);
            std::panic::resume_unwind(Box::new("on purpose")); // thousands of them: without a line each
        }
    }

    /// What comes between.
    fn live(&mut self, cx: &mut Context<Self>) {
        match self.rng.u16(0..400) {
            0..8 => self.crash(),
            8 => cx.stop(),
            9..12 if self.depth > 0 => self.breed(cx),
            _ => {}
        }
    }

    fn breed(&mut self, cx: &mut Context<Self>) {
        let restart =
            [Restart::Always, Restart::OnFailure, Restart::OnFailure, Restart::Never][self.rng.usize(0..4)];
        let (book, mut rng, depth) = (self.book.clone(), self.rng.fork(), self.depth - 1);
        let node = match self.rng.u8(0..3) {
            0 => cx.spawn_child(restart, maker::<0>(book, rng, depth)).map(Node::OneForOne),
            1 => cx.spawn_child(restart, maker::<1>(book, rng, depth)).map(Node::OneForAll),
            _ => {
                rng.bool();
                cx.spawn_child(restart, maker::<2>(book, rng, depth)).map(Node::RestForOne)
            }
        };
        if let Ok(node) = node {
            let mut book = self.book.lock().unwrap();
            book.nodes.push(node);
            let me = cx.address().id();
            if self.rng.bool() && cx.watch(node.id()).is_ok() {
                book.watching.insert((me, node.id()));
            }
        }
    }

    fn send(&mut self, cx: &mut Context<Self>) {
        let (node, number) = {
            let mut book = self.book.lock().unwrap();
            book.sent += 1;
            (book.nodes[self.rng.usize(0..book.nodes.len())], book.sent)
        };
        let note = Note(number);
        let sent = match node {
            Node::OneForOne(address) => cx.send(address, note),
            Node::OneForAll(address) => cx.send(address, note),
            Node::RestForOne(address) => cx.send(address, note),
        };
        match sent {
            Ok(()) => self.under_way.push(number),
            Err(error) => {
                assert_eq!(error.into_inner().0, number, "the message itself comes back");
                self.book.lock().unwrap().end(number, "refused");
            }
        }
    }
}

impl Book {
    fn end(&mut self, message: u64, how: &'static str) {
        if let Some(before) = self.fate.insert(message, how) {
            panic!("{message} was {before} and then {how}");
        }
    }
}

/// Makes a peer, most of the time.
fn maker<const S: u8>(book: Shared, mut rng: fastrand::Rng, depth: u32) -> impl FnMut() -> Peer<S> {
    move || {
        let peer = Peer::new(&book, &mut rng, depth);
        if rng.u8(0..30) == 0 {
            peer.crash();
        }
        peer
    }
}

impl<const STRATEGY: u8> Drop for Peer<STRATEGY> {
    fn drop(&mut self) {
        if let Ok(mut book) = self.book.lock() {
            book.orphaned.extend(self.under_way.drain(..));
        }
    }
}

impl<const STRATEGY: u8> Actor for Peer<STRATEGY> {
    const SUPERVISION: Supervision = match STRATEGY {
        0 => Supervision::ONE_FOR_ONE,
        1 => Supervision::ONE_FOR_ALL,
        _ => Supervision::REST_FOR_ONE,
    }
    .restarts(3, Duration::from_millis(200))
    .back_off(Duration::from_millis(1), Duration::from_millis(20));

    fn started(&mut self, cx: &mut Context<Self>) {
        let me = cx.address();
        // A new life watches nobody.
        self.book.lock().unwrap().watching.retain(|(watcher, _)| *watcher != me.id());
        cx.after(Duration::from_millis(1), me, Go).expect("a shard has timers left");
        for _ in 0..self.depth {
            self.breed(cx);
        }
        if self.rng.u8(0..30) == 0 {
            self.crash();
        }
    }

    fn stopping(&mut self, _: &mut Context<Self>) -> Stopping {
        if self.rng.bool() { Stopping::Now } else { Stopping::AfterMail }
    }

    fn stopped(&mut self, reason: &Reason, _: &mut Context<Self>) {
        if matches!(reason, Reason::Escalated(_)) {
            self.book.lock().unwrap().escalations += 1;
        }
        if self.rng.u8(0..30) == 0 {
            self.crash();
        }
    }

    fn returned(&mut self, returned: Returned, _: &mut Context<Self>) {
        let note = returned.downcast::<Note>().expect("only notes are sent");
        self.under_way.retain(|number| *number != note.0);
        self.book.lock().unwrap().end(note.0, "returned");
    }
}

impl<const STRATEGY: u8> Handler<Go> for Peer<STRATEGY> {
    type Reply = ();
    fn handle(&mut self, _: Go, cx: &mut Context<Self>) {
        let me = cx.address();
        let pause = Duration::from_millis(self.rng.u64(1..20));
        if !self.book.lock().unwrap().calm {
            cx.after(pause, me, Go).expect("a shard has timers left");
            for _ in 0..self.rng.u32(0..4) {
                self.send(cx);
            }
        }
        self.live(cx);
    }
}

impl<const STRATEGY: u8> Handler<Note> for Peer<STRATEGY> {
    type Reply = ();
    fn handle(&mut self, Note(number): Note, cx: &mut Context<Self>) {
        self.book.lock().unwrap().end(number, "handled");
        self.live(cx);
    }
}

impl<const STRATEGY: u8> Handler<Down> for Peer<STRATEGY> {
    type Reply = ();
    fn handle(&mut self, down: Down, cx: &mut Context<Self>) {
        let mut book = self.book.lock().unwrap();
        let wanted = book.watching.remove(&(cx.address().id(), down.who));
        assert!(wanted, "{:?} hears of {:?} what it did not want to, or twice", cx.address(), down.who);
        let before = book.ended.insert(down.who, down.reason.clone());
        assert!(before.is_none(), "one supervisor, one watch, one end");
        drop(book);
        self.live(cx);
    }
}

/// A session that starts the root of a tree.
struct Host(Shared, u64);

impl Session for Host {
    fn open(&mut self, cx: &mut Context<Self>) -> Result<(), Close> {
        let mut book = self.0.lock().unwrap();
        let mut rng = fastrand::Rng::with_seed(self.1 << 16 ^ book.nodes.len() as u64);
        let depth = rng.u32(1..4);
        let root = Peer::<0>::new(&self.0, &mut rng, depth);
        drop(book);
        let root = cx.spawn(root)?;
        book = self.0.lock().unwrap();
        book.nodes.push(Node::OneForOne(root));
        Ok(())
    }

    fn message(&mut self, message: Message, cx: &mut Context<Self>) -> Result<(), Close> {
        Ok(cx.client().send(message)?)
    }
}

#[test]
fn a_thousand_trees_of_supervisors_lose_nothing_and_repeat_nothing_whoever_crashes() {
    let seen = Mutex::new(HashMap::<&str, u64>::new());
    sim::check(super::seeds(1000), |world| {
        let seed = world.seed();
        let book = Shared::default();
        let hosts = book.clone();
        let make = move |_: &Upgrade| Ok(Host(hosts.clone(), seed));
        let mut world = world.shards(seed as u16 % 3 + 1).at("/", make).faults(Faults::swarm(seed));
        world = world.configure(|config| {
            config.lane_slots = 2 << (seed % 4);
            config.batch = [1, 32, 2][seed as usize / 4 % 3];
            config.mailbox_slots = [3, 100][seed as usize / 12 % 2];
        });
        for n in 0..3 {
            let client = Client::at("/").later(Duration::from_millis(n)).text("hello").until_heard(1);
            world.client(client.close(1000));
        }
        world.run_until_quiet(7_200_000);
        world.run_for(300);
        book.lock().unwrap().calm = true;
        world.run_for(1000);
        let stats = world.stats();
        let panics = {
            let book = book.lock().unwrap();
            for number in 1..=book.sent {
                // A message to somebody who ended goes back to a sender that may have been made anew since, or have ended.
                let known = book.fate.contains_key(&number) || book.orphaned.contains(&number);
                assert!(known, "message {number} was neither handled nor refused nor returned");
            }
            let mut seen = seen.lock().unwrap();
            for how in book.fate.values() {
                *seen.entry(how).or_default() += 1;
            }
            for reason in book.ended.values() {
                let how = match reason {
                    Reason::Panicked(_) => "panicked",
                    Reason::Escalated(_) => "escalated",
                    Reason::Supervisor => "ended by its supervisor",
                    Reason::Stopped => "stopped",
                    Reason::Gone => "gone at once",
                    other => panic!("nobody should end for this reason: {other:?}"),
                };
                *seen.entry(how).or_default() += 1;
            }
            *seen.entry("restarts").or_default() += stats.restarts;
            *seen.entry("escalations").or_default() += book.escalations;
            book.panics
        };
        world.shut_down_after_panics(panics);
    });
    let seen = seen.into_inner().unwrap();
    println!("{seen:?}");
    for how in [
        "handled",
        "refused",
        "returned",
        "restarts",
        "panicked",
        "escalations",
        "ended by its supervisor",
        "stopped",
    ] {
        let times = seen.get(how).copied().unwrap_or_default();
        assert!(times > 50, "{how} was seen {times} times, too few to tell");
    }
}
