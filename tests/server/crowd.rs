//! Thousands at once. The server is a process of its own, and so are its clients: this one. 20,000 open files are
//! enough for each.

use super::harness::{Client, Process, Said, alone, connect_from, frame, request};
use corewire::wire::frame::Opcode;
use corewire::wire::handshake::Key;
use std::io::{ErrorKind, Write};
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const MIB: u64 = 1 << 20;

/// Every burst comes from an address of its own, since ports rest for a minute after use.
fn source(n: usize) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 1, 1 + n as u8)
}

/// Opens `count` WebSockets.
fn burst(server: &Process, source: Ipv4Addr, count: usize) -> Vec<Client> {
    let key = Key::from_nonce([0; 16]);
    let hello = request("/", &[], &key);
    let mut clients: Vec<Client> = Vec::with_capacity(count);
    for _ in 0..count {
        let mut client = Client::new(connect_from(source, server.address));
        client.raw(&hello);
        clients.push(client);
    }
    for client in &mut clients {
        client.opened(&key, &[]);
    }
    clients
}

#[test]
fn bursts_of_ten_thousand_connections_leave_nothing_behind() {
    let _alone = alone();
    // Nobody is pinged, so that who has gone is found by its going and not by a ping that fails, however slow this machine
    // is; and no shard gets nearly all, whoever stood still meanwhile: how far its tables have grown is the same each time.
    let mut server = Process::start(&["--idle-timeout", "3600", "--max-clients-per-shard", "6000"]);
    let listeners = server.sockets();
    server.client().check_echo("before");
    wait_until_forgotten(&server, listeners, "the first client");
    let (descriptors, memory) = (server.descriptors(), server.memory_bytes() / MIB);
    let (mut memories, mut times) = (Vec::new(), Vec::new());
    for n in 0..BURSTS {
        let begun = Instant::now();
        let mut clients = burst(&server, source(n), BURST);
        let opened = begun.elapsed();
        let there = server.sockets() - listeners;
        assert_eq!(there, BURST, "burst {n}, all of which were answered within {opened:?}");
        for (n, client) in clients.iter_mut().enumerate() {
            match n % 100 {
                0 => client.text("some speak"), // and do not wait for the answer
                1 => client.close(1000, "some say goodbye"),
                _ => {}
            }
            if n % 2 == 0 {
                let socket = socket2::SockRef::from(&client.stream);
                socket.set_linger(Some(Duration::ZERO)).expect("it is TCP"); // half of them reset
            }
        }
        drop(clients);
        let so_far = format!("burst {n}; {memory} MiB before, then {memories:?}; {times:.1?}");
        wait_until_forgotten(&server, listeners, &so_far);
        memories.push(server.memory_bytes() / MIB);
        times.push((opened.as_secs_f64(), begun.elapsed().as_secs_f64()));
    }
    println!("{memory} MiB before; after each burst of {BURST}: {memories:?}");
    println!("seconds until each was open, and forgotten: {times:.1?}");
    server.wait_until_idle();
    server.client().check_echo("as before");
    wait_until_forgotten(&server, listeners, "the last client");
    // A leak in each connection would be thousands. A file that the C library has open for a moment is none.
    let now = server.descriptors();
    assert!(now <= descriptors + 1, "{descriptors} descriptors before, {now} at the end");
    // What a shard's tables have grown to stays with it: some hundred bytes a connection, once.
    let early = *memories[..EARLY].iter().max().expect("there are some");
    let last = memories[BURSTS - 1];
    assert!(last <= memory + 24, "{memory} MiB before, {last} at the end: {memories:?}, {times:.1?}");
    // 27 bytes left behind by each connection would be more.
    assert!(last <= early + 4, "it grows by the burst: {memory} MiB before, then {memories:?}, {times:.1?}");
}

/// Waits until there are no sockets but the listeners.
fn wait_until_forgotten(server: &Process, listeners: usize, what: &str) {
    let begun = Instant::now();
    loop {
        let left = server.sockets() - listeners;
        if left == 0 {
            return;
        }
        assert!(begun.elapsed() < FORGOTTEN, "{left} are left after {FORGOTTEN:?}: {what}");
        std::thread::park_timeout(Duration::from_millis(2)); // nothing tells us, so we look again
    }
}

const BURSTS: usize = 20;
/// Bursts after which tables have grown as far as they will.
const EARLY: usize = 4;
const BURST: usize = 10_000;
/// Much longer than a loaded machine takes: a second, and twelve where one core is shared with three that burn it.
const FORGOTTEN: Duration = Duration::from_secs(120);

#[test]
fn ten_thousand_clients_that_never_read_do_not_stop_one_that_does() {
    let _alone = alone();
    // Who does not read is not heard, and would be closed for it before the last is full, on a slow machine.
    let server = Process::start(&["--idle-timeout", "3600"]);
    let before = server.memory_bytes();
    let mut crowd = burst(&server, source(100), BURST);
    let opened = server.memory_bytes();
    let mut bystander = server.client();
    bystander.check_echo("with all of them here");

    let flooding = &AtomicBool::new(true);
    let (done, slowest, echoes) = std::thread::scope(|scope| {
        let echoing = scope.spawn(move || {
            let (mut slowest, mut echoes) = (Duration::ZERO, 0);
            while flooding.load(Ordering::Relaxed) {
                let asked = Instant::now();
                bystander.check_echo("and me?");
                slowest = slowest.max(asked.elapsed());
                echoes += 1;
            }
            (slowest, echoes)
        });
        let done = flood_all(&mut crowd);
        flooding.store(false, Ordering::Relaxed);
        let (slowest, echoes) = echoing.join().expect("it is served");
        (done, slowest, echoes)
    });
    let memory = server.memory_bytes();
    println!(
        "{done:?}; beside them {echoes} echoes, the slowest {slowest:?}; memory {} MiB, {} with all open, {} at the end",
        before / MIB,
        opened / MIB,
        memory / MIB
    );
    assert!(done.blocked > BURST / 2, "{done:?}: the server should have stopped reading most of them");
    assert!(
        echoes > 100 && slowest < Duration::from_secs(10), // seconds only where clients and server fight for two cores
        "{echoes} echoes, the slowest took {slowest:?}"
    );
    // Two shards, each with its quota of 256 MiB for what waits, and what it took to open so many.
    assert!(memory < opened + 2 * 256 * MIB + 64 * MIB, "{} MiB", memory / MIB);
}

