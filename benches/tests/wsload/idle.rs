//! Idle connections: each echoes once, and memory is told by step.

use crate::echo::{KEYS, check_keys, corewire_echo};
use crate::run::{check_complaint, number, report};

#[test]
fn each_connection_echoes_once_and_every_step_is_told() {
    let (running, address) = corewire_echo(|_| ());
    let pid = std::process::id().to_string(); // the server is in this process
    let report = report("idle", &address, &["--from", "20", "--to", "60", "-d", "0.2", "--pid", &pid]);
    check_keys(&report, &KEYS);
    check_keys(
        &report["idle"],
        &["from", "to", "base_rss_bytes", "rss_bytes", "rss_bytes_per_connection", "kernel"],
    );
    check_keys(&report["idle"]["rss_bytes"], &["from_opened", "from_echoed", "to_opened", "to_echoed"]);
    check_keys(&report["idle"]["rss_bytes_per_connection"], &["before_echo", "after_echo"]);
    check_keys(
        &report["idle"]["kernel"],
        &["source", "bytes_per_connection", "tcp_queue_bytes_per_connection", "caches"],
    );
    assert_eq!(running.handle().stats().messages_in, 60);
    let rss = |step: &str| number(&report, &format!("idle.rss_bytes.{step}"));
    assert!(number(&report, "idle.base_rss_bytes") > f64::from(1 << 20), "{report}");
    let slope = (rss("to_echoed") - rss("from_echoed")) / 40.0;
    assert!((slope - number(&report, "idle.rss_bytes_per_connection.after_echo")).abs() < 0.01, "{report}");
    assert!(number(&report, "server.cpu_share") < 2.0 && report["server"]["cpu_us_per_message"].is_null());
    assert_eq!((number(&report, "connections"), number(&report, "messages")), (60.0, 0.0));
}

#[test]
fn without_a_process_there_is_nothing_to_measure() {
    check_complaint("idle", "127.0.0.1:1", &[], 2, "idle needs --pid");
}
