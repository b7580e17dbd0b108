//! Futures of actors: each result arrives once, none for an actor that has stopped, and who waits hears nothing else.

use corewire::actor::{ActorId, Returned, TaskId};
use corewire::prelude::*;
use corewire::sim::{self, Client, Fault, Faults, World};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What everybody saw. One thread runs the world; the lock is for the compiler.
#[derive(Default)]
struct Book {
    clerks: Vec<Address<Clerk>>,
    /// Of each actor's futures: begun, and how often each has had a result.
    results: HashMap<ActorId, Vec<u32>>,
    stopped: Vec<ActorId>,
    /// Futures that were made, and that were dropped.
    made: u32,
    dropped: u32,
    /// How often something would have been said to an actor that waits.
    held: u32,
}

type Shared = Arc<Mutex<Book>>;

/// Finishes other actors' futures, when it comes to it.
struct Clerk;
impl Actor for Clerk {}

/// Says `number`, or goes without a word.
struct Finish(flume::Sender<u32>, u32);
impl Handler<Finish> for Clerk {
    type Reply = ();
    fn handle(&mut self, Finish(to, number): Finish, _: &mut Context<Self>) {
        if !number.is_multiple_of(5) {
            let _ = to.try_send(number); // its actor may have stopped
        }
    }
}

/// A future that a clerk finishes, and that says when it is dropped.
struct Promise {
    answer: flume::r#async::RecvFut<'static, u32>,
    book: Shared,
}

impl Future for Promise {
    type Output = Option<u32>;
    fn poll(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<u32>> {
        std::pin::Pin::new(&mut self.answer).poll(cx).map(Result::ok)
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        self.book.lock().unwrap().dropped += 1;
    }
}

/// A promise that some clerk keeps after up to `delay_ms`, or at once if it cannot be asked.
fn promise<A: Actor>(book: &Shared, rng: &mut fastrand::Rng, number: u32, cx: &mut Context<A>) -> Promise {
    let (tx, rx) = flume::bounded(1);
    let clerk = {
        let mut book = book.lock().unwrap();
        book.made += 1;
        rng.choice(book.clerks.iter().copied())
    };
    if let Some(clerk) = clerk {
        let _ = cx.after(Duration::from_millis(rng.u64(0..30)), clerk, Finish(tx, number)); // else it is kept at once
    }
    Promise { answer: rx.into_recv_async(), book: book.clone() }
}

/// Begins futures, and waits for some of them; stops in the middle of it, or not.
struct Asking {
    book: Shared,
    rng: fastrand::Rng,
    left: u32,
    waiting: u32,
    enough: Option<u32>,
    cancelled: Vec<(TaskId, u32)>,
}

struct Go;
struct Note;

impl Asking {
    fn begin(&mut self, cx: &mut Context<Self>) {
        let me = cx.address().id();
        let number = {
            let mut book = self.book.lock().unwrap();
            let mine = book.results.entry(me).or_default();
            mine.push(0);
            mine.len() as u32 - 1
        };
        let promise = promise(&self.book, &mut self.rng, number, cx);
        let waits = self.rng.u8(0..3) == 0;
        let into = move |actor: &mut Self, answer: Option<u32>, cx: &mut Context<Self>| {
            assert!(waits || actor.waiting == 0, "a result arrives at an actor that waits for another");
            actor.waiting -= u32::from(waits);
            assert!(answer.is_none_or(|answer| answer == number), "the result is this future's");
            actor.book.lock().unwrap().results.get_mut(&cx.address().id()).unwrap()[number as usize] += 1;
            if waits && actor.rng.u8(0..8) == 0 {
                actor.begin(cx); // some wait again
            }
        };
        let begun = if waits {
            self.waiting += 1;
            cx.wait(promise, into)
        } else {
            cx.pipe(promise, into)
        };
        match begun {
            Err(full) => {
                drop(full.into_inner());
                self.waiting -= u32::from(waits);
                self.book.lock().unwrap().results.get_mut(&me).unwrap()[number as usize] = 1; // it has its answer
            }
            Ok(task) if self.rng.u8(0..10) == 0 => {
                assert!(cx.cancel_task(task) && !cx.cancel_task(task), "it is there to be cancelled, once");
                self.waiting -= u32::from(waits);
                self.book.lock().unwrap().results.get_mut(&me).unwrap()[number as usize] = 1;
            }
            Ok(task) if !waits => self.cancelled.push((task, number)),
            Ok(_) => {}
        }
    }
}

impl Actor for Asking {
    fn started(&mut self, cx: &mut Context<Self>) {
        let me = cx.address();
        cx.after(Duration::from_millis(1), me, Go).expect("a shard has timers left");
    }