/// Six seconds where there is nothing else to do; some 3 GB go through the kernel.
const FLOODED: Duration = Duration::from_secs(180);

/// What became of the crowd.
#[derive(Debug, Default)]
struct Flooded {
    /// The server does not read them any more.
    blocked: usize,
    /// The server has shed them.
    reset: usize,
    bytes: usize,
}

/// All of them send, in turn, and none reads, until the server takes no more from any.
fn flood_all(crowd: &mut [Client]) -> Flooded {
    let messages = frame(Opcode::Binary, &[7; 4 << 10]).repeat(16);
    let mut done = Flooded::default();
    let mut left: Vec<(&mut Client, usize)> = crowd.iter_mut().map(|client| (client, 0)).collect();
    for (client, _) in &left {
        client.stream.set_nonblocking(true).expect("it is a socket");
    }
    let begun = Instant::now();
    while !left.is_empty() && begun.elapsed() < FLOODED {
        left.retain_mut(|(client, sent)| match client.stream.write(&messages[*sent % messages.len()..]) {
            Ok(bytes) => {
                *sent += bytes;
                done.bytes += bytes;
                true
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => true,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                done.blocked += 1;
                false
            }
            Err(_) => {
                done.reset += 1;
                false
            }
        });
    }
    done
}

/// Opens `count` more of them, each of which says one thing.
fn crowd_that_spoke(server: &Process, source: Ipv4Addr, count: usize) -> Vec<Client> {
    let mut clients = burst(server, source, count);
    clients.iter_mut().for_each(|client| client.check_echo("twenty bytes of text"));
    clients
}

/// Beyond what `src/server/config.rs` adds up there is room for tables that grow by doubling, not for a buffer each.
#[test]
fn an_idle_connection_that_has_spoken_takes_at_most_300_bytes() {
    let _alone = alone();
    let one_shard = "exec \"$1\" --addr 127.0.0.1:0 --workers 1 --unpinned";
    let server = Process::start_in(one_shard, &[]);
    let _few = crowd_that_spoke(&server, source(110), 2000);
    let before = server.memory_bytes();
    let _more = crowd_that_spoke(&server, source(111), 8000);
    let bytes = (server.memory_bytes() - before) / 8000;
    println!("{bytes} bytes a connection");
    assert!(bytes <= 300, "{bytes} bytes a connection");
}

/// All at once they would take a block each, and whoever speaks meanwhile would wait for all of them.
#[test]
fn clients_that_fell_silent_together_are_pinged_a_few_at_a_time() {
    let _alone = alone();
    let server = Process::start(&["--idle-timeout", "15"]); // pinged after 6 s, to the second
    let mut crowd = crowd_that_spoke(&server, source(112), 5000);
    let before = server.memory_bytes();
    for client in &mut crowd {
        assert_eq!(client.next(), Said::Ping(vec![]));
    }
    let memory = server.memory_bytes();
    assert!(memory < before + MIB, "{} KiB more", (memory - before) >> 10);
    crowd.iter_mut().for_each(|client| client.check_echo("still here"));
}

#[test]
fn the_crowd_can_speak_all_at_once() {
    let _alone = alone();
    let server = Process::start(&[]);
    let mut crowd = burst(&server, source(101), BURST);
    for round in 0..3 {
        let text = format!("round {round}");
        crowd.iter_mut().for_each(|client| client.text(&text));
        for client in &mut crowd {
            assert_eq!(client.next(), Said::Text(text.clone().into_bytes()));
        }
    }
}

#[test]
fn more_big_messages_than_memory_cost_some_their_connection_and_the_server_nothing() {
    let _alone = alone();
    let server = Process::start(&[]);
    let big = frame(Opcode::Binary, &vec![7; 16 << 20]);
    let (begin, end) = big.split_at(big.len() - 1);
    // 64 of them want 1 GiB while their ends are missing; there are 256 MiB a shard.
    let mut left: Vec<_> = (0..64).map(|_| server.client()).collect();
    std::thread::scope(|scope| {
        left.iter_mut().for_each(|client| drop(scope.spawn(move || client.stream.write_all(begin)))); // some are cut off
    });
    server.client().check_echo("meanwhile");
    let memory = server.memory_bytes();
    left.retain_mut(|client| {
        client.stream.write_all(end).is_ok() && matches!(client.next(), Said::Binary(_))
    });
    println!("{} of 64 echoed, {} MiB", left.len(), memory / MIB);
    assert!((8..64).contains(&left.len()), "{} of 64 echoed", left.len());
    assert!(memory < 2 * 256 * MIB + 64 * MIB, "{} MiB", memory / MIB);
    left.iter_mut().for_each(|client| client.check_echo("as if nothing had been"));
}
