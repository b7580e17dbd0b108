//! In steady state, a message through the real server allocates nothing on its shard, nor does one between actors, nor
//! what is delivered to many, nor a trade on its way to its handler.
//!
//! A binary of its own, since it replaces the allocator. Only the shard's thread is counted: it marks itself when it
//! makes its first session.
#![expect(unsafe_code, reason = "an allocator that counts is one")]

use corewire::actor::ActorId;
use corewire::buf::Buf;
use corewire::connection::{FRAME_HEADER_BYTES_MAX, Terms};
use corewire::prelude::*;
use corewire::shard::ShardId;
use corewire::wire::Kind;
use corewire::wire::frame::{self, Opcode};
use corewire::wire::handshake::{self, Key};
use corewire_actors::gateway::{Cx, Gateway, OnBad, Served};
use corewire_actors::sbe::{Batch, Trade, TradeView};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

struct Counting;

thread_local! {
    /// This thread is counted.
    static COUNTED: Cell<bool> = const { Cell::new(false) };
}
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

fn count() {
    if COUNTED.get() {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: every call goes on to `System` as it is; counting touches no memory of the caller's and does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps to the same contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_bytes: usize) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.realloc(block, layout, new_bytes) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(block, layout) }
    }
}

struct Echo;
impl Session for Echo {
    fn message(&mut self, message: Message, cx: &mut Context<Self>) -> Result<(), Close> {
        Ok(cx.client().send(message)?)
    }
}

#[test]
fn an_echo_allocates_nothing_in_steady_state() {
    let mut config = Config::default();
    (config.workers, config.pin) = (1, false);
    let server = Server::bind("127.0.0.1:0")
        .config(config)
        .at("/", |_: &Upgrade| {
            COUNTED.set(true);
            Ok(Echo)
        })
        .service(|_| Room::default())
        .at("/room", |_: &Upgrade| Ok(Member))
        .at("/trades", |_: &Upgrade| Ok(Served::new(Mirror, OnBad::Close)));
    let running = server.start().expect("the server starts");
    let mut client = open(running.address(), "/");

    let mut failures = Vec::new();
    for (bytes, in_flight) in [(20, 1), (20, 16), (16 << 10, 1), (16 << 10, 16)] {
        for opcode in [Opcode::Text, Opcode::Binary] {
            let request = frame_of(opcode, &vec![b'a'; bytes]).repeat(in_flight);
            let mut answer =
                vec![0; frame::header_bytes(bytes as u64, false) * in_flight + bytes * in_flight];
            echo(&mut client, &request, &mut answer, WARM_UP_ROUNDS);
            let before = ALLOCATIONS.load(Ordering::Relaxed);
            echo(&mut client, &request, &mut answer, ROUNDS);
            let allocations = ALLOCATIONS.load(Ordering::Relaxed) - before;
            if allocations > 0 {
                failures.push(format!(
                    "{opcode:?} {bytes} B, {in_flight} in flight: {allocations} in {ROUNDS} rounds"
                ));
            }
        }
    }
    assert!(ALLOCATIONS.load(Ordering::Relaxed) > 0, "the warm-up allocates, and is counted");
    assert!(failures.is_empty(), "{failures:#?}");
    check_actors(running.handle().outside());
    check_room(running.address());
    check_trades(running.address());
    running.handle().stop_now();
    running.join().expect("all memory is home");
}

/// Who is told what one of them says.
#[derive(Default)]
struct Room(Vec<ActorId>);
struct Enter(ActorId);
struct Say(Buf);

impl Actor for Room {}

impl Handler<Enter> for Room {
    type Reply = ();
    fn handle(&mut self, Enter(member): Enter, _: &mut Context<Self>) {
        self.0.push(member);
    }
}

impl Handler<Say> for Room {
    type Reply = ();
    fn handle(&mut self, Say(payload): Say, cx: &mut Context<Self>) {
        let mut frames = cx.frame_writer(payload.len() + FRAME_HEADER_BYTES_MAX).expect("there is memory");
        frames.push(Kind::Binary, &[&payload]).expect("it was made with this much room");
        let frames = cx.freeze(frames, 1).next().expect("one was asked for").open();
        for &member in &self.0 {
            cx.deliver(member, &frames, &Terms::default());
        }
    }
}

struct Member;
impl Session for Member {
    fn open(&mut self, cx: &mut Context<Self>) -> Result<(), Close> {
        let (room, me) = (cx.service::<Room>().expect("it is there"), cx.address().id());
        Ok(cx.send(room, Enter(me))?)
    }

    fn message(&mut self, message: Message, cx: &mut Context<Self>) -> Result<(), Close> {
        let room = cx.service::<Room>().expect("it is there");
        Ok(cx.send(room, Say(message.into_bytes()))?)
    }
}

/// Says the last trade of each message back.
struct Mirror;
impl Gateway for Mirror {
    fn on_trade(&mut self, trade: TradeView<'_>, cx: &mut Cx<'_, Self>) -> Result<(), Close> {
        let mut room = [0; Trade::BYTES_MAX];
        let bytes = trade.to_owned().encode(&mut room).expect("there is room for the longest");
        Ok(cx.client().send_binary(&room[..bytes])?)
    }

    fn on_trades(&mut self, trades: Batch<'_, Trade>, cx: &mut Cx<'_, Self>) -> Result<(), Close> {
        trades.iter().last().map_or(Ok(()), |trade| self.on_trade(trade, cx))
    }
}

