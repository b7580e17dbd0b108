//! What a message between actors costs, on a real shard and between two.
//!
//! Guess: on one shard about 25 ns, two cache lines in and out of a mailbox and two indirect calls; between shards the same
//! and a line's transfer, in batches; an ask there and back while both spin about 1 µs, parked two wake-ups, some 20 µs.
//! The same beside kameo, ractor and actix: `benches/rivals`.

use corewire::actor::{Outside, ReplyTo, Request};
use corewire::prelude::*;
use corewire::server::{Config, Running};
use corewire::shard::ShardId;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use hdrhistogram::Histogram;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// A message of 32 bytes.
#[derive(Clone, Copy)]
struct Note([u64; 4]);

/// Handles notes, and says when it has had as many as it was to have.
struct Reader {
    left: u64,
    boss: Option<Address<Boss>>,
    sum: u64,
}

struct Expect(u64, Address<Boss>);
struct Finished;

impl Actor for Reader {
    const MAILBOX_SLOTS: Option<u32> = Some(512);
}

impl Handler<Note> for Reader {
    type Reply = ();
    fn handle(&mut self, Note(words): Note, cx: &mut Context<Self>) {
        self.sum = self.sum.wrapping_add(words[0]);
        self.left -= 1;
        black_box(self.sum);
        if words[3] == 1
            && let Some(boss) = self.boss
        {
            cx.send(boss, More).expect("the boss has room");
        }
        if self.left == 0
            && let Some(boss) = self.boss
        {
            cx.send(boss, Finished).expect("the boss has room");
        }
    }
}

impl Handler<Expect> for Reader {
    type Reply = ();
    fn handle(&mut self, Expect(notes, boss): Expect, _: &mut Context<Self>) {
        (self.left, self.boss) = (notes, Some(boss));
    }
}

/// Keeps readers busy, and times it.
struct Boss {
    readers: Vec<Address<Reader>>,
    begun: Instant,
    to_send: u64,
    next: usize,
    working: usize,
    asker: Option<ReplyTo<Duration>>,
}

struct Run(u64);
struct More;

impl Actor for Boss {}

impl Boss {
    /// Sends a burst. Who has the last of it asks for more.
    fn send_some(&mut self, cx: &mut Context<Self>) {
        let burst = BURST.min(self.to_send);
        self.to_send -= burst;
        for n in 1..=burst {
            let reader = self.readers[self.next];
            let is_last = n == burst && self.to_send > 0;
            cx.send(reader, Note([n, 0, 0, is_last.into()])).expect("a burst has room");
            self.next = (self.next + 1) % self.readers.len();
        }
    }
}

impl Handler<Request<Run, Duration>> for Boss {
    type Reply = ();
    fn handle(&mut self, request: Request<Run, Duration>, cx: &mut Context<Self>) {
        let Run(notes) = request.message;
        let readers = self.readers.len() as u64;
        let each = notes.div_ceil(readers);
        for &reader in &self.readers {
            cx.send(reader, Expect(each, cx.address())).expect("an idle reader has room");
        }
        self.asker = Some(request.reply);
        (self.to_send, self.working, self.next) = (each * readers, self.readers.len(), 0);
        self.begun = Instant::now();
        self.send_some(cx);
    }
}

impl Handler<More> for Boss {
    type Reply = ();
    fn handle(&mut self, _: More, cx: &mut Context<Self>) {
        self.send_some(cx);
    }
}

impl Handler<Finished> for Boss {
    type Reply = ();
    fn handle(&mut self, _: Finished, cx: &mut Context<Self>) {
        self.working -= 1;
        if self.working == 0
            && let Some(asker) = self.asker.take()
        {
            asker.send(self.begun.elapsed(), cx);
        }
    }
}
const BURST: u64 = 256;

/// Asks, hears, and asks again.
struct Asker {
    whom: Address<Echo>,
    left: u64,
    begun: Instant,
    times: Histogram<u64>,
    asker: Option<ReplyTo<Histogram<u64>>>,
}

struct Echo;
struct Ping(u64);
struct AskTimes(u64);

impl Actor for Echo {}
impl Handler<Ping> for Echo {
    type Reply = u64;
    fn handle(&mut self, Ping(n): Ping, _: &mut Context<Self>) -> u64 {
        n
    }
}

impl Actor for Asker {}

impl Asker {
    fn ask(&mut self, cx: &mut Context<Self>) {
        self.begun = Instant::now();
        cx.ask(self.whom, Ping(self.left)).then(Self::answered).expect("one question has room");
    }

    fn answered(&mut self, answer: Result<u64, AskError>, cx: &mut Context<Self>) {
        self.times.saturating_record(self.begun.elapsed().as_nanos() as u64);
        assert_eq!(answer, Ok(self.left));
        self.left -= 1;
        if self.left > 0 {
            self.ask(cx);
        } else if let Some(asker) = self.asker.take() {
            asker.send(std::mem::replace(&mut self.times, times()), cx);
        }
    }
}

impl Handler<Request<AskTimes, Histogram<u64>>> for Asker {
    type Reply = ();
    fn handle(&mut self, request: Request<AskTimes, Histogram<u64>>, cx: &mut Context<Self>) {
        self.left = request.message.0;
        self.asker = Some(request.reply);
        self.ask(cx);
    }
}

