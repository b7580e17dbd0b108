//! A sleep ends when it should, although one alarm stands for all of them.

use corewire::buf::{Pool, PoolConfig};
use corewire::shard::uring::driver::UringConfig;
use corewire::shard::uring::{Peers, UringDriver, Waker};
use corewire::shard::{Driver, ShardId};
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(30);

/// A ring that nobody else uses, and what wakes it.
fn ring() -> (UringDriver, Pool, Waker) {
    let config = UringConfig {
        entries: 8,
        receive_blocks: 2,
        incremental: false,
        receive_window_bytes: 0,
        accept_deferred: false,
        epoch: Instant::now(),
    };
    let waker = Waker::new().expect("there are descriptors left");
    let peers = Peers::new(vec![waker.clone()]);
    let driver = UringDriver::new(ShardId(0), peers, None, &config).expect("this kernel has io_uring");
    (driver, Pool::new(&PoolConfig::default()).expect("there is memory"), waker)
}

/// How long a sleep took that may take as long as `at_most`.
fn sleep(driver: &mut UringDriver, pool: &mut Pool, at_most: Duration) -> Duration {
    let before = driver.now();
    driver.enter(pool, Some(before + at_most));
    while driver.poll(pool, 8, &mut |_| ()) > 0 {}
    driver.now().since(before)
}

#[test]
fn a_short_sleep_is_short_after_a_long_one_that_was_cut() {
    let (mut driver, mut pool, waker) = ring();
    for _ in 0..3 {
        waker.wake();
        assert!(sleep(&mut driver, &mut pool, LONG) < LONG);
        let slept = sleep(&mut driver, &mut pool, SHORT);
        assert!(slept >= SHORT && slept < LONG, "slept {slept:?}");
    }
}

#[test]
fn a_sleep_that_an_older_alarm_cuts_goes_on_to_its_end() {
    let (mut driver, mut pool, waker) = ring();
    waker.wake();
    sleep(&mut driver, &mut pool, SHORT);
    let (begun, mut slept) = (driver.now(), Vec::new());
    while driver.now().since(begun) < SHORT * 4 {
        let left = SHORT * 4 - driver.now().since(begun);
        slept.push(sleep(&mut driver, &mut pool, left));
    }
    assert!(slept.len() <= 3, "one alarm cuts one sleep, and no more: {slept:?}"); // rounding may add one
}