    fn stopped(&mut self, _: &Reason, cx: &mut Context<Self>) {
        self.book.lock().unwrap().stopped.push(cx.address().id());
    }

    fn returned(&mut self, _: Returned, _: &mut Context<Self>) {
        assert_eq!(self.waiting, 0, "a message comes back to an actor that waits");
    }
}

impl Handler<Go> for Asking {
    type Reply = ();
    fn handle(&mut self, _: Go, cx: &mut Context<Self>) {
        assert_eq!(self.waiting, 0, "a message is handled by an actor that waits");
        let me = cx.address();
        for _ in 0..self.rng.u32(0..4) {
            self.begin(cx);
        }
        if self.waiting > 0 {
            self.book.lock().unwrap().held += 1;
        }
        for _ in 0..self.rng.u32(0..4) {
            let _ = cx.send(me, Note); // a full mailbox has fewer
        }
        // Some come back: clerks that have stopped are among them.
        let clerks = self.book.lock().unwrap().clerks.clone();
        if let Some(clerk) = self.rng.choice(clerks) {
            let (nobody, _) = flume::bounded(1);
            let _ = cx.send(clerk, Finish(nobody, 1));
        }
        if let Some((task, number)) = self.cancelled.pop()
            && self.rng.bool()
        {
            let mut book = self.book.lock().unwrap();
            let results = &mut book.results.get_mut(&me.id()).unwrap()[number as usize];
            let had_result = *results == 1;
            *results = 1;
            drop(book); // the future says that it is dropped
            assert_eq!(cx.cancel_task(task), !had_result, "what has no result yet can be cancelled");
        }
        self.left -= 1;
        if self.left > 0 {
            cx.after(Duration::from_millis(2), me, Go).expect("a shard has timers left");
        }
    }
}

impl Handler<Note> for Asking {
    type Reply = ();
    fn handle(&mut self, _: Note, cx: &mut Context<Self>) {
        assert_eq!(self.waiting, 0, "a message is handled by an actor that waits");
        if let Some(enough) = &mut self.enough {
            *enough = enough.saturating_sub(1);
            if *enough == 0 {
                cx.stop();
            }
        }
    }
}

/// A session that starts a clerk and some who ask.
struct Host {
    book: Shared,
    seed: u64,
}

impl Session for Host {
    fn open(&mut self, cx: &mut Context<Self>) -> Result<(), Close> {
        let mut rng = fastrand::Rng::with_seed(self.seed ^ u64::from(cx.shard().0));
        let clerk = cx.spawn(Clerk).map_err(|_| Close::new(1013, "no slot"))?;
        self.book.lock().unwrap().clerks.push(clerk);
        let enough = rng.bool().then(|| rng.u32(1..20));
        let (book, left) = (self.book.clone(), rng.u32(1..10));
        cx.spawn(Asking { book, rng, left, waiting: 0, enough, cancelled: Vec::new() })
            .map_err(|_| Close::new(1013, "no slot"))?;
        Ok(())
    }

    fn message(&mut self, message: Message, cx: &mut Context<Self>) -> Result<(), Close> {
        Ok(cx.client().send(message)?)
    }
}

#[test]
fn a_futures_result_arrives_once_while_its_actor_lives_and_does_not_wait_for_another() {
    let seen = Mutex::new([0; 3]);
    sim::check(super::seeds(300), |world| {
        let seed = world.seed();
        let book = Shared::default();
        let hosts = book.clone();
        let mut world = world
            .shards(seed as u16 % 4 + 1)
            .at("/", move |_: &Upgrade| Ok(Host { book: hosts.clone(), seed }))
            .faults(Faults::swarm(seed))
            .configure(|config| {
                config.tasks_max = [5, 1000][seed as usize % 2];
                config.batch = [1, 32][seed as usize / 2 % 2];
            });
        for n in 0..10 {
            world.client(
                Client::at("/").later(Duration::from_millis(n)).text("hello").until_heard(1).close(1000),
            );
        }
        world.run_until_quiet(600_000);
        world.run_for(1000);
        let (futures, stopped) = {
            let book = book.lock().unwrap();
            for (actor, results) in &book.results {
                let lives = !book.stopped.contains(actor);
                for (number, &results) in results.iter().enumerate() {
                    assert!(
                        results == 1 || results == 0 && !lives,
                        "future {number} of {actor:?} (lives: {lives}) had {results} results"
                    );
                }
            }
            assert_eq!(book.made, book.dropped, "futures that are done or whose actor stopped are dropped");
            let mut seen = seen.lock().unwrap();
            seen[2] += book.held;
            (book.made, book.stopped.len() as u32)
        };
        let mut sums = seen.lock().unwrap();
        (sums[0], sums[1]) = (sums[0] + futures, sums[1] + stopped);
        drop(sums);
        world.shut_down();
    });
    let seen = seen.into_inner().unwrap();
    assert!(
        seen.iter().all(|&seen| seen > 100),
        "too few futures, stopped actors and waits to tell: {seen:?}"
    );
}

/// An echo that now and then waits for a future, with its client.
struct Pensive {
    book: Shared,
    clerk: Option<Address<Clerk>>,
    heard: u32,
    waiting: bool,
}

impl Pensive {
    fn new(book: &Shared) -> Self {
        Self { book: book.clone(), clerk: None, heard: 0, waiting: false }
    }

