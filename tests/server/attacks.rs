//! What hostile clients did to well-known servers, done to this one. Memory is a process's own, so it is measured there.

use super::harness::{
    Client, Local, Process, Said, alone, connect, exchange, frame, part, request, wait_until,
};
use corewire::wire::frame::Opcode;
use corewire::wire::handshake::Key;
use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

const MIB: u64 = 1 << 20;

/// What one client can make a server hold: its queue of 1 MiB, and what one multishot receive brings before it is
/// cancelled (32 reads of up to 64 KiB: `MULTISHOT_MAX_RETRY` of the kernel).
pub(super) const HELD_BYTES_MAX: u64 = 3 * MIB;
/// What two shards receive into, and what the allocator keeps.
pub(super) const OVERHEAD_BYTES: u64 = 24 * MIB;

/// Writes `chunk` again and again until the server takes no more for a while, or `bytes_max` are written.
pub(super) fn flood(stream: &mut TcpStream, chunk: &[u8], bytes_max: usize) -> usize {
    stream.set_write_timeout(Some(Duration::from_millis(300))).expect("above zero");
    let mut written = 0;
    while written < bytes_max {
        match stream.write(&chunk[written % chunk.len()..]) {
            Ok(bytes) => written += bytes,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break,
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => break,
            Err(error) => panic!("{error}"),
        }
    }
    written
}

#[test]
fn a_flood_of_pings_that_nobody_reads_the_answers_of_costs_no_memory() {
    let _alone = alone();
    let server = Process::start(&[]);
    let mut bystander = server.client();
    bystander.check_echo("before");
    let before = server.memory_bytes();
    let pings = frame(Opcode::Ping, &[b'p'; 125]).repeat(1000);
    let mut attackers: Vec<_> = (0..8).map(|_| server.client()).collect();
    let taken: usize = attackers.iter_mut().map(|client| flood(&mut client.stream, &pings, 64 << 20)).sum();
    let grown = server.memory_bytes().saturating_sub(before);
    assert!(grown < 8 * HELD_BYTES_MAX + OVERHEAD_BYTES, "{grown} bytes more for {taken} bytes of pings");
    bystander.check_echo("after");
}

#[test]
fn a_message_in_tiny_fragments_held_open_costs_what_its_bytes_do() {
    let _alone = alone();
    let server = Process::start(&[]);
    let mut bystander = server.client();
    bystander.check_echo("before");
    let before = server.memory_bytes();
    let one = part(Opcode::Continuation, false, b"x");
    let fragments: Vec<u8> = [part(Opcode::Text, false, b"x"), one.repeat(100_000)].concat();
    let mut attackers: Vec<_> = (0..20).map(|_| server.client()).collect();
    attackers.iter_mut().for_each(|client| client.raw(&fragments));
    for client in &mut attackers {
        client.send(Opcode::Ping, b"all read?");
        assert_eq!(client.next(), Said::Pong(b"all read?".to_vec()));
    }
    let grown = server.memory_bytes().saturating_sub(before);
    assert!(grown < OVERHEAD_BYTES, "{grown} bytes more for 20 times 100 KB of text");
    // The next ones are too many.
    attackers[0].raw(&one.repeat(31_071));
    attackers[0].send(Opcode::Ping, b"not yet");
    assert_eq!(attackers[0].next(), Said::Pong(b"not yet".to_vec()));
    attackers[0].raw(&one);
    attackers[0].check_closed(1008);
    bystander.check_echo("after");
}

#[test]
fn a_header_that_is_declared_and_not_followed_costs_no_memory() {
    let _alone = alone();
    let server = Process::start(&[]);
    server.client().check_echo("before");
    let before = server.memory_bytes();
    let declared = b"\x82\xff\0\0\0\0\0\xff\xff\xff\x12\x34\x56\x78"; // 16 MiB
    let mut attackers: Vec<_> = (0..500).map(|_| server.client()).collect();
    attackers.iter_mut().for_each(|client| client.raw(&[&declared[..], &[0; 100]].concat()));
    for client in &mut attackers {
        client.raw(&[0; 100]);
    }
    server.client().check_echo("others are served");
    let grown = server.memory_bytes().saturating_sub(before);
    assert!(grown < OVERHEAD_BYTES, "{grown} bytes more for 500 headers");
}

#[test]
fn a_head_without_end_is_cut_off_at_the_limit() {
    let server = Local::echo(|_| ());
    let lines = format!("GET / HTTP/1.1\r\nHost: localhost\r\n{}", "X-More: and more\r\n".repeat(1000));
    let answer = exchange(server.address, lines.as_bytes());
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer:?}");
    let long = format!("GET / HTTP/1.1\r\nX-Long: {}", "a".repeat(100_000));
    let answer = exchange(server.address, long.as_bytes());
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer:?}");
    let target = format!("GET /{}", "a".repeat(100_000));
    let answer = exchange(server.address, target.as_bytes());
    assert!(answer.starts_with("HTTP/1.1 4"), "{answer:?}");
    server.client().check_echo("others are served");
}

