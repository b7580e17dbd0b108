//! What a session may rely on, in a world that does what it likes.

use super::echo::Echo;
use corewire::prelude::*;
use corewire::sim::{self, Client, Fault, Faults, Heard, World};
use corewire::wire::Kind;
use std::time::Duration;

/// Answers each text with a stream of as many fragments as it has letters; "bye" is a reason to close.
struct Rows {
    left: usize,
}

impl Session for Rows {
    fn message(&mut self, message: Message, cx: &mut Context<Self>) -> Result<(), Close> {
        if message.as_text() == Some("bye") {
            return Err(Close::new(4000, "as you like"));
        }
        cx.client().pause(); // one stream at a time
        self.left = message.len();
        self.write_rows(cx);
        Ok(())
    }

    fn drained(&mut self, cx: &mut Context<Self>) {
        if self.left > 0 {
            self.write_rows(cx);
        }
    }
}

impl Rows {
    fn write_rows(&mut self, cx: &mut Context<Self>) {
        let mut client = cx.client();
        let mut stream = client.stream(Kind::Text);
        while self.left > 0 {
            if stream.write(&[b'r'; ROW_BYTES]).is_err() {
                return; // the rest when it has drained
            }
            self.left -= 1;
        }
        // An empty last fragment finds room where a row did.
        if stream.finish().is_ok() {
            client.resume();
        }
    }
}

const ROW_BYTES: usize = 300;

#[test]
fn a_stream_arrives_whole_and_the_pause_holds_the_next_request_back() {
    sim::check(0..200, |world| {
        let faults = Faults::swarm(world.seed()).with(Fault::Cut, 0.0);
        let mut world = world.shards(2).at("/rows", |_: &Upgrade| Ok(Rows { left: 0 })).faults(faults);
        world = world.configure(|config| {
            config.rules.send_queue_bytes_max = 2000;
            config.rules.idle_timeout = Duration::from_secs(1800);
            config.rules.close_timeout = Duration::from_secs(600);
        });
        let lengths = [1, 20, 3, 0, 50];
        let mut script = Client::at("/rows");
        for length in lengths {
            script = script.text(&"x".repeat(length));
        }
        let readers = [
            world.client(script.clone().text("bye")),
            world.client(script.text("bye").reads_slowly(100, Duration::from_millis(3))),
        ];
        world.run_until_quiet(7_200_000);
        for reader in readers {
            let report = world.report(reader);
            let heard: Vec<usize> = report
                .messages()
                .map(|heard| if let Heard::Text(text) = heard { text.len() } else { 0 })
                .collect();
            assert_eq!(
                heard,
                lengths.map(|length| length * ROW_BYTES),
                "each answer comes whole, one after the other"
            );
            assert_eq!(report.close_code(), Some(Some(4000)), "the session closes with its own code");
        }
        world.shut_down();
    });
}

struct Fragile;
impl Session for Fragile {
    fn message(&mut self, message: Message, cx: &mut Context<Self>) -> Result<(), Close> {
        assert_ne!(message.as_text(), Some("break"), "on purpose");
        Ok(cx.client().send(message)?)
    }
}

#[test]
fn a_session_that_panics_closes_only_its_own_connection() {
    sim::check(0..50, |world| {
        let faults = Faults::swarm(world.seed()).with(Fault::Cut, 0.0).with(Fault::RudeClient, 0.0);
        let mut world =
            world.shards(2).at("/", |_: &Upgrade| Ok(Fragile)).clients(5).faults(faults).configure(patient);
        let broken = world.client(Client::at("/").text("hello").until_heard(1).text("break").text("lost"));
        world.run_until_quiet(7_200_000);
        world.assert_echoed();
        assert_eq!(world.report(broken).close_code(), Some(Some(1011)));
        assert_eq!(world.report(broken).messages().count(), 1);
        world.shut_down_after_panics(1);
    });
}

#[test]
fn a_silent_client_is_pinged_and_one_that_answers_stays() {
    let mut world = World::new(1).at("/", |_: &Upgrade| Ok(Echo)).configure(|config| {
        config.rules.ping_interval = Duration::from_secs(10);
        config.rules.idle_timeout = Duration::from_secs(30);
    });
    let silent = world.client(Client::at("/"));
    world.run_for(100_000);
    let pings = world.report(silent).heard.iter().filter(|heard| matches!(heard, Heard::Ping(_))).count();
    assert!((9..=10).contains(&pings), "{pings} pings in 100 s");
    assert_eq!(world.report(silent).close_code(), None);
    world.shut_down();
}