    fn think(&mut self, cx: &mut Context<Self>) -> Result<(), Close> {
        let (tx, rx) = flume::bounded(1);
        let clerk = self.clerk.expect("it has opened");
        if cx.after(Duration::from_millis(5), clerk, Finish(tx, 1)).is_ok() {
            self.waiting = true;
            self.book.lock().unwrap().made += 1;
            let promise = Promise { answer: rx.into_recv_async(), book: self.book.clone() };
            cx.wait(promise, |session, _, _| session.waiting = false)?;
        }
        Ok(())
    }
}

impl Session for Pensive {
    fn open(&mut self, cx: &mut Context<Self>) -> Result<(), Close> {
        self.clerk = Some(cx.spawn(Clerk).map_err(|_| Close::new(1013, "no slot"))?);
        self.think(cx)
    }

    fn message(&mut self, message: Message, cx: &mut Context<Self>) -> Result<(), Close> {
        assert!(!self.waiting, "a client is heard while its session waits");
        self.heard += 1;
        if self.heard.is_multiple_of(3) {
            self.think(cx)?;
        }
        Ok(cx.client().send(message)?)
    }

    fn drained(&mut self, _: &mut Context<Self>) {
        assert!(!self.waiting, "a session that waits is told of room");
    }

    fn closed(&mut self, _: CloseReason, cx: &mut Context<Self>) {
        let clerk = self.clerk.expect("it has opened");
        let _ = cx.send(clerk, Enough);
    }
}

struct Enough;
impl Handler<Enough> for Clerk {
    type Reply = ();
    fn handle(&mut self, _: Enough, cx: &mut Context<Self>) {
        cx.stop();
    }
}

#[test]
fn a_session_that_waits_hears_everything_after_and_in_order() {
    sim::check(super::seeds(300), |world| {
        let seed = world.seed();
        let book = Shared::default();
        let sessions = book.clone();
        let mut world = world
            .shards(seed as u16 % 4 + 1)
            .at("/", move |_: &Upgrade| Ok(Pensive::new(&sessions)))
            .clients(10)
            .faults(Faults::swarm(seed))
            .configure(|config| {
                super::sessions::patient(config);
                config.rules.ping_interval = Duration::from_secs(7200);
                config.rules.send_queue_bytes_max = 410_000;
            });
        world.run_until_quiet(7_200_000);
        world.assert_echoed();
        world.shut_down();
        let book = book.lock().unwrap();
        assert_eq!(book.made, book.dropped, "nothing is left of a future");
    });
}

#[test]
fn a_session_that_waits_for_long_is_not_idle_and_costs_nothing() {
    let (tx, rx) = flume::bounded::<()>(1);
    let mut world = World::new(3).at("/", move |_: &Upgrade| Ok(Long(rx.clone())));
    let client = world.client(Client::at("/").text("hello"));
    world.run_for(600_000);
    assert_eq!(world.report(client).close_code(), None);
    assert_eq!(world.report(client).messages().count(), 0, "nobody listens yet");
    let turns = world.turns();
    assert!(turns < 1000, "{turns} turns in ten minutes in which nothing happens");
    tx.send(()).unwrap();
    world.run_for(10);
    assert_eq!(world.report(client).messages().count(), 1);
    world.shut_down();
}

struct Long(flume::Receiver<()>);
impl Session for Long {
    fn open(&mut self, cx: &mut Context<Self>) -> Result<(), Close> {
        cx.wait(self.0.clone().into_recv_async(), |_, _, _| ())?;
        Ok(())
    }

    fn message(&mut self, message: Message, cx: &mut Context<Self>) -> Result<(), Close> {
        Ok(cx.client().send(message)?)
    }
}

/// Says what comes out of a stream, and waits after every third.
struct Tape {
    prices: flume::Receiver<u32>,
    clerk: Option<Address<Clerk>>,
    waiting: bool,
    last: u32,
}

impl Session for Tape {
    fn open(&mut self, cx: &mut Context<Self>) -> Result<(), Close> {
        self.clerk = Some(cx.spawn(Clerk).map_err(|_| Close::new(1013, "no slot"))?);
        let prices = self.prices.clone().into_stream();
        cx.stream(prices, Self::price, |_, cx| cx.client().close(Close::new(4000, "sold out")))?;
        Ok(())
    }

