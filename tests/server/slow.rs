//! Clients that do not read what they are sent, and sessions that say when.

use super::attacks::{HELD_BYTES_MAX, OVERHEAD_BYTES, flood};
use super::harness::{Local, Process, Said, alone, frame, wait_until};
use corewire::actor::SendError;
use corewire::prelude::*;
use corewire::wire::frame::Opcode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

#[test]
fn a_hundred_clients_that_send_and_never_read_are_not_read_from_and_cost_little() {
    let _alone = alone();
    let server = Process::start(&[]);
    let mut bystander = server.client();
    bystander.check_echo("before");
    let before = server.memory_bytes();
    let messages: Arc<[u8]> = frame(Opcode::Binary, &[7; 16 << 10]).repeat(64).into();
    let attackers: Vec<_> = (0..100)
        .map(|_| {
            let (mut client, messages) = (server.client(), messages.clone());
            std::thread::spawn(move || {
                flood(&mut client.stream, &messages, 256 << 20);
                client
            })
        })
        .collect();
    while attackers.iter().any(|attacker| !attacker.is_finished()) {
        bystander.check_echo("meanwhile");
        std::thread::park_timeout(Duration::from_millis(10));
    }
    let _held: Vec<_> = attackers.into_iter().map(|attacker| attacker.join().expect("no panic")).collect();
    let grown = server.memory_bytes().saturating_sub(before);
    let bound = 100 * HELD_BYTES_MAX + OVERHEAD_BYTES;
    assert!(grown < bound, "{grown} bytes more for 100 clients that do not read");
    bystander.check_echo("after");
}

#[test]
fn what_waited_for_a_slow_client_reaches_it_whole_and_in_order() {
    let server = Local::echo(|_| ());
    let mut client = server.client();
    let mut writer = client.stream.try_clone().expect("a second handle");
    let writing = std::thread::spawn(move || {
        for n in 0..4000u32 {
            let payload = n.to_be_bytes().repeat(1 + n as usize % 4096);
            std::io::Write::write_all(&mut writer, &frame(Opcode::Binary, &payload))
                .expect("taken in the end");
        }
    });
    // Nothing is read until the server reads nothing either.
    let mut before = u64::MAX;
    wait_until("the server reads no more", || {
        std::thread::park_timeout(Duration::from_millis(100));
        let read = server.handle.stats().bytes_in;
        std::mem::replace(&mut before, read) == read && read > 0
    });
    for n in 0..4000u32 {
        assert!(client.next() == Said::Binary(n.to_be_bytes().repeat(1 + n as usize % 4096)), "message {n}");
    }
    writing.join().expect("no panic");
}

/// Says more than anybody takes.
struct Chatter {
    sent: Arc<AtomicU64>,
    full: Arc<AtomicU64>,
}
impl Session for Chatter {
    fn message(&mut self, _: Message, cx: &mut Context<Self>) -> Result<(), Close> {
        loop {
            match cx.client().send_binary(&[1; 10_000]) {
                Ok(()) => self.sent.fetch_add(1, Ordering::Relaxed),
                Err(SendError::Full(back)) => {
                    assert_eq!(back.len(), 10_000, "it comes back as it was");
                    assert!(cx.client().queued_bytes() <= 100_000);
                    self.full.fetch_add(1, Ordering::Relaxed);
                    return Ok(());
                }
                Err(gone) => return Err(gone.into()),
            };
        }
    }
}

#[test]
fn sending_into_a_full_queue_says_so_and_gives_the_message_back() {
    let (sent, full) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let counters = (sent.clone(), full.clone());
    let server = Local::with(
        |config| config.rules.send_queue_bytes_max = 100_000,
        |server| {
            server.at("/", move |_: &Upgrade| {
                Ok(Chatter { sent: counters.0.clone(), full: counters.1.clone() })
            })
        },
    );
    let mut client = server.client();
    client.text("go");
    wait_until("the queue is full", || full.load(Ordering::Relaxed) == 1);
    for _ in 0..sent.load(Ordering::Relaxed) {
        assert_eq!(client.next(), Said::Binary(vec![1; 10_000]));
    }
    assert_eq!(sent.load(Ordering::Relaxed), 9, "100,000 bytes, headers and all");
}

/// Sends with `?`.
struct Flood;
impl Session for Flood {
    fn message(&mut self, _: Message, cx: &mut Context<Self>) -> Result<(), Close> {
        loop {
            cx.client().send_binary(&[1; 10_000])?;
        }
    }
}

