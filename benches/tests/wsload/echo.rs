//! Echo in closed loop: what is counted, and what a server may do without being blamed.

use crate::peer::{echo, serve};
use crate::run::{number, report, report_paused, wsload};
use corewire::prelude::*;
use corewire::wire::frame::{self, Opcode};
use serde_json::Value;
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

struct Echo;
impl Session for Echo {
    fn message(&mut self, message: Message, cx: &mut Context<Self>) -> Result<(), Close> {
        Ok(cx.client().send(message)?)
    }
}

/// The framework's own echo, in this process.
pub(super) fn corewire_echo(change: impl FnOnce(&mut Config)) -> (corewire::server::Running, String) {
    let mut config = Config::default();
    (config.workers, config.pin) = (1, false);
    change(&mut config);
    let server = Server::bind("127.0.0.1:0").config(config).at("/", |_: &Upgrade| Ok(Echo));
    let running = server.start().expect("the server starts");
    let address = running.address().to_string();
    (running, address)
}

#[track_caller]
pub(super) fn check_keys(object: &Value, expected: &[&str]) {
    let mut keys: Vec<_> = object.as_object().expect("an object").keys().map(String::as_str).collect();
    let mut expected = expected.to_vec();
    keys.sort_unstable();
    expected.sort_unstable();
    assert_eq!(keys, expected);
}

pub(super) const KEYS: [&str; 15] = [
    "mode",
    "server",
    "connections",
    "size_bytes",
    "in_flight",
    "rate_per_s",
    "duration_s",
    "messages",
    "messages_per_s",
    "latency_us",
    "sender_late_us",
    "unanswered",
    "client",
    "broadcast",
    "idle",
];

#[test]
fn a_report_has_these_fields_and_they_agree_with_each_other_and_with_the_server() {
    let (running, address) = corewire_echo(|_| ());
    let pid = std::process::id().to_string();
    let flags = ["-c", "8", "-i", "4", "-s", "100", "-d", "0.4", "-w", "0.1", "--pid", &pid];
    let report = report("echo", &address, &flags);
    check_keys(&report, &KEYS);
    check_keys(
        &report["server"],
        &["address", "pid", "cpu_us_per_message", "cpu_share", "rss_bytes", "threads"],
    );
    check_keys(&report["latency_us"], &["p50", "p90", "p99", "p99_9", "max"]);
    check_keys(&report["client"], &["cpu_share", "is_limit"]);
    check_keys(&report["server"]["threads"][0], &["name", "cpu_us_per_message", "cpu_share"]);
    assert_eq!((&report["mode"], &report["server"]["address"]), (&"echo".into(), &address.into()));
    assert_eq!((number(&report, "connections"), number(&report, "size_bytes")), (8.0, 100.0));
    assert_eq!((number(&report, "in_flight"), &report["rate_per_s"]), (4.0, &Value::Null));

    let (messages, seconds) = (number(&report, "messages"), number(&report, "duration_s"));
    assert!(messages > 0.0 && seconds >= 0.4, "{report}");
    assert!((number(&report, "messages_per_s") / (messages / seconds) - 1.0).abs() < 0.01, "{report}");
    let told = running.handle().stats().messages_in as f64;
    assert!(messages <= told, "{messages} were counted, but the server has seen {told}");

    let latency =
        ["p50", "p90", "p99", "p99_9", "max"].map(|at| number(&report, &format!("latency_us.{at}")));
    assert!(latency[0] > 0.0 && latency.is_sorted(), "{latency:?}");
    // 32 messages in flight, by Little's law: their mean latency is what 32 of them take.
    assert!(latency[0] < 20.0 * 32.0 / (messages / seconds) * 1e6, "{report}");

    let server = &report["server"];
    let threads = server["threads"].as_array().expect("threads");
    assert!(threads.iter().any(|thread| thread["name"].as_str().is_some_and(|name| name.contains("shard"))));
    let of_threads: f64 = threads.iter().map(|thread| number(thread, "cpu_us_per_message")).sum();
    assert!((of_threads - number(server, "cpu_us_per_message")).abs() < 0.01, "{server}");
    let share = number(server, "cpu_us_per_message") * messages / seconds / 1e6;
    assert!((share - number(server, "cpu_share")).abs() < 0.01, "{server}");
    assert!(number(server, "rss_bytes") > f64::from(1 << 20));
}

#[test]
fn what_was_not_measured_is_null() {
    let address = echo(|_, _, _| ());
    let report = report("echo", &address, &["-c", "2", "-d", "0.1", "-w", "0"]);
    check_keys(&report, &KEYS);
    for key in ["pid", "cpu_us_per_message", "cpu_share", "rss_bytes", "threads"] {
        assert_eq!(report["server"][key], Value::Null, "{key}");
    }
    for key in ["rate_per_s", "sender_late_us", "unanswered", "broadcast", "idle"] {
        assert_eq!(report[key], Value::Null, "{key}");
    }
    let table = wsload("echo", &address, &["-c", "2", "-d", "0.1", "-w", "0"]).table();
    assert!(table.contains("latency µs") && table.contains("client CPU"), "{table}");
}

#[test]
fn percentiles_are_where_the_server_puts_them() {
    let address = echo(|_, message, _| {
        if message % 50 == 0 {
            std::thread::sleep(Duration::from_millis(40)); // 2 of 100
        }
    });
    let report = report("echo", &address, &["-c", "4", "-d", "1", "-w", "0"]);
    assert!(number(&report, "latency_us.p90") < 30e3, "{report}");
    assert!((40e3..200e3).contains(&number(&report, "latency_us.p99")), "{report}");
}