    fn message(&mut self, _: Message, _: &mut Context<Self>) -> Result<(), Close> {
        Ok(())
    }

    fn closed(&mut self, _: CloseReason, cx: &mut Context<Self>) {
        let _ = cx.send(self.clerk.expect("it has opened"), Enough);
    }
}

impl Tape {
    fn price(&mut self, price: u32, cx: &mut Context<Self>) {
        assert!(!self.waiting, "an item arrives at a session that waits");
        assert_eq!(price, self.last + 1, "items come in order, and all of them");
        self.last = price;
        let _ = cx.client().send_text(&price.to_string());
        if price.is_multiple_of(3) {
            let (tx, rx) = flume::bounded(1);
            cx.after(Duration::from_millis(2), self.clerk.expect("it has opened"), Finish(tx, 1)).unwrap();
            self.waiting = true;
            cx.wait(rx.into_recv_async(), |session, _, _| session.waiting = false).unwrap();
        }
    }
}

#[test]
fn a_streams_items_come_in_order_and_its_end_once_however_the_session_waits() {
    sim::check(super::seeds(200), |world| {
        let (tx, rx) = flume::bounded(7);
        let faults = Faults::swarm(world.seed()).with(Fault::Cut, 0.0);
        let mut world = world.at("/", move |_: &Upgrade| {
            Ok(Tape { prices: rx.clone(), clerk: None, waiting: false, last: 0 })
        });
        world = world.faults(faults).configure(super::sessions::patient);
        let client = world.client(Client::at("/"));
        let mut next = 1;
        let mut tx = Some(tx);
        while tx.is_some() {
            while let Some(prices) = &tx
                && prices.try_send(next).is_ok()
            {
                next += 1;
                if next > 40 {
                    tx = None;
                }
            }
            world.run_for(3);
        }
        world.run_until_quiet(7_200_000);
        let report = world.report(client);
        assert_eq!(report.messages().count(), 40);
        assert_eq!(report.close_code(), Some(Some(4000)));
        world.shut_down();
    });
}

/// Begins a future that panics, in one way or another.
struct Doomed(u32);
impl Session for Doomed {
    fn open(&mut self, cx: &mut Context<Self>) -> Result<(), Close> {
        match self.0 {
            0 => cx.pipe(async { panic!("on purpose") }, |_, (), _| ())?,
            1 => cx.pipe(async {}, |_, (), _| panic!("on purpose"))?,
            _ => cx.wait(async { panic!("on purpose") }, |_, (), _| ())?,
        };
        Ok(())
    }

    fn message(&mut self, _: Message, _: &mut Context<Self>) -> Result<(), Close> {
        Ok(())
    }
}

#[test]
fn a_future_that_panics_costs_its_own_actor_and_nobody_else() {
    for how in 0..3 {
        let mut world = World::new(1)
            .at("/doomed", move |_: &Upgrade| Ok(Doomed(how)))
            .at("/", |_: &Upgrade| Ok(super::echo::Echo))
            .clients(5);
        let doomed = world.client(Client::at("/doomed"));
        world.run_until_quiet(60_000);
        world.assert_echoed();
        assert_eq!(world.report(doomed).close_code(), Some(Some(1011)));
        world.shut_down_after_panics(1);
    }
}

/// Begins as many futures as it may.
struct Greedy;
impl Session for Greedy {
    fn open(&mut self, cx: &mut Context<Self>) -> Result<(), Close> {
        for _ in 0..10 {
            cx.pipe(std::future::pending(), |_, (), _| ())?; // one too many becomes a close
        }
        Ok(())
    }

    fn message(&mut self, _: Message, _: &mut Context<Self>) -> Result<(), Close> {
        Ok(())
    }
}

#[test]
fn one_future_too_many_is_an_answer_and_room_comes_back_with_the_actors_end() {
    let mut world = World::new(1).at("/", |_: &Upgrade| Ok(Greedy)).configure(|config| config.tasks_max = 15);
    let first = world.client(Client::at("/").wait(Duration::from_millis(50)).close(1000));
    let second = world.client(Client::at("/").later(Duration::from_millis(10)));
    let third = world
        .client(Client::at("/").later(Duration::from_millis(100)).wait(Duration::from_millis(1)).close(1000));
    world.run_until_quiet(10_000);
    let code = |client: usize| world.report(client).close_code();
    assert_eq!(
        (code(first), code(second), code(third)),
        (Some(Some(1000)), Some(Some(1013)), Some(Some(1000)))
    );
    world.shut_down();
}