#[test]
fn a_head_that_trickles_in_is_answered_408_at_the_deadline() {
    let server = Local::echo(|config| config.rules.handshake_timeout = Duration::from_millis(400));
    let begun = Instant::now();
    let mut stream = connect(server.address);
    let mut reader = stream.try_clone().expect("a second handle");
    let reading = std::thread::spawn(move || super::harness::read_all(&mut reader));
    for byte in b"GET /".iter().chain(std::iter::repeat(&b'a')) {
        // A byte every 20 ms: never silent for long, and never done.
        std::thread::park_timeout(Duration::from_millis(20));
        if stream.write_all(&[*byte]).is_err() || reading.is_finished() {
            break;
        }
    }
    let answer = reading.join().expect("it does not panic");
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer:?}");
    let waited = begun.elapsed();
    // A shard's clock is as old as its turn, so on a busy machine the deadline may come a little early, by ours.
    assert!(waited >= Duration::from_millis(250), "{waited:?} is before the deadline");
    assert!(waited < Duration::from_secs(10), "{waited:?} is not soon after it");
    server.client().check_echo("others are served");
}

#[test]
fn a_length_that_is_not_the_shortest_or_has_its_top_bit_set_is_refused() {
    let server = Local::echo(|_| ());
    for header in [
        &b"\x81\xfe\0\x05\x12\x34\x56\x78hello"[..],
        b"\x81\xff\0\0\0\0\0\0\0\x05\x12\x34\x56\x78hello",
        b"\x81\xff\x80\0\0\0\0\0\0\x05\x12\x34\x56\x78hello",
    ] {
        let mut client = server.client();
        client.raw(header);
        client.check_closed(1002);
    }
}

#[test]
fn garbage_costs_only_those_who_send_it() {
    let server = Local::echo(|_| ());
    let mut bystander = server.client();
    let mut rng = fastrand::Rng::with_seed(7);
    for n in 0..200 {
        let bytes_count = rng.usize(1..4000);
        let bytes: Vec<u8> = std::iter::repeat_with(|| rng.u8(..)).take(bytes_count).collect();
        let mut client = if n % 2 == 0 { server.client() } else { Client::new(connect(server.address)) };
        let _ = client.stream.write_all(&bytes); // it may be reset before all is written
        client.hang_up();
    }
    wait_until("only the bystander is left", || server.handle.stats().connections == 1);
    bystander.check_echo("what was that?");
}

#[test]
fn one_connection_more_than_the_limit_is_answered_503() {
    let server = Local::echo(|config| config.connections_max = 10);
    let mut clients: Vec<_> = (0..10).map(|_| server.client()).collect();
    let answer = exchange(server.address, &request("/", &[], &Key::from_nonce([0; 16])));
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer:?}");
    clients.iter_mut().for_each(|client| client.check_echo("we were here first"));
    clients.truncate(9);
    wait_until("one has gone", || server.handle.stats().connections == 9);
    server.client().check_echo("now there is room");
}

#[test]
fn with_all_descriptors_used_up_those_who_are_connected_go_on_and_more_get_in_when_some_leave() {
    let _alone = alone();
    let server = Process::start_in("ulimit -n 64; exec \"$@\"", &["--max-connections", "1000"]);
    let mut clients: Vec<Client> = Vec::new();
    let mut waiting: Vec<TcpStream> = Vec::new();
    let hello = request("/", &[], &Key::from_nonce([0; 16]));
    // TCP connects all of them; the server cannot accept all of them.
    for _ in 0..100 {
        let mut stream = connect(server.address);
        stream.write_all(&hello).expect("the kernel takes it");
        waiting.push(stream);
    }
    wait_until("descriptors are used up", || server.descriptors() >= 64);
    wait_until("those who got in are answered", || {
        let_in(&mut waiting, &mut clients);
        clients.len() >= 20
    });
    assert!(waiting.len() >= 20, "{} wait", waiting.len());
    clients.iter_mut().for_each(|client| client.check_echo("we go on"));

    let (cpu, begun) = (server.cpu(), Instant::now());
    while begun.elapsed() < Duration::from_secs(1) {
        clients[0].check_echo("and on");
        std::thread::park_timeout(Duration::from_millis(50));
    }
    let spent = server.cpu() - cpu;
    assert!(spent < Duration::from_millis(300), "{spent:?} of CPU in a second of nearly nothing: it spins");

    clients.truncate(5); // some leave
    // Whoever waits longest at one of two listeners; which of them is the first to try again, chance decides.
    wait_until("some more are let in", || {
        let_in(&mut waiting, &mut clients);
        clients.len() >= 15
    });
    clients.iter_mut().for_each(|client| client.check_echo("in at last"));
}

/// Moves those who are answered from those who wait to the clients.
fn let_in(waiting: &mut Vec<TcpStream>, clients: &mut Vec<Client>) {
    waiting.retain(|stream| {
        stream.set_nonblocking(true).expect("it is a socket");
        let answered = matches!(stream.peek(&mut [0]), Ok(1)); // if a signal comes between, the next look tells
        stream.set_nonblocking(false).expect("it is a socket");
        if answered {
            let mut client = Client::new(stream.try_clone().expect("a second handle"));
            client.opened(&Key::from_nonce([0; 16]), &[]);
            clients.push(client);
        }
        !answered
    });
}
