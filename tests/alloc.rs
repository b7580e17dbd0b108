//! In steady state, a message through the real server allocates nothing on its shard, nor does one between actors.
//!
//! A binary of its own, since it replaces the allocator. Only the shard's thread is counted: it marks itself when it
//! makes its first session.
#![expect(unsafe_code, reason = "an allocator that counts is one")]

use corewire::prelude::*;
use corewire::shard::ShardId;
use corewire::wire::frame::{self, Opcode};
use corewire::wire::handshake::{self, Key};
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
    let server = Server::bind("127.0.0.1:0").config(config).at("/", |_: &Upgrade| {
        COUNTED.set(true);
        Ok(Echo)
    });
    let running = server.start().expect("the server starts");
    let mut client = open(running.address());

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
    running.handle().stop_now();
    running.join().expect("all memory is home");
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

fn open(address: std::net::SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("the server accepts");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("above zero");
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
    assert!(answer.starts_with(b"HTTP/1.1 101 "));
    stream
}
