//! The lane: items once and in order, close seen, nothing leaked.

use crate::ring::spsc::{self, PushError};
use crate::{Counted, model};
use loom::thread;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

#[test]
fn batches_arrive_once_and_in_order() {
    model(|| {
        let drops = Arc::new(AtomicUsize::new(0));
        let (mut tx, mut rx) = spsc::channel(2);
        let theirs = drops.clone();
        let producer = thread::spawn(move || {
            assert!(tx.push((1, Counted::new(1, &theirs))).is_ok());
            assert!(tx.push((2, Counted::new(2, &theirs))).is_ok());
            assert!(tx.publish());
            while tx.room() == 0 {
                thread::yield_now();
            }
            assert!(tx.push((3, Counted::new(3, &theirs))).is_ok()); // over a slot that was used
        }); // dropping it publishes
        let mut seen = Vec::new();
        while !rx.is_closed() {
            seen.extend(rx.drain(8).map(|(number, _)| number));
            thread::yield_now();
        }
        assert_eq!(seen, [1, 2, 3]);
        producer.join().unwrap();
        assert_eq!(drops.load(Ordering::Relaxed), 3);
    });
}

#[test]
fn what_is_staged_is_not_seen() {
    model(|| {
        let (mut tx, mut rx) = spsc::channel(2);
        let producer = thread::spawn(move || {
            tx.push(1).unwrap();
            tx.push(2).unwrap();
            tx.publish();
            tx
        });
        let batch = rx.drain(8).count();
        assert!(batch == 0 || batch == 2, "half a batch");
        drop(producer.join().unwrap());
    });
}

#[test]
fn a_closed_lane_has_nothing_left() {
    model(|| {
        let (mut tx, mut rx) = spsc::channel(2);
        let producer = thread::spawn(move || tx.push(1).unwrap());
        assert!(!rx.is_closed(), "closed, with an item in it");
        producer.join().unwrap();
        assert_eq!(rx.pop(), Some(1));
        assert!(rx.is_closed());
    });
}

#[test]
fn items_left_behind_are_dropped_once_whoever_leaves_first() {
    model(|| {
        let drops = Arc::new(AtomicUsize::new(0));
        let (mut tx, mut rx) = spsc::channel(2);
        let theirs = drops.clone();
        let producer = thread::spawn(move || {
            let mut made = 0;
            for number in 1..=2 {
                made += 1;
                match tx.push(Counted::new(number, &theirs)) {
                    Ok(()) => tx.publish(),
                    Err(PushError::Closed(_)) => break,
                    Err(PushError::Full(_)) => panic!("two items in two slots"),
                };
            }
            made
        });
        drop(rx.pop());
        drop(rx);
        let made = producer.join().unwrap();
        assert_eq!(drops.load(Ordering::Relaxed), made);
    });
}

#[test]
fn pushing_fails_once_the_consumer_is_gone() {
    model(|| {
        let (mut tx, rx) = spsc::channel(2);
        thread::spawn(move || drop(rx)).join().unwrap();
        assert_eq!(tx.push(1), Err(PushError::Closed(1)));
    });
}
