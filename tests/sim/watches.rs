//! Watches across shards: who watches hears of every end once, with its reason, and of none that it does not want to hear
//! of; whoever crashes, stops, watches again or takes it back, however late errands are. And nothing of it is left.

use corewire::actor::{ActorId, Down};
use corewire::prelude::*;
use corewire::sim::{self, Client, Faults};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What everybody saw. One thread runs the world; the lock is for the compiler.
#[derive(Default)]
struct Book {
    peers: Vec<ActorId>,
    ended: HashMap<ActorId, Reason>,
    /// By those who live: whom they watch and have not heard of.
    watching: HashMap<ActorId, HashSet<ActorId>>,
    panics: u64,
    /// Nobody crashes any more.
    calm: bool,
    told: HashMap<&'static str, u64>,
}

type Shared = Arc<Mutex<Book>>;

struct Peer {
    book: Shared,
    rng: fastrand::Rng,
    rounds: u32,
}

struct Go;

impl Peer {
    fn crash(&mut self, me: ActorId) {
        let mut book = self.book.lock().unwrap();
        if book.calm {
            return;
        }
        book.panics += 1;
        book.watching.remove(&me);
        book.ended.insert(me, Reason::Panicked("on purpose".into()));
        drop(book);
        std::panic::resume_unwind(Box::new("on purpose")); // thousands of them: without a line each
    }
}

impl Actor for Peer {
    fn started(&mut self, cx: &mut Context<Self>) {
        let me = cx.address();
        self.book.lock().unwrap().peers.push(me.into());
        cx.after(Duration::from_millis(1), me, Go).expect("a shard has timers left");
    }

    fn stopped(&mut self, reason: &Reason, cx: &mut Context<Self>) {
        let me = cx.address().into();
        let mut book = self.book.lock().unwrap();
        book.watching.remove(&me);
        book.ended.insert(me, reason.clone());
    }
}

impl Handler<Go> for Peer {
    type Reply = ();
    fn handle(&mut self, _: Go, cx: &mut Context<Self>) {
        let me: ActorId = cx.address().into();
        for _ in 0..self.rng.u32(0..20) {
            let mut book = self.book.lock().unwrap();
            let whom = book.peers[self.rng.usize(0..book.peers.len())];
            let watching = book.watching.entry(me).or_default();
            if self.rng.u8(0..3) > 0 {
                if cx.watch(whom).is_ok() && whom != me {
                    watching.insert(whom);
                }
            } else {
                assert_eq!(cx.unwatch(whom), watching.remove(&whom), "it knows whom it watches");
            }
        }
        match self.rng.u8(0..20) {
            0 => self.crash(me),
            1 => cx.stop(),
            _ => {}
        }
        self.rounds -= 1;
        if self.rounds > 0 {
            let me = cx.address();
            cx.after(Duration::from_millis(self.rng.u64(1..30)), me, Go).expect("a shard has timers left");
        }
    }
}

impl Handler<Down> for Peer {
    type Reply = ();
    fn handle(&mut self, down: Down, cx: &mut Context<Self>) {
        let me = cx.address().into();
        let mut book = self.book.lock().unwrap();
        let wanted = book.watching.get_mut(&me).is_some_and(|watching| watching.remove(&down.who));
        assert!(wanted, "{me:?} hears of {:?} what it did not want to, or twice", down.who);
        let reason = book.ended.get(&down.who).expect("it has ended");
        assert!(down.reason == *reason || down.reason == Reason::Gone, "{:?} {reason:?}", down.reason);
        let how = match down.reason {
            Reason::Gone => "gone",
            Reason::Panicked(_) => "panicked",
            _ => "stopped",
        };
        *book.told.entry(how).or_default() += 1;
        drop(book);
        if self.rng.u8(0..50) == 0 {
            self.crash(me);
        }
    }
}

/// A session that starts peers.
struct Host(Shared, u64);

impl Session for Host {
    fn open(&mut self, cx: &mut Context<Self>) -> Result<(), Close> {
        for n in 0..4 {
            let seed = self.1 << 16 ^ self.0.lock().unwrap().peers.len() as u64 ^ n << 8;
            let mut rng = fastrand::Rng::with_seed(seed);
            cx.spawn(Peer { book: self.0.clone(), rounds: rng.u32(1..20), rng })?;
        }
        Ok(())
    }

    fn message(&mut self, message: Message, cx: &mut Context<Self>) -> Result<(), Close> {
        Ok(cx.client().send(message)?)
    }
}

#[test]
fn every_end_is_told_once_to_each_who_watches_on_whatever_shard() {
    let told = Mutex::new(HashMap::<&str, u64>::new());
    sim::check(super::seeds(300), |world| {
        let seed = world.seed();
        let book = Shared::default();
        let hosts = book.clone();
        let make = move |_: &Upgrade| Ok(Host(hosts.clone(), seed));
        let mut world = world.shards(seed as u16 % 4 + 1).at("/", make).faults(Faults::swarm(seed));
        world = world.configure(|config| {
            config.lane_slots = 2 << (seed % 4);
            config.batch = [1, 32, 2][seed as usize / 4 % 3];
            config.watches_max = [5, 1000][seed as usize / 12 % 2];
        });
        for n in 0..8 {
            let client = Client::at("/").later(Duration::from_millis(n)).text("hello").until_heard(1);
            world.client(client.close(1000));
        }
        world.run_until_quiet(7_200_000);
        world.run_for(10_000);
        let panics = {
            let mut book = book.lock().unwrap();
            for (who, watching) in &book.watching {
                let untold: Vec<_> = watching.iter().filter(|whom| book.ended.contains_key(whom)).collect();
                assert!(untold.is_empty(), "{who:?} was not told that these ended: {untold:?}");
            }
            for (how, times) in book.told.drain() {
                *told.lock().unwrap().entry(how).or_default() += times;
            }
            book.calm = true;
            book.panics
        };
        world.shut_down_after_panics(panics);
    });
    let told = told.into_inner().unwrap();
    println!("{told:?}");
    for how in ["gone", "panicked", "stopped"] {
        assert!(told.get(how).is_some_and(|&times| times > 1000), "too few to tell: {told:?}");
    }
}
