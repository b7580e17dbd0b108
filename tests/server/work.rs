//! The worker pool's threads: where they run, what they leave to the shards, how they end.

use super::harness::{Client, Local, Said, config, wait_until};
use corewire::actor::WorkError;
use corewire::prelude::*;
use corewire::topology::{Machine, Policy, plan};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Does by a thread of the pool what its client says, and tells what came of it.
struct Office {
    gate: flume::Receiver<()>,
    figures: Arc<Figures>,
}

#[derive(Default)]
struct Figures {
    begun: AtomicU32,
    done: AtomicU32,
    /// Jobs whose end came, one way or another.
    dropped: AtomicU32,
}

/// Counts its end.
struct Counted(Arc<Figures>);
impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dropped.fetch_add(1, Ordering::SeqCst);
    }
}

impl Session for Office {
    fn message(&mut self, message: Message, cx: &mut Context<Self>) -> Result<(), Close> {
        match message.as_text().unwrap_or_default() {
            "wait" => {
                let (gate, counted) = (self.gate.clone(), Counted(self.figures.clone()));
                let job = move || {
                    counted.0.begun.fetch_add(1, Ordering::SeqCst);
                    let _ = gate.recv();
                    counted.0.done.fetch_add(1, Ordering::SeqCst);
                    "waited".to_owned()
                };
                cx.work(job).then(Self::tell)?;
            }
            "where" => {
                cx.work(whereabouts).then(Self::tell)?;
            }
            "panic" => {
                cx.work(|| -> String { panic!("on purpose") }).then(Self::tell)?;
            }
            _ => cx.client().send(message)?,
        }
        Ok(())
    }
}

impl Office {
    fn tell(&mut self, result: Result<String, WorkError>, cx: &mut Context<Self>) {
        cx.client().send_text(&result.unwrap_or_else(|error| error.to_string())).expect("the client reads");
    }
}

/// The name of this thread, and the CPUs that it may run on.
fn whereabouts() -> String {
    let status = std::fs::read_to_string("/proc/thread-self/status").expect("Linux tells");
    let cpus = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).expect("it has CPUs");
    format!("{} on {}", std::thread::current().name().expect("it has a name"), cpus.trim())
}

struct Fixture {
    server: Local,
    open: flume::Sender<()>,
    figures: Arc<Figures>,
}

fn office(change: impl FnOnce(&mut Config)) -> Fixture {
    let (open, gate) = flume::unbounded();
    let figures = Arc::new(Figures::default());
    let theirs = figures.clone();
    let server = Local::with(change, move |server| {
        server.at("/", move |_: &Upgrade| Ok(Office { gate: gate.clone(), figures: theirs.clone() }))
    });
    Fixture { server, open, figures }
}

fn hear(client: &mut Client) -> String {
    match client.next() {
        Said::Text(text) => String::from_utf8(text).expect("it is text"),
        other => panic!("{other:?} instead of a text"),
    }
}

#[test]
fn a_shard_serves_others_while_jobs_block() {
    let Fixture { server, open, .. } = office(|config| (config.workers, config.pool_threads) = (1, 2));
    let (mut ann, mut bob) = (server.client(), server.client());
    ann.text("wait");
    ann.text("wait");
    for _ in 0..10 {
        bob.check_echo("hello");
    }
    ann.check_echo("even for her");
    for _ in 0..2 {
        open.send(()).expect("jobs wait for it");
        assert_eq!(hear(&mut ann), "waited");
    }
    ann.text("panic");
    assert_eq!(hear(&mut ann), "the job panicked: on purpose");
    let stats = server.handle.stats();
    assert_eq!((stats.jobs, stats.jobs_panicked, stats.wakes_lost), (3, 1, 0));
}

#[test]
fn threads_of_the_pool_run_on_its_cpus_and_not_on_their_shards() {
    let machine = Machine::discover().expect("there is a machine");
    let plan = plan(&machine, &Policy { workers: 1, numa: None, pin: true }).expect("there is a core");
    let expected: Vec<_> = plan.pool_cpus.iter().map(|node| node.cpus.clone()).collect();
    let Fixture { server, .. } =
        office(|config| (config.workers, config.pin, config.pool_threads) = (1, true, 3));
    let mut client = server.client();
    let mut names = Vec::new();
    for _ in 0..30 {
        client.text("where");
        let heard = hear(&mut client);
        let (name, cpus) = heard.split_once(" on ").expect("it says both");
        assert!(name.starts_with("pool-"), "{name}");
        assert!(expected.contains(&numbers(cpus)), "{cpus} is none of {expected:?}");
        names.push(name.to_owned());
    }
    if machine.core_count() > 1 {
        assert!(!expected[0].contains(&plan.shards[0].cpu), "the shard's own core is not the pool's");
    }
}

