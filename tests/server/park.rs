//! A message for a shard that sleeps wakes it: nothing waits for the watchdog.
//!
//! Every message crosses the lanes twice. Its session sends it to an actor of another shard, and that one back.

use super::harness::{Client, Local, Said, alone};
use corewire::prelude::*;
use corewire::shard::ShardId;
use corewire::wire::frame::Opcode;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// One a shard; says back what it is told.
struct Mirror;
impl Actor for Mirror {}

struct Ask(Address<Asking>, Vec<u8>);
struct Answer(Vec<u8>);

impl Handler<Ask> for Mirror {
    type Reply = ();
    fn handle(&mut self, Ask(from, bytes): Ask, cx: &mut Context<Self>) {
        cx.send(from, Answer(bytes)).expect("the lane has room for all that is under way");
    }
}

/// The mirrors so far.
type Mirrors = Arc<Mutex<Vec<(ShardId, Address<Mirror>)>>>;

/// Echoes by way of another shard's mirror; by its own's until another has one.
struct Asking {
    mirrors: Mirrors,
    mirror: Option<Address<Mirror>>,
}

impl Session for Asking {
    fn open(&mut self, cx: &mut Context<Self>) -> Result<(), Close> {
        let mut mirrors = self.mirrors.lock().expect("nobody panics");
        if mirrors.iter().all(|(shard, _)| *shard != cx.shard()) {
            let mirror = cx.spawn(Mirror).map_err(|error| Close::new(1011, error.to_string()))?;
            mirrors.push((cx.shard(), mirror));
        }
        Ok(())
    }

    fn message(&mut self, message: Message, cx: &mut Context<Self>) -> Result<(), Close> {
        if self.mirror.is_none() {
            let mirrors = self.mirrors.lock().expect("nobody panics");
            self.mirror = mirrors.iter().find(|(shard, _)| *shard != cx.shard()).map(|(_, mirror)| *mirror);
        }
        let mirror = self.mirror.ok_or_else(|| Close::new(1011, "there is no other shard yet"))?;
        let ask = Ask(cx.address(), message.as_bytes().to_vec());
        cx.send(mirror, ask).map_err(|error| Close::new(1013, error.to_string()))
    }
}

impl Handler<Answer> for Asking {
    type Reply = ();
    fn handle(&mut self, Answer(bytes): Answer, cx: &mut Context<Self>) {
        cx.client().send_binary(&bytes).expect("the client reads");
    }
}

/// One part of the crowd: at most `in_flight` messages at once, and `rate_hz` a second if that is not 0.
fn talk(address: SocketAddr, connections: usize, in_flight: usize, rate_hz: f64, span: Duration) -> Talked {
    let mut clients: Vec<Client> = (0..connections).map(|_| Client::open(address)).collect();
    let mut talked = Talked { messages: 0, slowest: Duration::ZERO };
    let begun = Instant::now();
    'all: for round in 0.. {
        for group in clients.chunks_mut(in_flight) {
            if begun.elapsed() > span {
                break 'all;
            }
            let due = talked.messages as f64 / rate_hz;
            if rate_hz > 0.0 {
                std::thread::sleep(Duration::from_secs_f64(due).saturating_sub(begun.elapsed())); // the load's pace
            }
            let asked = Instant::now();
            let text = format!("{round}").into_bytes();
            group.iter_mut().for_each(|client| client.send(Opcode::Binary, &text));
            for client in group {
                assert_eq!(client.next(), Said::Binary(text.clone()));
                talked.messages += 1;
            }
            talked.slowest = talked.slowest.max(asked.elapsed());
        }
    }
    talked
}

struct Talked {
    messages: u64,
    slowest: Duration,
}

/// Seconds at each rate; `PARK_S` makes it minutes.
fn span() -> Duration {
    let seconds = std::env::var("PARK_S").ok().and_then(|seconds| seconds.parse().ok());
    Duration::from_secs(seconds.unwrap_or(4))
}

fn check_parking(connections: usize, in_flight: usize, rate_hz: f64) {
    let _alone = alone();
    let mirrors = Mirrors::default();
    let server = Local::with(
        |_| (),
        |server| server.at("/", move |_: &Upgrade| Ok(Asking { mirrors: mirrors.clone(), mirror: None })),
    );
    // Enough for both shards to have a mirror before anybody asks.
    let _first: Vec<Client> = (0..32).map(|_| server.client()).collect();
    let (address, span, threads) = (server.address, span(), 4);
    let talking: Vec<_> = (0..threads)
        .map(|_| {
            let (connections, rate_hz) = (connections / threads, rate_hz / threads as f64);
            std::thread::spawn(move || talk(address, connections, in_flight, rate_hz, span))
        })
        .collect();
    let talked: Vec<_> =
        talking.into_iter().map(|talking| talking.join().expect("all are answered")).collect();
    let messages: u64 = talked.iter().map(|talked| talked.messages).sum();
    let slowest = talked.iter().map(|talked| talked.slowest).max().expect("somebody talked");
    let stats = server.handle.stats();
    println!(
        "{connections} connections: {messages} messages in {span:?}, the slowest {slowest:?}; {stats:?}"
    );
    assert!(messages >= 100, "{messages} messages");
    assert!(slowest < Duration::from_secs(2), "an answer took {slowest:?}");
    assert!(stats.handled >= 2 * messages, "each crosses twice: {stats:?}");
    assert_eq!((stats.wakes_lost, stats.refused), (0, 0), "{stats:?}");
}

#[test]
fn shards_that_sleep_between_messages_hear_every_one_of_them() {
    check_parking(5000, 1, 3000.0);
}

#[test]
fn shards_that_hardly_sleep_hear_every_message() {
    check_parking(5000, 32, 0.0);
}

#[test]
fn two_shards_with_one_message_between_them_wake_each_other_each_time() {
    check_parking(4, 1, 0.0);
}