#[test]
fn a_session_that_minds_a_full_queue_closes_with_1013_and_is_counted() {
    let server = Local::with(|_| (), |server| server.at("/", |_: &Upgrade| Ok(Flood)));
    let mut client = server.client();
    client.text("go");
    loop {
        match client.next() {
            Said::Binary(_) => {}
            Said::Close(Some(code), _) => break assert_eq!(code, 1013),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(server.handle.stats().slow_closed, 1);
    client.close(1013, "");
    assert_eq!(client.next(), Said::End);
}

/// Pauses its client at "pause"; told to go on by another session, at "resume".
struct Pausing {
    paused: Arc<Mutex<Vec<Address<Pausing>>>>,
}
struct GoOn;
impl Session for Pausing {
    fn message(&mut self, message: Message, cx: &mut Context<Self>) -> Result<(), Close> {
        match message.as_text() {
            Some("pause") => {
                cx.client().pause();
                self.paused.lock().expect("nobody panics").push(cx.address());
                Ok(())
            }
            Some("resume") => {
                for address in self.paused.lock().expect("nobody panics").drain(..) {
                    cx.send(address, GoOn).map_err(|error| Close::new(1011, error.to_string()))?;
                }
                Ok(())
            }
            _ => Ok(cx.client().send(message)?),
        }
    }
}
impl Handler<GoOn> for Pausing {
    type Reply = ();
    fn handle(&mut self, GoOn: GoOn, cx: &mut Context<Self>) {
        cx.client().resume();
        let _ = cx.client().send_text("heard you");
    }
}

#[test]
fn a_paused_client_is_not_heard_until_it_is_resumed_and_nothing_is_lost() {
    let paused = Arc::new(Mutex::new(Vec::new()));
    let sessions = paused.clone();
    let routes =
        move |server: Server| server.at("/", move |_: &Upgrade| Ok(Pausing { paused: sessions.clone() }));
    let server = Local::with(|_| (), routes);
    let mut other = server.client();
    for _ in 0..10 {
        let mut client = server.client();
        client.raw(&[frame(Opcode::Text, b"pause"), frame(Opcode::Text, b"one")].concat());
        wait_until("it is paused", || !paused.lock().expect("nobody panics").is_empty());
        client.text("two");
        other.check_echo("while it is paused");
        let heard = server.handle.stats().messages_in;
        other.check_echo("nothing else is heard");
        assert_eq!(server.handle.stats().messages_in, heard + 1);
        other.text("resume");
        assert_eq!(client.next(), Said::Text(b"heard you".to_vec()));
        assert_eq!(client.next(), Said::Text(b"one".to_vec()));
        assert_eq!(client.next(), Said::Text(b"two".to_vec()));
        client.check_echo("three");
    }
}

#[test]
fn a_paused_client_is_not_taken_for_silent() {
    let paused = Arc::new(Mutex::new(Vec::new()));
    let sessions = paused.clone();
    let server = Local::with(
        |config| {
            config.rules.ping_interval = Duration::from_millis(500);
            config.rules.idle_timeout = IDLE;
        },
        |server| server.at("/", move |_: &Upgrade| Ok(Pausing { paused: sessions.clone() })),
    );
    let mut client = server.client();
    client.text("pause");
    wait_until("it is paused", || !paused.lock().expect("nobody panics").is_empty());
    let mut other = server.client();
    let begun = Instant::now();
    while begun.elapsed() < 2 * IDLE {
        other.check_echo("here"); // which keeps this one from being silent
        std::thread::park_timeout(Duration::from_millis(20));
    }
    other.text("resume");
    assert_eq!(client.next_but_pings(), Said::Text(b"heard you".to_vec()));
    client.check_echo("still here");
    client.check_closed(1001); // now its silence counts
}

/// Longer than this test stands still between two words, on a busy machine.
const IDLE: Duration = Duration::from_secs(2);

/// Fills its client's queue, and goes on when it is told that there is room.
struct Refilling(u32);
impl Session for Refilling {
    fn message(&mut self, _: Message, cx: &mut Context<Self>) -> Result<(), Close> {
        self.drained(cx);
        Ok(())
    }

    fn drained(&mut self, cx: &mut Context<Self>) {
        while self.0 < 5000 && cx.client().send_binary(&self.0.to_be_bytes().repeat(4096)).is_ok() {
            self.0 += 1;
        }
    }
}

#[test]
fn a_session_is_told_when_its_client_has_taken_what_waited() {
    let server = Local::with(|_| (), |server| server.at("/", |_: &Upgrade| Ok(Refilling(0))));
    let mut client = server.client();
    client.text("go");
    for n in 0..5000u32 {
        assert!(client.next() == Said::Binary(n.to_be_bytes().repeat(4096)), "message {n}");
    }
}