/// Trades allocate nothing: one in a message, packed, and both at once.
fn check_trades(address: std::net::SocketAddr) {
    let trade = Trade { trade_id: 1, symbol: b'A', price: 1.5, quantity: 10, venue: None };
    let mut bytes = [0; Trade::BYTES];
    trade.encode(&mut bytes).expect("there is room for it");
    let mut client = open(address, "/trades");
    let mut failures = Vec::new();
    for (packed, in_flight) in [(1, 1), (1, 16), (64, 1), (64, 4)] {
        let request = frame_of(Opcode::Binary, &bytes.repeat(packed)).repeat(in_flight);
        let mut answer = vec![0; (2 + Trade::BYTES) * in_flight];
        echo(&mut client, &request, &mut answer, WARM_UP_ROUNDS);
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        echo(&mut client, &request, &mut answer, ROUNDS);
        let allocations = ALLOCATIONS.load(Ordering::Relaxed) - before;
        if allocations > 0 {
            failures
                .push(format!("{packed} packed, {in_flight} in flight: {allocations} in {ROUNDS} rounds"));
        }
        assert_eq!(answer[2..2 + Trade::BYTES], bytes);
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

/// What is said in a room allocates as much for all members as for one: its list of frames, the same list for all shards,
/// and the first view on this one.
fn check_room(address: std::net::SocketAddr) {
    let mut members = Vec::new();
    let mut failures = Vec::new();
    for (count, times) in [(1, 2000), (50, 500), (1500, 50)] {
        members.resize_with(count, || open(address, "/room"));
        for bytes in [20, 16 << 10] {
            let request = frame_of(Opcode::Binary, &vec![b'a'; bytes]);
            let mut answer = vec![0; frame::header_bytes(bytes as u64, false) + bytes];
            let mut rounds = |rounds| {
                for _ in 0..rounds {
                    members[0].write_all(&request).expect("the server takes it");
                    for member in &mut members {
                        member.read_exact(&mut answer).expect("and tells everybody");
                    }
                }
            };
            rounds(times);
            let before = ALLOCATIONS.load(Ordering::Relaxed);
            rounds(times);
            let allocations = ALLOCATIONS.load(Ordering::Relaxed) - before;
            if allocations > 3 * times as u64 {
                failures.push(format!("{count} members, {bytes} B: {allocations} in {times} rounds"));
            }
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

/// Two actors throw 64 bytes to and fro.
fn check_actors(shards: &Outside) {
    let second = Duration::from_secs(20);
    let player = || shards.spawn_on(ShardId(0), Player::default()).wait(second).expect("there is room");
    let (ann, bob) = (player(), player());
    let play = |throws| shards.ask(ann, Play { with: bob, throws }).within(second).wait().expect("they end");
    play(WARM_UP_ROUNDS as u64);
    let (few, many) = (play(1_000), play(1_000_000));
    assert!(many <= few, "{many} allocations for a million messages between actors, {few} for a thousand");
}

/// Throws back what it catches.
#[derive(Default)]
struct Player {
    left: u64,
    before: u64,
    asker: Option<ReplyTo<u64>>,
}

struct Play {
    with: Address<Player>,
    throws: u64,
}
struct Throw {
    back: Address<Player>,
    _weight: [u64; 6],
}
const _: () = assert!(size_of::<Throw>() == 64); // the most that travels in an envelope

impl Actor for Player {}

impl Handler<Request<Play, u64>> for Player {
    type Reply = ();
    fn handle(&mut self, Request { message, reply }: Request<Play, u64>, cx: &mut Context<Self>) {
        (self.left, self.asker) = (message.throws, Some(reply));
        self.before = ALLOCATIONS.load(Ordering::Relaxed);
        let back = cx.address();
        assert!(cx.send(message.with, Throw { back, _weight: [0; 6] }).is_ok());
    }
}

impl Handler<Throw> for Player {
    type Reply = ();
    fn handle(&mut self, Throw { back, _weight }: Throw, cx: &mut Context<Self>) {
        self.left = self.left.saturating_sub(1);
        if self.left == 0
            && let Some(asker) = self.asker.take()
        {
            return asker.send(ALLOCATIONS.load(Ordering::Relaxed) - self.before, cx);
        }
        let me = cx.address();
        assert!(cx.send(back, Throw { back: me, _weight }).is_ok());
    }
}

/// Enough for every list to have grown as far as it will, and for the timer wheel to have been round.
const WARM_UP_ROUNDS: usize = 2000;
const ROUNDS: usize = 5000;

fn echo(client: &mut TcpStream, request: &[u8], answer: &mut [u8], rounds: usize) {
    for _ in 0..rounds {
        client.write_all(request).expect("the server takes it");
        client.read_exact(answer).expect("and says it again");
    }
}

fn frame_of(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    frame::append(opcode, Some([1, 2, 3, 4]), payload, &mut out);
    out
}

fn open(address: std::net::SocketAddr, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("the server accepts");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("above zero");
    stream.set_nodelay(true).expect("it is TCP");
    let mut request = Vec::new();
    let key = Key::from_nonce([0; 16]);
    handshake::request("localhost", path, &key, &[], &[], &mut request).expect("it is legal");
    stream.write_all(&request).expect("the server takes it");
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("the server answers");
        answer.extend(byte);
    }
    assert!(answer.starts_with(b"HTTP/1.1 101 "));
    stream
}
