//! How a server ends: by signals, as a process; by its handle, inside one.

use super::attacks::flood;
use super::harness::{Client, Local, Process, Said, frame, wait_until};
use corewire::wire::frame::Opcode;
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// This signal ends the server as it should end.
fn check_ends_well(signal: &str) {
    let mut server = Process::start(&[]);
    let mut clients: Vec<_> = (0..50).map(|_| server.client()).collect();
    clients.iter_mut().for_each(|client| client.check_echo("hello"));
    let begun = Instant::now();
    server.signal(signal);
    for client in &mut clients {
        assert!(matches!(client.next(), Said::Close(Some(1001), _)));
    }
    // Some have not answered, so it is still there; and it does not listen any more.
    wait_until("it listens no more", || TcpStream::connect(server.address).is_err());
    assert!(server.is_running());
    for client in &mut clients {
        client.close(1001, "");
        assert_eq!(client.next(), Said::End);
    }
    drop(clients);
    assert_eq!(server.exit().code(), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[test]
fn sigterm_says_1001_to_everybody_stops_listening_and_ends_with_0() {
    check_ends_well("TERM");
}

#[test]
fn sigint_does_the_same() {
    check_ends_well("INT");
}

#[test]
fn a_second_signal_ends_the_process_at_once() {
    let mut server = Process::start(&[]);
    let mut client = server.client();
    server.signal("TERM");
    assert!(matches!(client.next(), Said::Close(Some(1001), _)));
    server.signal("TERM");
    assert_eq!(server.exit().code(), Some(130));
}

#[test]
fn a_server_without_clients_ends_at_once() {
    let mut server = Process::start(&[]);
    let begun = Instant::now();
    server.signal("TERM");
    assert_eq!(server.exit().code(), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
}

#[test]
fn a_client_that_does_not_answer_does_not_keep_the_server() {
    let mut server = Process::start(&[]);
    let mut silent = server.client();
    let mut deaf = server.client(); // does not even read
    let begun = Instant::now();
    server.signal("TERM");
    assert!(matches!(silent.next(), Said::Close(Some(1001), _)));
    assert_eq!(server.exit().code(), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(11), "{:?}", begun.elapsed());
    deaf.hang_up();
}

#[test]
fn stop_waits_for_clients_to_answer() {
    let server = Local::echo(|_| ());
    let mut clients: Vec<_> = (0..20).map(|_| server.client()).collect();
    server.handle.stop();
    for client in &mut clients {
        assert!(matches!(client.next(), Said::Close(Some(1001), _)));
        client.close(1001, "");
        assert_eq!(client.next(), Said::End);
    }
    drop(clients);
    let handle = server.handle.clone();
    server.join();
    assert_eq!(handle.stats().connections, 0);
}

#[test]
fn stop_cuts_off_at_the_drain_deadline_whoever_has_not_answered() {
    let server = Local::echo(|config| {
        config.drain_timeout = Duration::from_millis(300);
        config.rules.close_timeout = Duration::from_secs(1000);
    });
    let mut client = server.client();
    let begun = Instant::now();
    server.handle.stop();
    assert!(matches!(client.next(), Said::Close(Some(1001), _)));
    server.join();
    assert!((Duration::from_millis(300)..Duration::from_secs(5)).contains(&begun.elapsed()));
    assert!(matches!(client.next(), Said::Reset | Said::End));
}

#[test]
fn stop_now_waits_for_nobody() {
    let server = Local::echo(|_| ());
    let mut clients: Vec<_> = (0..20).map(|_| server.client()).collect();
    clients.iter_mut().for_each(|client| client.check_echo("hello"));
    let begun = Instant::now();
    server.handle.stop_now();
    server.join();
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    for client in &mut clients {
        assert!(matches!(client.next(), Said::Reset | Said::End));
    }
}

#[test]
fn the_port_is_free_again_after_the_end() {
    let server = Local::echo(|_| ());
    let address = server.address;
    let mut client: Client = server.client();
    client.check_echo("hello");
    drop(server);
    let again = corewire::Server::bind(address.to_string())
        .config(super::harness::config())
        .at("/", |_: &corewire::connection::Upgrade| Ok(super::harness::Echo));
    Local::start(again).client().check_echo("hello again");
}

#[test]
fn clients_that_do_not_read_do_not_keep_the_server_and_their_memory_comes_home() {
    let server = Local::echo(|config| config.rules.close_timeout = Duration::from_millis(500));
    let mut deaf: Vec<_> = (0..10).map(|_| server.client()).collect();
    let messages = frame(Opcode::Binary, &[7; 16 << 10]).repeat(64);
    for client in &mut deaf {
        flood(&mut client.stream, &messages, 64 << 20);
    }
    let begun = Instant::now();
    server.handle.stop();
    server.join(); // which says if memory is missing
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[test]
fn a_second_server_on_the_same_port_is_told_that_it_is_taken() {
    let server = Local::echo(|_| ());
    let second = |address: String| {
        let second = corewire::Server::bind(address).config(super::harness::config());
        second.at("/", |_: &corewire::connection::Upgrade| Ok(super::harness::Echo)).start()
    };
    let refused = second(server.address.to_string()).expect_err("the first has it").to_string();
    assert!(refused.contains("another program has it"), "{refused}");
    let everywhere = second(format!(":{}", server.address.port())).expect_err("the first has it").to_string();
    assert!(everywhere.contains("another program has it"), "{everywhere}");
    let nonsense = second("nowhere at all".into()).expect_err("that is no address").to_string();
    assert!(nonsense.contains("expected \":9001\""), "{nonsense}");
}
