//! Echo in open loop: what is due is sent, and waiting is never hidden.

use crate::peer::{echo, serve};
use crate::run::{number, report, report_paused};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

#[test]
fn a_stall_of_the_server_shows_in_the_latency_of_all_that_was_due_meanwhile() {
    let stalled = RwLock::new(false);
    let address = echo(move |_, message, _| {
        if *stalled.read().expect("nobody panics with it") || message < 40 {
            return;
        }
        let mut stalled = stalled.write().expect("nobody panics with it"); // and nobody reads it meanwhile
        if !*stalled {
            std::thread::sleep(Duration::from_millis(100));
            *stalled = true;
        }
    });
    let report = report("echo", &address, &["-c", "10", "--rate", "1000", "-d", "1", "-w", "0.1"]);
    // A tenth of all messages was due in these 100 ms, and the first of them waited for all of it.
    assert!(number(&report, "latency_us.p99_9") >= 90e3, "{report}");
    assert!(number(&report, "latency_us.p99") >= 60e3, "{report}");
    assert!(number(&report, "latency_us.p50") < 40e3, "{report}");
    assert_eq!(number(&report, "unanswered"), 0.0, "{report}");
}

#[test]
fn a_stall_of_the_client_shows_too_and_it_says_that_it_was_late() {
    let address = echo(|_, _, _| ());
    let flags = ["-c", "5", "--rate", "500", "-d", "1", "-w", "0"];
    let (before, pause) = (Duration::from_millis(400), Duration::from_millis(200));
    let report = report_paused("echo", &address, &flags, before, pause);
    // A fifth of all messages was due in these 200 ms, and waited for 100 ms on average.
    assert!(number(&report, "latency_us.p90") >= 70e3, "{report}");
    assert!(number(&report, "sender_late_us") >= 120e3, "{report}");
    assert_eq!(report["client"]["is_limit"], true, "{report}");
}

#[test]
fn every_message_that_is_due_is_sent_and_connections_take_turns() {
    let counts = Arc::new(Mutex::new([0u64; 7]));
    let seen = counts.clone();
    let address = echo(move |connection, _, _| seen.lock().expect("nobody panics with it")[connection] += 1);
    let report = report("echo", &address, &["-c", "7", "--rate", "700", "-d", "1", "-w", "0.5"]);
    let counts = *counts.lock().expect("nobody panics with it");
    let (least, most) = (counts.iter().min().copied(), counts.iter().max().copied());
    assert!(most <= least.map(|least| least + 1), "{counts:?}");
    assert_eq!(counts.iter().sum::<u64>(), 350 + 700, "in the warm-up, and those that count");
    assert!((number(&report, "messages") - 700.0).abs() <= 70.0, "{report}");
    assert_eq!((number(&report, "rate_per_s"), &report["in_flight"]), (700.0, &serde_json::Value::Null));
    assert!(number(&report, "sender_late_us") > 0.0, "{report}");
}

#[test]
fn a_message_queues_behind_one_that_is_not_answered_and_its_waiting_counts() {
    let slow = echo(|_, _, _| std::thread::sleep(Duration::from_millis(10))); // a hundred a second
    let report = report("echo", &slow, &["-c", "1", "--rate", "200", "-d", "0.5", "-w", "0"]);
    // The last of 100 is due after 0.5 s and answered after 1 s.
    assert!(number(&report, "latency_us.max") >= 400e3, "{report}");
    assert!(number(&report, "latency_us.p50") >= 150e3, "{report}");
    assert!(number(&report, "messages_per_s") <= 110.0, "{report}");
}

#[test]
fn what_is_never_answered_counts_with_as_long_as_it_waited() {
    let deaf = serve(|mut peer| {
        for _ in 0..10 {
            let Some((opcode, payload)) = peer.read() else { return };
            peer.write(opcode, &payload);
        }
        while peer.read().is_some() {}
    });
    let flags = ["-c", "2", "--rate", "100", "-d", "0.5", "-w", "0", "--patience", "0.3"];
    let report = report("echo", &deaf, &flags);
    assert!((25.0..=35.0).contains(&number(&report, "unanswered")), "{report}");
    assert!(number(&report, "latency_us.max") >= 600e3, "{report}");
    assert!(number(&report, "latency_us.p50") >= 300e3, "30 of 50 waited at least that long: {report}");
}
