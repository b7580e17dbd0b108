//! The doorbell: no wake-up lost, and none made twice.

use crate::ring::doorbell::Doorbell;
use crate::ring::spsc;
use crate::{model, model_bounded};
use loom::sync::{Arc, Notify};
use loom::thread;

#[test]
fn a_push_is_seen_or_the_bell_rings() {
    model(|| {
        let (mut tx, mut rx) = spsc::channel(2);
        let bell = Arc::new(Doorbell::new());
        let theirs = bell.clone();
        let ringer = thread::spawn(move || {
            tx.push(7).unwrap();
            tx.publish();
            theirs.must_ring()
        });
        bell.arm();
        let seen = rx.pop().is_some();
        assert!(ringer.join().unwrap() || seen, "lost wake-up");
    });
}

/// The whole of it: a shard that sleeps until its lanes have given two items. A lost wake-up is a deadlock here.
#[test]
fn a_sleeper_gets_what_two_ringers_bring() {
    model_bounded(3, || {
        let bell = Arc::new(Doorbell::new());
        let wake = Arc::new(Notify::new());
        let (lanes, ringers): (Vec<_>, Vec<_>) = (0..2)
            .map(|item| {
                let (mut tx, rx) = spsc::channel(2);
                let (bell, wake) = (bell.clone(), wake.clone());
                let ringer = thread::spawn(move || {
                    tx.push(item).unwrap();
                    tx.publish();
                    if bell.must_ring() {
                        wake.notify();
                    }
                });
                (rx, ringer)
            })
            .unzip();
        let mut lanes = lanes;
        let mut missing = 2;
        let mut look = |missing: &mut usize| {
            let found = lanes.iter_mut().map(|lane| lane.drain(8).count()).sum::<usize>();
            *missing -= found;
            found > 0
        };
        while missing > 0 {
            bell.arm();
            if !look(&mut missing) {
                wake.wait();
            }
            bell.disarm();
        }
        for ringer in ringers {
            ringer.join().unwrap();
        }
    });
}

#[test]
fn exactly_one_ringer_rings() {
    model(|| {
        let bell = Arc::new(Doorbell::new());
        bell.arm();
        let theirs = bell.clone();
        let other = thread::spawn(move || theirs.must_ring());
        let ours = bell.must_ring();
        assert!(ours ^ other.join().unwrap());
    });
}

#[test]
fn either_the_sleeper_disarms_or_a_ringer_rings() {
    model(|| {
        let bell = Arc::new(Doorbell::new());
        bell.arm();
        let theirs = bell.clone();
        let ringer = thread::spawn(move || theirs.must_ring());
        let still_armed = bell.disarm();
        assert!(still_armed ^ ringer.join().unwrap());
    });
}

#[test]
fn who_was_rung_for_sees_what_for() {
    model(|| {
        let (mut tx, mut rx) = spsc::channel(2);
        let bell = Arc::new(Doorbell::new());
        bell.arm();
        let theirs = bell.clone();
        let ringer = thread::spawn(move || {
            tx.push(7).unwrap();
            tx.publish();
            theirs.must_ring();
        });
        if !bell.disarm() {
            assert_eq!(rx.pop(), Some(7));
        }
        ringer.join().unwrap();
    });
}
