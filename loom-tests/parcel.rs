//! The parcel: its message is dropped once, on whatever side.

use crate::ring::parcel::Parcel;
use crate::ring::spsc;
use crate::{Counted, model};
use loom::thread;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

#[test]
fn a_parcel_through_a_lane_is_dropped_once() {
    model(|| {
        let drops = Arc::new(AtomicUsize::new(0));
        let (mut tx, mut rx) = spsc::channel(2);
        let theirs = drops.clone();
        let sender = thread::spawn(move || {
            drop(tx.push(Parcel::new(Sendable(Counted::new(1, &theirs))))); // back, if the consumer is gone
            drop(tx.push(Parcel::new((Sendable(Counted::new(2, &theirs)), [0u8; 100])))); // back, if the consumer is gone
        });
        for parcel in rx.drain(1) {
            // Half of them are opened, the other half dropped unopened, or with the lane.
            assert!(parcel.downcast::<Sendable>().is_ok());
        }
        drop(rx);
        sender.join().unwrap();
        assert_eq!(drops.load(Ordering::Relaxed), 2);
    });
}

#[test]
fn what_is_taken_out_of_a_parcel_is_dropped_once() {
    model(|| {
        let drops = Arc::new(AtomicUsize::new(0));
        let (mut tx, mut rx) = spsc::channel(2);
        let theirs = drops.clone();
        let sender = thread::spawn(move || {
            drop(tx.push(Parcel::new(Sendable(Counted::new(1, &theirs)))));
            drop(tx.push(Parcel::new((Sendable(Counted::new(2, &theirs)), [0u8; 100]))));
        });
        for mut parcel in rx.drain(2) {
            // The message of either kind outlives its parcel, in which nothing is left.
            let (small, large) = (parcel.take::<Sendable>(), parcel.take::<(Sendable, [u8; 100])>());
            assert!(small.is_some() != large.is_some() && parcel.is::<()>());
            let before = drops.load(Ordering::Relaxed);
            drop(parcel);
            assert_eq!(drops.load(Ordering::Relaxed), before);
            drop((small, large));
        }
        drop(rx);
        sender.join().unwrap();
        assert_eq!(drops.load(Ordering::Relaxed), 2);
    });
}

#[test]
fn what_a_parcel_is_filled_with_is_dropped_once() {
    model(|| {
        let drops = Arc::new(AtomicUsize::new(0));
        let (mut tx, mut rx) = spsc::channel(2);
        let theirs = drops.clone();
        let sender = thread::spawn(move || {
            let mut parcel = Parcel::empty();
            parcel.fill(Sendable(Counted::new(1, &theirs)));
            parcel.fill((Sendable(Counted::new(2, &theirs)), [0u8; 100])); // the first goes
            assert_eq!(theirs.load(Ordering::Relaxed), 1);
            drop(tx.push(parcel));
        });
        sender.join().unwrap();
        for mut parcel in rx.drain(1) {
            let large = parcel.take::<(Sendable, [u8; 100])>();
            assert!(large.is_some());
            parcel.fill(Sendable(Counted::new(3, &drops))); // over nothing
            drop(large);
            assert_eq!(drops.load(Ordering::Relaxed), 2);
        }
        assert_eq!(drops.load(Ordering::Relaxed), 3);
    });
}

/// Loom's cells are `Send` if what they hold is, as the standard ones.
struct Sendable(#[expect(dead_code, reason = "its drop is what counts")] Counted);
