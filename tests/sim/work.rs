//! Every job that was taken ends once: with what it gave, with its panic, or with the end of the server; and it comes to
//! its actor, if that is still there and has not taken it back. On several shards, with a small queue, whoever crashes, stops or shuts down meanwhile.

use corewire::actor::{Priority, WorkError, WorkId, WorkRefused};
use corewire::prelude::*;
use corewire::sim::{self, Client, Faults};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What everybody saw. One thread runs the world; the lock is for the compiler.
#[derive(Default)]
struct Book {
    /// By job.
    jobs: HashMap<u32, Story>,
    refused: u32,
    /// Of bosses that are gone.
    orphaned: Vec<u32>,
    crashes: u64,
    next: u32,
}

#[derive(Default)]
struct Story {
    ran: bool,
    taken_back: bool,
    heard: Option<Result<u32, WorkError>>,
}

type Shared = Arc<Mutex<Book>>;

/// Held by everything that a job consists of: at the end only the test has one.
type Trace = Arc<()>;

struct Boss {
    book: Shared,
    trace: Trace,
    rng: fastrand::Rng,
    open: Vec<(u32, WorkId)>,
    rounds: u32,
}

#[derive(Clone)]
struct Go;

impl Actor for Boss {
    fn started(&mut self, cx: &mut Context<Self>) {
        let me = cx.address();
        let period = Duration::from_millis(self.rng.u64(1..40));
        cx.every(period, me, Go).expect("a shard has timers left");
    }

    fn stopping(&mut self, _: &mut Context<Self>) -> Stopping {
        if self.rng.bool() { Stopping::Now } else { Stopping::AfterMail }
    }
}

impl Drop for Boss {
    fn drop(&mut self) {
        if let Ok(mut book) = self.book.lock() {
            book.orphaned.extend(self.open.drain(..).map(|(number, _)| number));
        }
    }
}

impl Boss {
    fn hand_over(&mut self, cx: &mut Context<Self>) {
        let number = {
            let mut book = self.book.lock().unwrap();
            book.next += 1;
            book.next
        };
        let (book, trace) = (self.book.clone(), self.trace.clone());
        let panics = self.rng.u8(0..8) == 0;
        let job = move || {
            let held = trace;
            let before =
                std::mem::replace(&mut book.lock().unwrap().jobs.entry(number).or_default().ran, true);
            assert!(!before, "job {number} runs once");
            if panics {
                std::panic::resume_unwind(Box::new("on purpose")); // thousands of them: without a line each
            }
            drop(held);
            number
        };
        let priority =
            [Priority::Low, Priority::Normal, Priority::High, Priority::Critical][self.rng.usize(0..4)];
        let trace = self.trace.clone();
        let handed = cx.work(job).at(priority).then(move |boss: &mut Self, result, cx| {
            drop(trace);
            boss.heard(number, result, cx);
        });
        match handed {
            Ok(id) => {
                self.book.lock().unwrap().jobs.entry(number).or_default();
                self.open.push((number, id));
            }
            Err(WorkRefused::Full(_) | WorkRefused::Ending(_)) => self.book.lock().unwrap().refused += 1,
        }
    }

    fn heard(&mut self, number: u32, result: Result<u32, WorkError>, cx: &mut Context<Self>) {
        {
            let mut book = self.book.lock().unwrap();
            let story = book.jobs.get_mut(&number).expect("it was taken");
            match &result {
                Ok(given) => assert!(*given == number && story.ran, "the result is this job's"),
                Err(WorkError::Ending) => assert!(!story.ran, "a job that ran is not said to have not"),
                Err(_) => assert!(story.ran),
            }
            assert!(!story.taken_back, "who has taken a job back does not hear of it");
            assert!(story.heard.replace(result).is_none(), "job {number} is told once");
        }
        self.open.retain(|(open, _)| *open != number);
        match self.rng.u8(0..100) {
            0 => self.crash(),
            1 => cx.stop(),
            2..20 => self.hand_over(cx),
            _ => {}
        }
    }

    fn crash(&mut self) {
        self.book.lock().unwrap().crashes += 1;
        std::panic::resume_unwind(Box::new("on purpose"));
    }
}