/// An actor that does nothing, with 16 bytes of state.
struct Idle([u64; 2]);
impl Actor for Idle {
    fn started(&mut self, _: &mut Context<Self>) {
        black_box(self.0);
    }
}

/// Starts a million.
struct Mother;
struct Bear(u32);
impl Actor for Mother {}
impl Handler<Bear> for Mother {
    type Reply = (Duration, u64);
    fn handle(&mut self, Bear(children): Bear, cx: &mut Context<Self>) -> Self::Reply {
        let (before, begun) = (resident_bytes(), Instant::now());
        for n in 0..children {
            cx.spawn(Idle([n.into(); 2])).expect("there is room for a million");
        }
        (begun.elapsed(), resident_bytes() - before)
    }
}

fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux has it");
    let pages: u64 =
        statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("the second is a number");
    pages * 4096
}

fn times() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("three digits are few enough")
}

/// A server of `shards` shards, each on a core of its own.
fn server(shards: u16, busy_poll: Duration) -> Running {
    let mut config = Config::default();
    (config.workers, config.busy_poll, config.actors_max) = (shards.into(), busy_poll, 1_100_000);
    config.lane_slots = 4096; // each of a thousand readers is told how much to expect, and then comes a burst
    let server = Server::bind("127.0.0.1:0").config(config);
    server
        .at("/", |_: &Upgrade| -> Result<Nobody, Refusal> { Err(Refusal::new(404)) })
        .start()
        .expect("it starts")
}

struct Nobody;
impl Session for Nobody {
    fn message(&mut self, _: Message, _: &mut Context<Self>) -> Result<(), Close> {
        Ok(())
    }
}

fn boss(shards: &Outside, readers: usize, on: ShardId) -> Address<Boss> {
    let spawn = || {
        let reader = Reader { left: 0, boss: None, sum: 0 };
        shards.spawn_on(on, reader).wait(PATIENCE).expect("there is room")
    };
    let readers = (0..readers).map(|_| spawn()).collect();
    let boss = Boss { readers, begun: Instant::now(), to_send: 0, next: 0, working: 0, asker: None };
    shards.spawn_on(ShardId(0), boss).wait(PATIENCE).expect("there is room")
}

fn sending(c: &mut Criterion) {
    let running = server(2, Duration::from_micros(50));
    let shards = running.handle().outside().clone();
    let mut group = c.benchmark_group("send_and_handle_32_bytes");
    group.throughput(Throughput::Elements(1));
    for (name, readers, on) in [
        ("same_shard", 1, ShardId(0)),
        ("same_shard", 1000, ShardId(0)),
        ("other_shard", 1, ShardId(1)),
        ("other_shard", 1000, ShardId(1)),
    ] {
        let boss = boss(&shards, readers, on);
        group.bench_function(BenchmarkId::new(name, readers), |b| {
            b.iter_custom(|notes| {
                let notes = notes.max(1);
                let took = shards.ask(boss, Run(notes)).within(PATIENCE).wait().expect("it counts");
                let sent = notes.div_ceil(readers as u64) * readers as u64;
                took.mul_f64(notes as f64 / sent as f64)
            });
        });
    }
    group.finish();
    running.handle().stop();
    running.join().expect("it ends well");
}

fn asking(_: &mut Criterion) {
    for (name, busy_poll, there) in [
        ("same shard", Duration::ZERO, ShardId(0)),
        ("other shard, both spin", Duration::from_millis(10), ShardId(1)),
        ("other shard, both sleep", Duration::ZERO, ShardId(1)),
    ] {
        let running = server(2, busy_poll);
        let shards = running.handle().outside().clone();
        let whom = shards.spawn_on(there, Echo).wait(PATIENCE).expect("there is room");
        let asker = Asker { whom, left: 0, begun: Instant::now(), times: times(), asker: None };
        let asker = shards.spawn_on(ShardId(0), asker).wait(PATIENCE).expect("there is room");
        let ask = |count| shards.ask(asker, AskTimes(count)).within(PATIENCE).wait().expect("it counts");
        ask(1_000);
        let times = ask(50_000);
        let at = |quantile| times.value_at_quantile(quantile) as f64 / 1_000.0;
        println!(
            "ask there and back, {name}: p50 {:.2} µs, p99 {:.2} µs, p99.9 {:.2} µs",
            at(0.5),
            at(0.99),
            at(0.999)
        );
        running.handle().stop();
        running.join().expect("it ends well");
    }
}

fn being(_: &mut Criterion) {
    let running = server(1, Duration::ZERO);
    let shards = running.handle().outside().clone();
    let mother = shards.spawn_on(ShardId(0), Mother).wait(PATIENCE).expect("there is room");
    let (took, bytes) = shards.ask(mother, Bear(1_000_000)).within(PATIENCE).wait().expect("it counts");
    println!("1,000,000 actors with 16 bytes of state: {took:.2?}, {:.1} bytes each", bytes as f64 / 1e6);
    running.handle().stop_now();
    running.join().expect("it ends well");
}

const PATIENCE: Duration = Duration::from_secs(60);

criterion_group!(benches, sending, asking, being);
criterion_main!(benches);