#[test]
fn nothing_counts_before_the_warm_up_is_over() {
    let slow_begin = |_, message, _: &mut Vec<u8>| {
        if message == 1 {
            std::thread::sleep(Duration::from_millis(300));
        }
    };
    let counted = report("echo", &echo(slow_begin), &["-c", "1", "-d", "0.5", "-w", "0"]);
    assert!(number(&counted, "latency_us.max") >= 300e3, "{counted}");
    let warmed = report("echo", &echo(slow_begin), &["-c", "1", "-d", "0.2", "-w", "0.5"]);
    assert!(number(&warmed, "latency_us.max") < 290e3, "{warmed}");
}

#[test]
fn so_many_messages_are_in_flight() {
    let address = serve(|mut peer| {
        let first: Vec<_> = (0..8).map_while(|_| peer.read()).collect();
        peer.stream.set_read_timeout(Some(Duration::from_millis(50))).expect("a socket");
        if first.len() < 8 || peer.read().is_some() {
            return; // hangs up
        }
        peer.stream.set_read_timeout(None).expect("a socket");
        first.iter().for_each(|(opcode, payload)| peer.write(*opcode, payload));
        while let Some((opcode, payload)) = peer.read() {
            peer.write(opcode, &payload);
        }
    });
    let report = report("echo", &address, &["-c", "2", "-i", "8", "-d", "0.2", "-w", "0"]);
    assert!(number(&report, "messages") > 16.0, "{report}");
}

#[test]
fn replies_may_come_in_any_pieces_and_pings_are_answered() {
    let pongs = Arc::new(AtomicU64::new(0));
    let heard = pongs.clone();
    let address = serve(move |mut peer| {
        while let Some((opcode, payload)) = peer.read() {
            if opcode == Opcode::Pong {
                assert_eq!(payload, b"are you there?");
                heard.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            let mut bytes = Vec::new();
            match peer.index % 3 {
                0 => frame::append(opcode, None, &payload, &mut bytes),
                1 => {
                    frame::append(Opcode::Ping, None, b"are you there?", &mut bytes);
                    frame::append(opcode, None, &payload, &mut bytes);
                    frame::append(Opcode::Pong, None, b"", &mut bytes);
                }
                _ => {
                    frame::append(opcode, None, &payload[..7], &mut bytes);
                    bytes[0] &= 0x7F; // more follows
                    frame::append(Opcode::Ping, None, b"are you there?", &mut bytes);
                    frame::append(Opcode::Continuation, None, &payload[7..], &mut bytes);
                }
            }
            bytes.iter().for_each(|byte| drop(peer.stream.write_all(&[*byte])));
        }
    });
    let report = report("echo", &address, &["-c", "3", "-i", "2", "-s", "200", "-d", "0.5", "-w", "0"]);
    assert!(number(&report, "messages") > 10.0, "{report}");
    assert!(pongs.load(Ordering::Relaxed) > 0);
}

#[test]
fn connections_are_opened_as_slowly_as_asked() {
    let opened = Arc::new(Mutex::new(Vec::new()));
    let seen = opened.clone();
    let address = serve(move |mut peer| {
        seen.lock().expect("nobody panics with it").push(Instant::now());
        while let Some((opcode, payload)) = peer.read() {
            peer.write(opcode, &payload);
        }
    });
    report("echo", &address, &["-c", "11", "--ramp", "20", "-d", "0.1", "-w", "0"]);
    let opened = opened.lock().expect("nobody panics with it");
    let took = opened.iter().max().zip(opened.iter().min()).map(|(last, first)| *last - *first);
    assert!(opened.len() == 11 && took > Some(Duration::from_millis(300)), "{took:?}"); // ten pauses of 50 ms
}

#[test]
fn text_is_utf8_and_not_all_of_it_ascii() {
    let plain = Arc::new(AtomicU64::new(0));
    let seen = plain.clone();
    let address = serve(move |mut peer| {
        while let Some((opcode, payload)) = peer.read() {
            let text = str::from_utf8(&payload).expect("UTF-8");
            seen.fetch_add(u64::from(text.is_ascii() || opcode != Opcode::Text), Ordering::Relaxed);
            peer.write(opcode, &payload);
        }
    });
    for size in ["16", "20", "1000"] {
        let report = report("echo", &address, &["--text", "-s", size, "-c", "2", "-d", "0.1", "-w", "0"]);
        assert!(number(&report, "messages") > 0.0, "{report}");
    }
    assert_eq!(plain.load(Ordering::Relaxed), 0);
}

#[test]
fn what_one_read_leaves_is_read_all_the_same() {
    let (_running, address) = corewire_echo(|_| ());
    // While it is stopped, replies gather; then its time is over, and hardly anything comes after them.
    let flags = ["-c", "1", "-i", "200000", "-d", "0.8", "-w", "0"];
    let (before, pause) = (Duration::from_millis(600), Duration::from_millis(400));
    let report = report_paused("echo", &address, &flags, before, pause);
    assert!(number(&report, "messages") > 0.0, "{report}");
}

#[test]
fn a_server_that_writes_before_it_reads_on_is_read_meanwhile() {
    let address = echo(|_, _, _| ()); // blocks in its write until the whole reply is taken
    let flags = ["-c", "2", "-i", "4", "-s", "4000000", "-d", "0.5", "-w", "0", "--patience", "15"];
    let report = report("echo", &address, &flags);
    assert!(number(&report, "messages") > 0.0, "{report}");
}