/// The CPUs of a list such as `0-2,5`.
fn numbers(list: &str) -> Vec<u32> {
    let number = |text: &str| text.parse::<u32>().expect("a CPU is a number");
    let range = |part: &str| match part.split_once('-') {
        Some((first, last)) => (number(first)..=number(last)).collect::<Vec<_>>(),
        None => vec![number(part)],
    };
    list.split(',').flat_map(range).collect()
}

#[test]
fn a_server_that_stops_waits_for_jobs_that_have_begun_and_drops_the_others() {
    let Fixture { server, open, figures } = office(|config| (config.workers, config.pool_threads) = (2, 1));
    let mut client = server.client();
    for _ in 0..3 {
        client.text("wait");
    }
    wait_until("all are handed over", || server.handle.stats().jobs == 3);
    wait_until("one has begun", || figures.begun.load(Ordering::SeqCst) == 1);
    server.handle.stop();
    assert_eq!(figures.dropped.load(Ordering::SeqCst), 2, "those that wait are dropped at once");
    loop {
        match client.next() {
            Said::Text(text) => assert_eq!(text, b"the server ends, and the job had not begun"),
            said => break assert!(matches!(said, Said::Close(Some(1001), _)), "{said:?}"),
        }
    }
    client.close(1001, "");
    drop(client); // nothing but the job keeps it
    let opener = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300)); // what the server waits for takes its time
        open.send(())
    });
    server.join();
    assert_eq!((figures.begun.load(Ordering::SeqCst), figures.done.load(Ordering::SeqCst)), (1, 1));
    assert!(opener.join().expect("it does not panic").is_ok());
}

#[test]
fn a_server_that_stops_does_not_wait_for_ever() {
    let Fixture { server, open, figures } = office(|config| {
        (config.workers, config.pool_threads) = (1, 1);
        config.drain_timeout = Duration::from_millis(500);
    });
    let mut client = server.client();
    client.text("wait");
    wait_until("it has begun", || figures.begun.load(Ordering::SeqCst) == 1);
    let begun = Instant::now();
    server.handle.stop();
    server.join();
    // A shard's clock is as old as its turn, so on a busy machine the deadline may come a little early, by ours.
    assert!(begun.elapsed() >= Duration::from_millis(300), "{:?}", begun.elapsed());
    assert_eq!(figures.done.load(Ordering::SeqCst), 0);
    open.send(()).expect("the job is still there");
    wait_until("the job has ended by itself", || figures.dropped.load(Ordering::SeqCst) == 1);
}

#[test]
fn jobs_of_many_sessions_are_each_told_to_their_own() {
    struct Hash(Arc<Mutex<u32>>);
    impl Session for Hash {
        fn message(&mut self, message: Message, cx: &mut Context<Self>) -> Result<(), Close> {
            let (text, sum) = (message.as_text().unwrap_or_default().to_owned(), self.0.clone());
            let job = move || {
                *sum.lock().expect("nobody panics") += 1;
                text
            };
            cx.work(job).then(|_: &mut Self, text, cx| {
                cx.client().send_text(&text.expect("it does not panic")).expect("the client reads");
            })?;
            Ok(())
        }
    }
    let sum = Arc::new(Mutex::new(0));
    let theirs = sum.clone();
    let server = Local::with(|_| (), |server| server.at("/", move |_: &Upgrade| Ok(Hash(theirs.clone()))));
    let mut clients: Vec<Client> = (0..32).map(|_| server.client()).collect();
    for round in 0..30 {
        for (number, client) in clients.iter_mut().enumerate() {
            client.text(&format!("{round}/{number}"));
        }
        for (number, client) in clients.iter_mut().enumerate() {
            assert_eq!(hear(client), format!("{round}/{number}"));
        }
    }
    assert_eq!(*sum.lock().expect("nobody panics"), 32 * 30);
    assert_eq!(server.handle.stats().wakes_lost, 0);
}

#[test]
fn a_pool_of_too_many_threads_or_with_no_room_is_refused() {
    for (change, says) in [
        ((|config| config.pool_threads = 5000) as fn(&mut Config), "--pool 5000"),
        (|config| config.pool_slots = 0, "pool_slots"),
    ] {
        let mut config = config();
        change(&mut config);
        let server =
            Server::bind("127.0.0.1:0").config(config).at("/", |_: &Upgrade| Ok(super::harness::Echo));
        let error = server.start().expect_err("it asks for what cannot be").to_string();
        assert!(error.contains(says), "{error}");
    }
}
