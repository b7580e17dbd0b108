//! Trades from the network to their handler, from there to another actor, and what of it is not the kernel's.
//!
//! Guess: one trade a frame is the header, 29 bytes unmasked, the template and a call, 25 ns of ours, and the kernel's share of a
//! read of 264 KiB, 15 ns; packed 64 a frame the copy out of the kernel is what remains, 5 ns a trade. To another actor 32 bytes
//! by value cost a message, 40 ns, and a buffer that moves costs its count and its way home on top.
//!
//! Of `network_to_handler` each round also says how much CPU the shard took for a trade.

use corewire::buf::Buf;
use corewire::prelude::*;
use corewire::server::{Config, Running};
use corewire::sim::Treadmill;
use corewire::wire::frame::{self, Opcode};
use corewire::wire::handshake::{self, Key};
use corewire_actors::gateway::{Cx, Gateway, OnBad, Served};
use corewire_actors::sbe::{Batch, Order, OrderView, Side, Trade, TradeView};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::fs;
use std::hint::black_box;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

const TRADE: Trade = Trade { trade_id: 12345, symbol: b'B', price: 100.5, quantity: 1, venue: None };

fn encoded(trade: &Trade) -> [u8; Trade::BYTES] {
    let mut bytes = [0; Trade::BYTES];
    trade.encode(&mut bytes).expect("there is room for it");
    bytes
}

/// Adds up what it sees, and tells when it sees an order: as a trade.
#[derive(Default)]
struct Sum {
    trades: u64,
    volume: u64,
    value: f64,
}

impl Gateway for Sum {
    fn on_trade(&mut self, trade: TradeView<'_>, _: &mut Cx<'_, Self>) -> Result<(), Close> {
        self.trades += 1;
        self.volume += u64::from(trade.quantity());
        self.value += trade.price();
        Ok(())
    }

    fn on_trades(&mut self, trades: Batch<'_, Trade>, _: &mut Cx<'_, Self>) -> Result<(), Close> {
        self.trades += trades.len() as u64;
        for trade in trades {
            self.volume += u64::from(trade.quantity());
            self.value += trade.price();
        }
        Ok(())
    }

    fn on_order(&mut self, _: OrderView<'_>, cx: &mut Cx<'_, Self>) -> Result<(), Close> {
        black_box(self.value);
        assert_eq!(self.volume, self.trades, "a trade of the client's is of one");
        Ok(cx.client().send_binary(&encoded(&Trade { trade_id: self.trades, ..TRADE }))?)
    }
}

// ---- through the kernel ----

fn network(c: &mut Criterion) {
    let mut group = c.benchmark_group("network_to_handler");
    group.throughput(Throughput::Elements(1));
    group.sample_size(10).measurement_time(Duration::from_secs(5));
    for packed in [1, 64] {
        let mut config = Config::default();
        (config.workers, config.pin) = (1, true);
        let serve = |_: &Upgrade| Ok(Served::new(Sum::default(), OnBad::Close));
        let running = Server::bind("127.0.0.1:0").config(config).at("/", serve).start().expect("it starts");
        let mut client = Client::open(&running, packed);
        let before = ShardTime::now();
        let mut sent = 0;
        group.bench_function(BenchmarkId::new("packed", packed), |b| {
            b.iter_custom(|trades| {
                let begun = Instant::now();
                sent += client.send(trades);
                client.wait(sent);
                begun.elapsed()
            });
        });
        let after = ShardTime::now();
        let each = |ticks: u64| ticks as f64 * 1e9 / TICKS_A_SECOND / sent as f64;
        let (user, system) = (after.user - before.user, after.system - before.system);
        println!(
            "packed {packed}: the shard took {:.1} ns of user time a trade, and {:.1} ns in the kernel",
            each(user),
            each(system)
        );
        drop(client);
        running.handle().stop_now();
        running.join().expect("all memory is home");
    }
    group.finish();
}

/// Sends the same frames again and again, as fast as the server takes them.
struct Client {
    stream: TcpStream,
    frames: Vec<u8>,
    frame_bytes: usize,
    packed: u64,
}

impl Client {
    fn open(running: &Running, packed: u64) -> Self {
        let mut stream = TcpStream::connect(running.address()).expect("the server accepts");
        stream.set_nodelay(true).expect("it is TCP");
        let mut request = Vec::new();
        let key = Key::from_nonce([0; 16]);
        handshake::request("localhost", "/", &key, &[], &[], &mut request).expect("it is legal");
        stream.write_all(&request).expect("the server takes it");
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).expect("the server answers");
            answer.extend(byte);
        }
        let mut frames = Vec::new();
        frame::append(Opcode::Binary, Some(KEY), &encoded(&TRADE).repeat(packed as usize), &mut frames);
        let frame_bytes = frames.len();
        let frames = frames.repeat(WRITE_BYTES.div_ceil(frame_bytes));
        Self { stream, frames, frame_bytes, packed }
    }

    /// Sends so many trades or a few more, and says how many.
    fn send(&mut self, trades: u64) -> u64 {
        let frames = trades.div_ceil(self.packed);
        let mut left = frames as usize * self.frame_bytes;
        while left > 0 {
            let now = left.min(self.frames.len());
            self.stream.write_all(&self.frames[..now]).expect("the server takes it");
            left -= now;
        }
        frames * self.packed
    }

    /// Waits until as many have come to the handler, of all that were sent.
    fn wait(&mut self, trades: u64) {
        let mut bytes = [0; Order::BYTES];
        let order = Order { order_id: 0, symbol: b'B', side: Side::Buy, price: 1.0, quantity: 1 };
        order.encode(&mut bytes).expect("there is room for it");
        let mut question = Vec::new();
        frame::append(Opcode::Binary, Some(KEY), &bytes, &mut question);
        self.stream.write_all(&question).expect("the server takes it");
        let mut answer = [0; 2 + Trade::BYTES];
        self.stream.read_exact(&mut answer).expect("the server answers");
        let came = Trade::decode_at(&answer, 2).expect("it is a trade").trade_id();
        assert_eq!(came, trades, "each trade has come once");
    }
}

