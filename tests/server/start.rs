//! Other ways to start: small turns, small blocks, spinning; and what is refused at start, with what to do.

use super::harness::{Client, Echo, Local, Process, Said, config, frame};
use corewire::prelude::*;
use corewire::server::Rebalance;
use corewire::wire::frame::Opcode;
use std::time::Duration;

fn check_serves(change: impl FnOnce(&mut Config)) {
    let server = Local::echo(change);
    let mut client = server.client();
    for bytes in [0, 20, 2_000, 70_000, 1 << 20] {
        let payload: Vec<u8> = (0..bytes).map(|at| at as u8).collect();
        client.send(Opcode::Binary, &payload);
        assert!(client.next() == Said::Binary(payload), "{bytes} bytes");
    }
    let mut others: Vec<Client> = (0..50).map(|_| server.client()).collect();
    others.iter_mut().for_each(|client| client.raw(&frame(Opcode::Text, b"to and fro").repeat(40)));
    for client in &mut others {
        for _ in 0..40 {
            assert_eq!(client.next(), Said::Text("to and fro".into()));
        }
    }
}

#[test]
fn where_the_kernel_takes_a_block_for_every_receive_it_serves_as_well() {
    check_serves(|config| config.receive_incremental = false);
}

#[test]
fn with_hardly_any_receive_blocks_it_serves_as_well() {
    check_serves(|config| config.receive_bytes = 0); // there are always two
    check_serves(|config| {
        config.receive_bytes = 0;
        config.receive_incremental = false;
    });
}

#[test]
fn turns_of_one_event_and_a_ring_of_two_entries_serve_as_well() {
    check_serves(|config| {
        config.batch = 1;
        config.ring = 2;
    });
}

#[test]
fn shards_that_spin_before_they_sleep_serve_as_well() {
    check_serves(|config| config.busy_poll = Duration::from_micros(200));
}

#[test]
fn more_shards_than_cores_serve_as_well() {
    check_serves(|config| config.workers = 7);
}

#[test]
fn a_connection_goes_to_the_less_loaded_of_two_shards() {
    let server = Local::echo(|config| config.workers = 4);
    let _clients: Vec<Client> = (0..1000).map(|_| server.client()).collect();
    let loads = server.handle.connections_by_shard();
    let (least, most) = (loads.iter().min(), loads.iter().max());
    let spread = most.zip(least).map(|(most, least)| most - least);
    // One random shard each would spread them by about 28.
    assert!(loads.iter().sum::<u32>() == 1000 && spread < Some(12), "{loads:?}");
}

#[test]
fn the_demo_takes_every_flag_and_logs_as_json_if_asked() {
    let log = std::env::temp_dir().join(format!("corewire-echo-{}.log", std::process::id()));
    let shell = format!("RUST_LOG=info exec \"$@\" 2>'{}'", log.display());
    let flags = "--log-json --numa -1 --pool 3 --batch 4 --ring 64 --busy-poll 50 --huge-pages --max-message 1000 \
                 --max-connections 100 --handshake-timeout 5 --idle-timeout 30 --rebalance";
    let mut server = Process::start_in(&shell, &flags.split_whitespace().collect::<Vec<_>>());
    server.client().check_echo("with all of them");
    let mut client = server.client();
    client.send(Opcode::Binary, &[0; 1001]);
    client.check_closed(1009);
    server.signal("TERM");
    assert!(server.exit().success());
    let lines = std::fs::read_to_string(&log).expect("the shell has made it");
    std::fs::remove_file(&log).expect("it is ours");
    assert!(lines.lines().count() > 3, "it says how it starts and ends: {lines}");
    assert!(lines.lines().all(|line| line.starts_with('{') && line.ends_with('}')), "{lines}");
}

#[test]
fn a_machine_that_lacks_something_is_told_what_and_how_to_mend_it() {
    let refusal = Process::refusal("ulimit -l 100; exec \"$@\"", &["--workers", "1"]);
    assert!(refusal.contains("only 100 KiB may be locked in memory"), "{refusal}");
    assert!(refusal.contains("ulimit -l"), "{refusal}");
    let refusal = Process::refusal("exec \"$@\"", &["--workers", "1", "--numa", "77"]);
    assert!(refusal.contains("--numa"), "{refusal}");
}

fn check_refused(server: Server, fix: &str) {
    let error = server.start().map(|_| ()).expect_err("it must not start");
    assert!(error.to_string().contains(fix), "{error}");
}

#[test]
fn what_cannot_be_is_refused_at_start_with_what_to_do() {
    let echo = |change: fn(&mut Config)| {
        let mut config = config();
        change(&mut config);
        Server::bind("127.0.0.1:0").config(config).at("/", |_: &Upgrade| Ok(Echo))
    };
    check_refused(echo(|config| config.ring = 1), "2 to 32768 entries");
    let hasty = |config: &mut Config| {
        config.rebalance = Some(Rebalance { interval: Duration::ZERO, ..Rebalance::default() })
    };
    check_refused(echo(hasty), "10 ms to 20 days");
    check_refused(echo(|config| config.batch = 0), "1 to 65536 events");
    check_refused(echo(|config| config.rules.idle_timeout = Duration::ZERO), "a millisecond to 20 days");
    check_refused(echo(|config| config.rules.wire.message_bytes_max = 1 << 30), "none is larger than 64 MiB");
    check_refused(echo(|config| config.numa = Some(77)), "--numa");
    check_refused(
        echo(|config| {
            config.pin = true;
            config.workers = 60_000;
        }),
        "--workers",
    );
    check_refused(Server::bind("127.0.0.1:0").config(config()), "add one with `at`");
    check_refused(Server::bind("nonsense").config(config()).at("/", |_: &Upgrade| Ok(Echo)), "expected");
}
