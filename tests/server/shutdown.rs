//! How a server ends: by signals, as a process; by its handle, inside one.

use super::attacks::flood;
use super::harness::{Client, Echo, Local, Process, Said, config, frame, wait_until};
use corewire::prelude::*;
use corewire::wire::frame::Opcode;
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
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
    assert!(begun.elapsed() < DRAINED, "{:?}", begun.elapsed());
}

/// From the end's beginning to when whoever is left is cut off, by default.
const DRAINED: Duration = Duration::from_secs(10);

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
fn each_server_of_a_process_ends_by_its_first_signal_and_after_the_last_a_signal_ends_the_process() {
    const TOLD: &str = "COREWIRE_TEST_TWO_SERVERS";
    if std::env::var_os(TOLD).is_some() {
        return two_servers_and_no_more();
    }
    let this = "server::shutdown::each_server_of_a_process_ends_by_its_first_signal_and_after_the_last_a_signal_ends_the_process";
    let mut process = Command::new(std::env::current_exe().expect("it runs"))
        .args([this, "--exact", "--nocapture"])
        .env(TOLD, "yes")
        .stdout(Stdio::piped())
        .spawn()
        .expect("this test can be run again");
    let mut lines = BufReader::new(process.stdout.take().expect("it is piped")).lines();
    let mut heard = |what: &str| {
        let found = lines
            .find_map(|line| line.expect("it is text").split_once(what).map(|(_, rest)| rest.to_owned()));
        found.unwrap_or_else(|| panic!("it ended without {what:?}"))
    };
    let pid = process.id().to_string();
    let terminate =
        || assert!(Command::new("kill").args(["-TERM", &pid]).status().expect("there is a kill").success());
    for _ in 0..2 {
        let mut client = Client::open(heard("serves at ").parse().expect("an address"));
        client.check_echo("hello");
        terminate();
        assert!(matches!(client.next(), Said::Close(Some(1001), _)));
        client.close(1001, "");
    }
    heard("no server any more");
    terminate();
    assert_eq!(process.wait().expect("it can be waited for").signal(), Some(15));
}

/// In a process of its own.
fn two_servers_and_no_more() {
    for _ in 0..2 {
        let server = Server::bind("127.0.0.1:0").config(config()).at("/", |_: &Upgrade| Ok(Echo));
        server.run_with(|running| println!("serves at {}", running.address())).expect("it ends well");
    }
    println!("no server any more");
    std::thread::sleep(super::harness::PATIENCE); // until the signal comes
}

#[test]
fn a_server_without_clients_ends_at_once() {
    let mut server = Process::start(&[]);
    let begun = Instant::now();
    server.signal("TERM");
    assert_eq!(server.exit().code(), Some(0));
    assert!(begun.elapsed() < DRAINED / 2, "{:?}: it waits for somebody", begun.elapsed());
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
    assert!(begun.elapsed() < DRAINED + Duration::from_secs(5), "{:?}", begun.elapsed());
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
    let cut_off = begun.elapsed();
    // A shard's clock is as old as its turn, so on a busy machine the deadline may come a little early, by ours.
    assert!((Duration::from_millis(150)..Duration::from_secs(10)).contains(&cut_off), "{cut_off:?}");
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
    assert!(begun.elapsed() < DRAINED / 2, "{:?}: it waits for somebody", begun.elapsed());
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
    let again = Server::bind(address.to_string()).config(config()).at("/", |_: &Upgrade| Ok(Echo));
    Local::start(again).client().check_echo("hello again");
}

#[test]
fn clients_that_do_not_read_do_not_keep_the_server_and_their_memory_comes_home() {
    let server = Local::echo(|config| {
        config.rules.close_timeout = Duration::from_millis(500);
        config.drain_timeout = Duration::from_secs(1000);
    });
    let mut deaf: Vec<_> = (0..10).map(|_| server.client()).collect();
    let messages = frame(Opcode::Binary, &[7; 16 << 10]).repeat(64);
    for client in &mut deaf {
        flood(&mut client.stream, &messages, 64 << 20);
    }
    let begun = Instant::now();
    server.handle.stop();
    server.join(); // which says if memory is missing
    assert!(begun.elapsed() < DRAINED, "{:?}", begun.elapsed());
}

#[test]
fn a_second_server_on_the_same_port_is_told_that_it_is_taken() {
    let server = Local::echo(|_| ());
    let second = |address: String| {
        let second = Server::bind(address).config(config());
        second.at("/", |_: &Upgrade| Ok(Echo)).start()
    };
    let refused = second(server.address.to_string()).expect_err("the first has it").to_string();
    assert!(refused.contains("another program has it"), "{refused}");
    let everywhere = second(format!(":{}", server.address.port())).expect_err("the first has it").to_string();
    assert!(everywhere.contains("another program has it"), "{everywhere}");
    let nonsense = second("nowhere at all".into()).expect_err("that is no address").to_string();
    assert!(nonsense.contains("expected \":9001\""), "{nonsense}");
}
