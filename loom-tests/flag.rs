//! The flag: what was put into the box is found, and whoever sleeps is woken for it.

use crate::ring::flag::Flag;
use crate::{model, model_bounded};
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::sync::{Arc, Mutex, Notify};
use loom::thread;

#[test]
fn a_raised_flag_is_seen_or_its_bell_rings() {
    model(|| {
        let flag = Arc::new(Flag::new());
        let theirs = flag.clone();
        let other = thread::spawn(move || theirs.raise());
        flag.arm();
        let seen = flag.is_raised();
        assert!(other.join().unwrap() || seen, "lost wake-up");
    });
}

/// The box has no lock here, so the flag alone makes it visible.
#[test]
fn who_lowers_it_sees_what_was_put_in_before() {
    model(|| {
        let (flag, item) = (Arc::new(Flag::new()), Arc::new(AtomicUsize::new(0)));
        let (theirs, their_item) = (flag.clone(), item.clone());
        let other = thread::spawn(move || {
            their_item.store(7, Ordering::Relaxed);
            theirs.raise();
        });
        if flag.lower() {
            assert_eq!(item.load(Ordering::Relaxed), 7);
        }
        other.join().unwrap();
    });
}

/// Two put something in, the owner lowers once in between: whatever it did not find then, the flag is up for.
#[test]
fn what_is_put_in_while_it_is_lowered_is_not_lost() {
    model_bounded(3, || {
        let (flag, count) = (Arc::new(Flag::new()), Arc::new(AtomicUsize::new(0)));
        let others: Vec<_> = (0..2)
            .map(|_| {
                let (flag, count) = (flag.clone(), count.clone());
                thread::spawn(move || {
                    count.fetch_add(1, Ordering::Relaxed);
                    flag.raise();
                })
            })
            .collect();
        let mut found = 0;
        if flag.lower() {
            found = count.load(Ordering::Relaxed);
        }
        for other in others {
            other.join().unwrap();
        }
        assert!(found == 2 || flag.lower(), "something is in the box, and the flag is down");
    });
}

/// The whole of it, with a lock on the box. A lost wake-up is a deadlock here.
#[test]
fn a_sleeper_finds_what_two_put_in() {
    model_bounded(3, || {
        let (flag, wake) = (Arc::new(Flag::new()), Arc::new(Notify::new()));
        let items = Arc::new(Mutex::new(Vec::new()));
        let others: Vec<_> = (0..2)
            .map(|item| {
                let (flag, wake, items) = (flag.clone(), wake.clone(), items.clone());
                thread::spawn(move || {
                    items.lock().unwrap().push(item);
                    if flag.raise() {
                        wake.notify();
                    }
                })
            })
            .collect();
        let mut missing = 2;
        while missing > 0 {
            if flag.lower() {
                missing -= items.lock().unwrap().drain(..).count();
                continue;
            }
            flag.arm();
            if !flag.is_raised() {
                wake.wait();
            }
            flag.disarm();
        }
        for other in others {
            other.join().unwrap();
        }
    });
}
