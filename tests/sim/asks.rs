//! Every question is answered exactly once: with a value, or with why there is none. Whoever crashes, stops, forwards,
//! forgets or is late; with full mailboxes and lanes, on several shards. And nothing of it is left behind.

use corewire::actor::{Actor, AskError, Handler, Request};
use corewire::prelude::*;
use corewire::sim::{self, Client, Fault, Faults};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What everybody saw. One thread runs the world; the lock is for the compiler.
#[derive(Default)]
struct Book {
    peers: Vec<Address<Peer>>,
    /// By question: what its asker heard; `None` before.
    asked: HashMap<u32, Option<Result<(), AskError>>>,
    /// Of askers that are gone, which hear nothing any more.
    orphaned: Vec<u32>,
    refused: u32,
    panics: u64,
    next: u32,
}

type Shared = Arc<Mutex<Book>>;

/// Held by everything that a question consists of: at the end only the test has one.
type Trace = Arc<()>;

struct Peer {
    book: Shared,
    trace: Trace,
    rng: fastrand::Rng,
    rounds: u32,
    /// Questions that it will answer, or not.
    owed: Vec<Request<Slow, Answer>>,
    /// Its own that are open.
    open: Vec<u32>,
}

struct Go;
/// Answered at once.
struct Quick {
    number: u32,
    trace: Trace,
}
/// Answered in time.
struct Slow(Quick);
struct Answer {
    number: u32,
    _trace: Trace,
}

impl Quick {
    fn answer(self) -> Answer {
        Answer { number: self.number, _trace: self.trace }
    }
}

impl Actor for Peer {
    fn started(&mut self, cx: &mut Context<Self>) {
        let me = cx.address();
        self.book.lock().unwrap().peers.push(me);
        cx.after(Duration::from_millis(1), me, Go).expect("a shard has timers left");
    }

    fn stopping(&mut self, _: &mut Context<Self>) -> Stopping {
        if self.rng.bool() { Stopping::Now } else { Stopping::AfterMail }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        if let Ok(mut book) = self.book.lock() {
            book.orphaned.append(&mut self.open);
        }
    }
}

impl Peer {
    fn ask(&mut self, cx: &mut Context<Self>) {
        let (peer, number) = {
            let mut book = self.book.lock().unwrap();
            book.next += 1;
            (book.peers[self.rng.usize(0..book.peers.len())], book.next)
        };
        let quick = Quick { number, trace: self.trace.clone() };
        let within = Duration::from_millis([1, 5, 1000, 20_000][self.rng.usize(0..4)]);
        let trace = self.trace.clone();
        let heard = move |peer: &mut Self, answer: Result<Answer, AskError>, cx: &mut Context<Self>| {
            drop(trace);
            peer.heard(number, answer, cx);
        };
        let asked = if self.rng.bool() {
            cx.ask(peer, quick).within(within).then(heard).map_err(SendError::into_inner)
        } else {
            let asked = cx.ask(peer, Slow(quick)).within(within).then(heard);
            asked.map_err(|error| error.into_inner().0)
        };
        let mut book = self.book.lock().unwrap();
        match asked {
            Ok(()) => {
                book.asked.insert(number, None);
                self.open.push(number);
            }
            Err(back) => {
                assert_eq!(back.number, number, "the question itself comes back");
                book.refused += 1;
            }
        }
    }

    fn heard(&mut self, number: u32, answer: Result<Answer, AskError>, cx: &mut Context<Self>) {
        if let Ok(answer) = &answer {
            assert_eq!(answer.number, number, "the answer is to this question");
        }
        let before = self.book.lock().unwrap().asked.insert(number, Some(answer.map(|_| ())));
        assert_eq!(before, Some(None), "question {number} is answered once");
        self.open.retain(|open| *open != number);
        match self.rng.u8(0..200) {
            0 => self.crash(),
            1 => cx.stop(),
            2..20 => self.ask(cx),
            _ => {}
        }
    }

    fn crash(&mut self) {
        self.book.lock().unwrap().panics += 1;
        std::panic::resume_unwind(Box::new("on purpose")); // thousands of them: without a line each
    }

    /// What comes between.
    fn live(&mut self, cx: &mut Context<Self>) {
        match self.rng.u8(0..100) {
            0 => self.crash(),
            1 => cx.stop(),
            _ => {}
        }
    }
}

