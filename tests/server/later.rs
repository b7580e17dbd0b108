//! Requests that are decided on another thread.

use super::harness::{Echo, Local, Said, connect, exchange, request, wait_until};
use corewire::connection::Ticket;
use corewire::prelude::*;
use corewire::wire::frame::Opcode;
use corewire::wire::handshake::Key;
use std::io::Write;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// A server whose requests come out of the receiver.
fn hesitant(change: impl FnOnce(&mut Config)) -> (Local, Receiver<Ticket<Echo>>) {
    let (ask, asked) = channel();
    let ask = std::sync::Mutex::new(ask);
    let routes = move |server: Server| {
        server.at_later("/", move |_: &Upgrade, ticket: Ticket<Echo>| {
            let ask = ask.lock().expect("nobody panics with it");
            ask.send(ticket).expect("the test waits for it");
        })
    };
    (Local::with(change, routes), asked)
}

#[test]
fn one_who_is_accepted_later_is_served_with_what_it_said_meanwhile() {
    let (server, asked) = hesitant(|_| ());
    for _ in 0..20 {
        let key = Key::from_nonce([7; 16]);
        let mut stream = connect(server.address);
        let mut first = request("/", &[], &key);
        corewire::wire::frame::append(Opcode::Text, Some([1, 2, 3, 4]), b"too early", &mut first);
        stream.write_all(&first).expect("it is listening");
        let ticket = asked.recv_timeout(super::harness::PATIENCE).expect("the route is asked");
        std::thread::spawn(move || ticket.accept(|| Echo));
        let mut client = super::harness::Client::new(stream);
        client.opened(&key, &[]);
        assert_eq!(client.next(), Said::Text("too early".into()));
        client.check_echo("and on");
    }
}

#[test]
fn one_who_is_refused_later_gets_the_status() {
    let (server, asked) = hesitant(|_| ());
    let address = server.address;
    let answer = std::thread::spawn(move || exchange(address, &request("/", &[], &Key::from_nonce([7; 16]))));
    let ticket = asked.recv_timeout(super::harness::PATIENCE).expect("the route is asked");
    ticket.refuse(Refusal::new(403));
    assert!(answer.join().expect("no panic").starts_with("HTTP/1.1 403 "));
}

#[test]
fn a_ticket_that_is_dropped_is_a_503_and_one_that_is_kept_a_408() {
    let ask = |server: &Local| {
        let address = server.address;
        std::thread::spawn(move || exchange(address, &request("/", &[], &Key::from_nonce([7; 16]))))
    };
    let (server, asked) = hesitant(|_| ()); // whose deadline does not come before this thread has its turn
    let dropped = ask(&server);
    drop(asked.recv_timeout(super::harness::PATIENCE).expect("the route is asked"));
    assert!(dropped.join().expect("no panic").starts_with("HTTP/1.1 503 "));
    let (server, asked) = hesitant(|config| config.rules.handshake_timeout = Duration::from_millis(300));
    let kept = ask(&server);
    let ticket = asked.recv_timeout(super::harness::PATIENCE).expect("the route is asked");
    assert!(kept.join().expect("no panic").starts_with("HTTP/1.1 408 "));
    ticket.accept(|| Echo); // too late, and harmless
    wait_until("all are gone", || server.handle.stats().connections == 0);
}
