//! The treadmill says what went wrong, and ends.

use corewire::prelude::*;
use corewire::shard::ShardId;
use corewire::sim::Treadmill;
use std::time::{Duration, Instant};

struct Echo;
impl Session for Echo {
    fn message(&mut self, message: Message, cx: &mut Context<Self>) -> Result<(), Close> {
        Ok(cx.client().send(message)?)
    }
}

struct Ledger;
impl Actor for Ledger {}

#[test]
fn a_service_that_cannot_be_made_is_told_as_it_is_and_at_once() {
    let begun = Instant::now();
    let treadmill = Treadmill::new("/", |_: &Upgrade| Ok(Echo)).shards(2).service(|shard| {
        assert_ne!(shard, ShardId(1), "no ledger for it");
        Ledger
    });
    let error = treadmill.run(Duration::from_millis(10)).expect_err("it has no ledger");
    assert!(error.to_string().contains("no ledger for it"), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

struct Broken;
impl Session for Broken {
    fn open(&mut self, _: &mut Context<Self>) -> Result<(), Close> {
        panic!("on purpose");
    }

    fn message(&mut self, _: Message, _: &mut Context<Self>) -> Result<(), Close> {
        Ok(())
    }
}

#[test]
fn sessions_that_panic_are_no_pace() {
    let treadmill = Treadmill::new("/", |_: &Upgrade| Ok(Broken)).clients(3);
    let error = treadmill.run(Duration::from_millis(10)).expect_err("nobody is there");
    assert!(error.to_string().contains("3 panics"), "{error}");
}