impl Handler<Go> for Peer {
    type Reply = ();
    fn handle(&mut self, _: Go, cx: &mut Context<Self>) {
        for _ in 0..self.rng.u32(0..12) {
            self.ask(cx);
        }
        for _ in 0..self.rng.usize(0..=self.owed.len()) {
            let Request { message, reply } = self.owed.swap_remove(self.rng.usize(0..self.owed.len()));
            let peer = {
                let book = self.book.lock().unwrap();
                book.peers[self.rng.usize(0..book.peers.len())]
            };
            match self.rng.u8(0..6) {
                0 => drop(reply),
                1 => reply.send_from_outside(message.0.answer()),
                2 => {
                    if let Err(error) = reply.forward(peer, message, cx) {
                        let Request { message, reply } = error.into_inner();
                        reply.send(message.0.answer(), cx);
                    }
                }
                3 => drop(reply.forward(peer, message.0, cx)), // dropped with its duty, if it is refused
                _ => reply.send(message.0.answer(), cx),
            }
        }
        self.live(cx);
        self.rounds -= 1;
        if self.rounds > 0 {
            let me = cx.address();
            cx.after(Duration::from_millis(self.rng.u64(1..30)), me, Go).expect("a shard has timers left");
        } else {
            self.owed.clear();
        }
    }
}

impl Handler<Quick> for Peer {
    type Reply = Answer;
    fn handle(&mut self, quick: Quick, cx: &mut Context<Self>) -> Answer {
        self.live(cx);
        quick.answer()
    }
}

impl Handler<Request<Slow, Answer>> for Peer {
    type Reply = ();
    fn handle(&mut self, request: Request<Slow, Answer>, cx: &mut Context<Self>) {
        if self.rounds > 0 {
            self.owed.push(request);
        }
        self.live(cx);
    }
}

/// A session that starts peers.
struct Host {
    book: Shared,
    trace: Trace,
    seed: u64,
}

impl Session for Host {
    fn open(&mut self, cx: &mut Context<Self>) -> Result<(), Close> {
        for n in 0..3 {
            let seed = self.seed << 16 ^ self.book.lock().unwrap().peers.len() as u64 ^ n << 8;
            let mut rng = fastrand::Rng::with_seed(seed);
            let peer = Peer {
                book: self.book.clone(),
                trace: self.trace.clone(),
                rounds: rng.u32(1..20),
                rng,
                owed: Vec::new(),
                open: Vec::new(),
            };
            cx.spawn(peer).map_err(|_| Close::new(1013, "no slot"))?;
        }
        Ok(())
    }

    fn message(&mut self, message: Message, cx: &mut Context<Self>) -> Result<(), Close> {
        Ok(cx.client().send(message)?)
    }
}

#[test]
fn every_question_is_answered_once_whoever_crashes_stops_or_is_late() {
    let seen = Mutex::new(HashMap::<String, u32>::new());
    sim::check(super::seeds(300), |world| {
        let seed = world.seed();
        let (book, trace) = (Shared::default(), Trace::default());
        let (hosts, traces) = (book.clone(), trace.clone());
        let make = move |_: &Upgrade| Ok(Host { book: hosts.clone(), trace: traces.clone(), seed });
        let mut world =
            world.shards(seed as u16 % 5 + 1).at("/", make).faults(Faults::swarm(seed).with(Fault::Cut, 0.0));
        world = world.configure(|config| {
            config.lane_slots = 2 << (seed % 4);
            config.mailbox_slots = [2, 9, 100][seed as usize / 4 % 3];
            config.batch = [1, 32, 2][seed as usize / 12 % 3];
            config.asks_max = [4, 64, 1000][seed as usize / 36 % 3];
        });
        for n in 0..10 {
            world.client(
                Client::at("/").later(Duration::from_millis(n)).text("hello").until_heard(1).close(1000),
            );
        }
        world.run_until_quiet(600_000);
        world.run_for(30_000); // past the last deadline
        {
            let book = book.lock().unwrap();
            let mut seen = seen.lock().unwrap();
            for (number, heard) in &book.asked {
                let how = match heard {
                    Some(heard) => format!("{heard:?}"),
                    None => {
                        assert!(book.orphaned.contains(number), "question {number} was never answered");
                        "its asker has gone".into()
                    }
                };
                *seen.entry(how).or_default() += 1;
            }
            *seen.entry("refused".into()).or_default() += book.refused;
        }
        let (asks, panics) = (world.stats().asks, book.lock().unwrap().panics);
        assert_eq!(asks, book.lock().unwrap().asked.len() as u64);
        world.shut_down_after_panics(panics);
        assert_eq!(Arc::strong_count(&trace), 1, "all that questions consist of has gone");
    });
    let seen = seen.into_inner().unwrap();
    println!("{seen:?}");
    for how in
        ["Ok(())", "Err(Full)", "Err(Gone)", "Err(NoReply)", "Err(TimedOut)", "Err(Crashed)", "refused"]
    {
        let times = seen.get(how).copied().unwrap_or_default();
        assert!(times > 50, "{how} was seen {times} times, too few to tell");
    }
}