impl Handler<Go> for Boss {
    type Reply = ();
    fn handle(&mut self, _: Go, cx: &mut Context<Self>) {
        for _ in 0..self.rng.u32(0..6) {
            self.hand_over(cx);
        }
        if self.rng.u8(0..4) == 0 && !self.open.is_empty() {
            let (number, id) = self.open.swap_remove(self.rng.usize(0..self.open.len()));
            assert!(cx.cancel_work(id) && !cx.cancel_work(id), "it is taken back once");
            self.book.lock().unwrap().jobs.get_mut(&number).expect("it was taken").taken_back = true;
        }
        self.rounds -= 1;
        match self.rng.u8(0..200) {
            0 => self.crash(),
            _ if self.rounds == 0 => cx.stop(),
            _ => {}
        }
    }
}

/// A session that starts bosses.
struct Host {
    book: Shared,
    trace: Trace,
    seed: u64,
}

impl Session for Host {
    fn open(&mut self, cx: &mut Context<Self>) -> Result<(), Close> {
        for n in 0..3 {
            let seed = self.seed << 16 ^ u64::from(self.book.lock().unwrap().next) << 4 ^ n;
            let mut rng = fastrand::Rng::with_seed(seed);
            let rounds = rng.u32(1..40);
            let (book, trace) = (self.book.clone(), self.trace.clone());
            let boss = Boss { book, trace, rng, open: Vec::new(), rounds };
            cx.spawn(boss).map_err(|_| Close::new(1013, "no slot"))?;
        }
        Ok(())
    }

    fn message(&mut self, message: Message, cx: &mut Context<Self>) -> Result<(), Close> {
        Ok(cx.client().send(message)?)
    }
}

#[test]
fn every_job_that_is_taken_runs_once_or_ends_with_the_server_and_is_told_once() {
    let seen = Mutex::new(HashMap::<&str, u32>::new());
    sim::check(super::seeds(300), |world| {
        let seed = world.seed();
        let (book, trace) = (Shared::default(), Trace::default());
        let (hosts, traces) = (book.clone(), trace.clone());
        let make = move |_: &Upgrade| Ok(Host { book: hosts.clone(), trace: traces.clone(), seed });
        let world = world.shards(seed as u16 % 3 + 1).at("/", make).faults(Faults::swarm(seed));
        let mut world = world.configure(|config| {
            config.pool_threads = [1, 2, 5][seed as usize / 3 % 3];
            config.pool_slots = [1, 8, 1000][seed as usize / 9 % 3];
            config.asks_max = [4, 1000][seed as usize / 27 % 2];
            config.drain_timeout = Duration::from_millis([1, 50, 10_000][seed as usize / 54 % 3]);
        });
        for n in 0..6 {
            world.client(Client::at("/").later(Duration::from_millis(n * 10)).text("hello"));
        }
        world.run_for(100 + seed % 7 * 300); // in the middle of it, or after
        let (accepted, refused) = {
            let stats = world.stats();
            (stats.jobs, stats.jobs_refused)
        };
        {
            let book = book.lock().unwrap();
            assert_eq!(accepted, book.jobs.len() as u64);
            assert!(refused <= book.refused.into(), "the pool's refusals are among those that were seen");
        }
        world.drain();
        world.run_for(20_000);
        let crashes = book.lock().unwrap().crashes;
        world.shut_down_after_panics(crashes);
        assert_eq!(Arc::strong_count(&trace), 1, "all that jobs consist of has gone");
        let book = book.lock().unwrap();
        let mut seen = seen.lock().unwrap();
        for (number, story) in &book.jobs {
            let how = match &story.heard {
                Some(Ok(_)) => "done",
                Some(Err(WorkError::Panicked(_))) => "panicked",
                Some(Err(_)) => "ended with the server",
                None if story.taken_back && story.ran => "ran, and was taken back",
                None if story.taken_back => "taken back in time",
                None => {
                    assert!(book.orphaned.contains(number), "job {number} was never told of");
                    if story.ran { "ran for nobody" } else { "did not run, for nobody" }
                }
            };
            *seen.entry(how).or_default() += 1;
        }
        *seen.entry("refused").or_default() += book.refused;
    });
    let seen = seen.into_inner().unwrap();
    println!("{seen:?}");
    for how in [
        "done",
        "panicked",
        "ended with the server",
        "ran for nobody",
        "did not run, for nobody",
        "ran, and was taken back",
        "taken back in time",
        "refused",
    ] {
        let times = seen.get(how).copied().unwrap_or_default();
        assert!(times > 50, "{how} was seen {times} times, too few to tell");
    }
}
