//! The simulator finds mistakes: each of five that are planted, within so many seeds that pass without it.

use super::echo::{Echo, Talk};
use corewire::connection::Planted;
use corewire::prelude::*;
use corewire::sim::{Faults, World};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

#[test]
fn the_lost_rest_of_a_short_send_is_found() {
    check_found(Planted::RestLost, &["not quiet", "came back"]);
}

#[test]
fn reading_that_is_not_resumed_is_found() {
    check_found(Planted::NotResumed, &["not quiet", "came back"]);
}

#[test]
fn bytes_that_overtake_others_are_found() {
    check_found(Planted::Overtaken, &["not quiet", "came back"]);
}

#[test]
fn a_block_that_leaks_is_found() {
    check_found(Planted::Leaked, &["blocks of memory are not home"]);
}

#[test]
fn a_sleeper_that_is_not_rung_is_found() {
    check_found(Planted::NotRung, &["sleeps, its lanes have mail, and nobody rang"]);
}

/// `planted` makes a world of the first [`SEEDS`] fail, with one of `complaints`; and without it that world is well.
fn check_found(planted: Planted, complaints: &[&str]) {
    let run = |seed: u64, planted: Option<Planted>| {
        let world = World::new(seed)
            .shards(3)
            .at("/echo", |_: &Upgrade| Ok(Echo))
            .at("/", |_: &Upgrade| Ok(Talk::new()));
        let mut world = world.clients(10).faults(Faults::swarm(seed)).configure(|config| {
            config.rules.planted = planted;
            config.rules.idle_timeout = Duration::from_secs(1800);
            config.rules.close_timeout = Duration::from_secs(600);
        });
        world.run_until_quiet(7_200_000);
        world.assert_echoed();
        world.shut_down();
    };
    for seed in 0..SEEDS {
        let Err(panic) = catch_unwind(AssertUnwindSafe(|| run(seed, Some(planted)))) else { continue };
        let said = panic.downcast_ref::<String>().expect("a panic that says something");
        assert!(complaints.iter().any(|what| said.contains(what)), "found, but as something else: {said}");
        println!("{planted:?} is found by seed {seed}");
        run(seed, None);
        return;
    }
    panic!("{planted:?} is not found in {SEEDS} worlds");
}

const SEEDS: u64 = 100;