/// CPU time of this process's shard so far.
struct ShardTime {
    user: u64,
    system: u64,
}

impl ShardTime {
    fn now() -> Self {
        let mut all = Self { user: 0, system: 0 };
        for task in fs::read_dir("/proc/self/task").expect("the kernel tells").flatten() {
            let Ok(stat) = fs::read_to_string(task.path().join("stat")) else { continue };
            let Some((name, figures)) = stat.rsplit_once(')') else { continue };
            if name.contains("shard") {
                let figures: Vec<u64> =
                    figures.split_whitespace().skip(11).take(2).flat_map(str::parse).collect();
                (all.user, all.system) = (all.user + figures[0], all.system + figures[1]);
            }
        }
        all
    }
}

// ---- without the kernel ----

/// Answers each trade with the same.
struct Mirror;
impl Gateway for Mirror {
    fn on_trade(&mut self, trade: TradeView<'_>, cx: &mut Cx<'_, Self>) -> Result<(), Close> {
        Ok(cx.client().send_binary(&encoded(&trade.to_owned()))?)
    }
}

/// From a read's completion through the handler to the answer.
fn completion(c: &mut Criterion) {
    let mut group = c.benchmark_group("read_completion_to_answer");
    group.throughput(Throughput::Elements(1));
    for in_flight in [1, 16, 200] {
        group.bench_function(BenchmarkId::new("in flight", in_flight), |b| {
            b.iter_custom(|trades| {
                let serve = |_: &Upgrade| Ok(Served::new(Mirror, OnBad::Close));
                tread(Treadmill::new("/", serve), in_flight, trades)
            });
        });
    }
    group.finish();
}

fn tread(treadmill: Treadmill, in_flight: u32, trades: u64) -> Duration {
    let treadmill = treadmill.pinned(&[0]).clients(10).binary(&encoded(&TRADE), in_flight);
    let pace = treadmill.run(Duration::from_millis(200)).expect("the shard starts");
    pace.elapsed.mul_f64(trades as f64 / pace.messages as f64)
}

// ---- to another actor ----

/// Who gets the trades of its shard.
#[derive(Default)]
struct Tape(f64);
impl Actor for Tape {
    const MAILBOX_SLOTS: Option<u32> = Some(4096);
}

impl Handler<Trade> for Tape {
    type Reply = ();
    fn handle(&mut self, trade: Trade, _: &mut Context<Self>) {
        self.0 = black_box(self.0 + trade.price);
    }
}

/// The bytes that it came in.
struct Moved(Buf);

impl Handler<Moved> for Tape {
    type Reply = ();
    fn handle(&mut self, Moved(bytes): Moved, _: &mut Context<Self>) {
        let price = Trade::decode(&bytes).map_or(0.0, |trade| trade.price());
        self.0 = black_box(self.0 + price);
    }
}

/// Sends a copy of the trade.
struct Copies;
impl Gateway for Copies {
    fn on_trade(&mut self, trade: TradeView<'_>, cx: &mut Cx<'_, Self>) -> Result<(), Close> {
        let tape = cx.service::<Tape>().expect("there is one on each shard");
        cx.send(tape, trade.to_owned())?;
        Ok(cx.client().send_binary(ANSWER)?)
    }
}

/// Sends the buffer.
struct Moves;
impl Session for Moves {
    fn message(&mut self, message: Message, cx: &mut Context<Self>) -> Result<(), Close> {
        let tape = cx.service::<Tape>().expect("there is one on each shard");
        cx.send(tape, Moved(message.into_bytes()))?;
        Ok(cx.client().send_binary(ANSWER)?)
    }
}

/// Tells nobody: what the other two cost without their message.
struct Keeps;
impl Gateway for Keeps {
    fn on_trade(&mut self, trade: TradeView<'_>, cx: &mut Cx<'_, Self>) -> Result<(), Close> {
        black_box(trade.price());
        Ok(cx.client().send_binary(ANSWER)?)
    }
}

/// What is heard for each, whatever is done with it.
const ANSWER: &[u8] = &[0; Trade::BYTES];

fn hand_over(c: &mut Criterion) {
    let mut group = c.benchmark_group("to_another_actor");
    group.throughput(Throughput::Elements(1));
    let on = |name: &str, make: fn() -> Treadmill, group: &mut criterion::BenchmarkGroup<'_, _>| {
        group.bench_function(name, |b| {
            b.iter_custom(|trades| tread(make().service(|_| Tape::default()), 16, trades));
        });
    };
    let keeps = || Treadmill::new("/", |_: &Upgrade| Ok(Served::new(Keeps, OnBad::Close)));
    let copies = || Treadmill::new("/", |_: &Upgrade| Ok(Served::new(Copies, OnBad::Close)));
    let moves = || Treadmill::new("/", |_: &Upgrade| Ok(Moves));
    on("nobody", keeps, &mut group);
    on("a copy of 32 bytes", copies, &mut group);
    on("the buffer", moves, &mut group);
    group.finish();
}

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
const WRITE_BYTES: usize = 256 << 10;
/// What /proc counts in, on every Linux that this runs on.
const TICKS_A_SECOND: f64 = 100.0;

criterion_group!(benches, network, completion, hand_over);
criterion_main!(benches);