#[test]
fn a_client_that_vanished_is_let_go_after_the_idle_timeout() {
    let mut world = World::new(2).at("/", |_: &Upgrade| Ok(Echo)).configure(|config| {
        config.rules.ping_interval = Duration::from_secs(10);
        config.rules.idle_timeout = Duration::from_secs(30);
    });
    world.client(Client::at("/").text("hello").until_heard(1).vanish());
    world.run_for(29_000);
    assert_eq!(world.stats().connections, 1);
    world.run_until_quiet(1000 + 2 * 2000 + 100); // then our close, unanswered, and the wait for the end
    world.shut_down();
}

#[test]
fn a_handshake_has_one_deadline_however_it_trickles() {
    let mut world = World::new(3).at("/", |_: &Upgrade| Ok(Echo));
    let mut slow = Client::without_handshake();
    for byte in b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n" {
        slow = slow.raw(&[*byte]).wait(Duration::from_secs(1));
    }
    let slow = world.client(slow);
    world.run_until_quiet(13_000);
    assert_eq!(world.report(slow).heard, [Heard::Refused(408), Heard::End]);
    let refused_at = world.report(slow).heard_at[0];
    assert_eq!(refused_at.as_millis() / 1000, 10, "the handshake's timeout is 10 s");
    world.shut_down();
}

#[test]
fn a_drain_says_1001_to_everybody_and_ends() {
    sim::check(0..100, |world| {
        let seed = world.seed();
        let faults = Faults::swarm(seed).with(Fault::Cut, 0.0).with(Fault::AcceptFailure, 0.0);
        let mut world = world.shards(seed as u16 % 4 + 1).at("/", |_: &Upgrade| Ok(Echo)).faults(faults);
        let clients: Vec<usize> = (0..20).map(|_| world.client(Client::at("/").text("hello"))).collect();
        world.run_for(1000);
        world.drain();
        world.run_until_quiet(10_000);
        for client in clients {
            let report = world.report(client);
            assert!(report.opened, "a second is enough for a handshake");
            assert_eq!(report.close_code(), Some(Some(1001)), "the server goes away: {:?}", report.heard);
            assert_eq!(report.heard.last(), Some(&Heard::End));
        }
        world.shut_down();
    });
}

#[test]
fn a_drain_has_a_deadline_that_needs_nobody_to_wake_the_shard() {
    let mut world = World::new(6).shards(2).at("/", |_: &Upgrade| Ok(Echo)).configure(|config| {
        config.drain_timeout = Duration::from_secs(10);
        patient(config);
    });
    for _ in 0..5 {
        world.client(Client::at("/").text("hello").until_heard(1).vanish());
    }
    world.run_for(100);
    world.drain();
    world.run_until_quiet(10_010);
    world.shut_down();
}

#[test]
fn a_server_that_ends_in_the_middle_of_everything_leaves_nothing_behind() {
    sim::check(0..300, |world| {
        let seed = world.seed();
        let mut world = world.shards(seed as u16 % 4 + 1).at("/", |_: &Upgrade| Ok(Echo)).clients(20);
        world = world.faults(Faults::swarm(seed));
        world.run_for(seed % 40);
        world.shut_down();
    });
}

#[test]
fn one_client_too_many_is_answered_503() {
    let mut world =
        World::new(4).at("/", |_: &Upgrade| Ok(Echo)).configure(|config| config.connections_max = 3);
    let clients: Vec<usize> =
        (0..4).map(|n| world.client(Client::at("/").later(Duration::from_millis(n)))).collect();
    world.run_for(100);
    let refused = clients
        .iter()
        .filter(|&&client| world.report(client).heard.first() == Some(&Heard::Refused(503)))
        .count();
    assert_eq!(refused, 1);
    world.shut_down();
}

#[test]
fn a_seed_is_a_world() {
    let run = || {
        let mut world = World::new(5)
            .shards(3)
            .at("/", |_: &Upgrade| Ok(Echo))
            .clients(10)
            .faults(Faults::swarm(5))
            .configure(patient);
        world.run_until_quiet(7_200_000);
        let heard: Vec<_> = (0..10)
            .map(|client| (world.report(client).heard.clone(), world.report(client).heard_at.clone()))
            .collect();
        (heard, world.now(), world.stats())
    };
    assert_eq!(run(), run());
}

/// Who reads little by little is not heard for a while, and takes its time to the end.
pub(super) fn patient(config: &mut Config) {
    config.rules.idle_timeout = Duration::from_secs(1800);
    config.rules.close_timeout = Duration::from_secs(600);
}
