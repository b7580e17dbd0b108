//! What is sent again and again: on time, and no longer than anybody wants it.

use super::{Book, world_after, world_with};
use corewire::actor::{Handler, TimerId};
use corewire::prelude::*;
use std::time::Duration;

const PERIOD: Duration = Duration::from_millis(10);

#[derive(Clone)]
struct Tick;
struct Leave;

/// Notes when it hears a tick, and cancels after some of them.
struct Clock {
    book: Book,
    timer: Option<TimerId>,
    left: u32,
}

impl Actor for Clock {}

impl Handler<Tick> for Clock {
    type Reply = ();
    fn handle(&mut self, _: Tick, cx: &mut Context<Self>) {
        self.book.note(cx.now().as_millis().to_string());
        self.left -= 1;
        if let Some(timer) = self.timer.filter(|_| self.left == 0) {
            assert!(cx.cancel(timer), "it would fire again");
            assert!(!cx.cancel(timer), "it is cancelled once");
        }
    }
}

impl Handler<Leave> for Clock {
    type Reply = ();
    fn handle(&mut self, _: Leave, cx: &mut Context<Self>) {
        cx.stop();
    }
}

fn clock(book: &Book) -> Clock {
    Clock { book: book.clone(), timer: None, left: u32::MAX }
}

/// The moments in a book, from its first on.
fn moments(book: &Book) -> Vec<u64> {
    let moments: Vec<u64> = book.take().iter().map(|moment| moment.parse().expect("it is one")).collect();
    moments.iter().map(|moment| moment - moments[0]).collect()
}

#[test]
fn what_is_sent_every_so_often_does_not_drift_and_ends_when_it_is_cancelled() {
    struct Own(Clock);
    impl Actor for Own {
        fn started(&mut self, cx: &mut Context<Self>) {
            let me = cx.address();
            // Rounded up to milliseconds one by one it would be 2, 4, 6, 8 ...
            self.0.timer = Some(cx.every(Duration::from_micros(1500), me, Tick).expect("timers are left"));
        }
    }
    impl Handler<Tick> for Own {
        type Reply = ();
        fn handle(&mut self, _: Tick, cx: &mut Context<Self>) {
            self.0.book.note((cx.now().as_nanos() / 1_000_000).to_string());
            self.0.left -= 1;
            if self.0.left == 0 {
                assert!(self.0.timer.is_some_and(|timer| cx.cancel(timer)));
            }
        }
    }
    let book = Book::default();
    let theirs = book.clone();
    let world = world_after(move |cx| {
        cx.spawn(Own(Clock { left: 9, ..clock(&theirs) })).expect("there is a slot");
    });
    let moments = moments(&book);
    assert_eq!(moments.len(), 9, "no more after it was cancelled");
    assert_eq!(moments[8], 12, "eight times 1.5 ms after the first: {moments:?}");
    world.shut_down();
}

#[test]
fn it_ends_with_who_wanted_it_and_with_who_gets_it() {
    struct Owner(Address<Clock>);
    impl Actor for Owner {
        fn started(&mut self, cx: &mut Context<Self>) {
            cx.every(PERIOD, self.0, Tick).expect("timers are left");
        }
    }
    impl Handler<Leave> for Owner {
        type Reply = ();
        fn handle(&mut self, _: Leave, cx: &mut Context<Self>) {
            cx.stop();
        }
    }
    // With one timer for the taking, a second one shows that the first has given its place back.
    for owner_leaves in [true, false] {
        let book = Book::default();
        let theirs = book.clone();
        let world = world_with(
            |config| config.timers_max = 2,
            move |cx| {
                let clock = cx.spawn(clock(&theirs)).expect("there is a slot");
                let owner = cx.spawn(Owner(clock)).expect("there is a slot");
                let later = Duration::from_millis(35);
                if owner_leaves {
                    cx.after(later, owner, Leave).expect("timers are left");
                } else {
                    cx.after(later, clock, Leave).expect("timers are left");
                }
                let me = cx.address();
                assert!(cx.after(later, me, Check).is_err(), "both timers are taken");
            },
        );
        assert_eq!(moments(&book), [0, 10, 20], "owner leaves: {owner_leaves}");
        world.shut_down();
    }
}

struct Check;
impl Handler<Check> for super::Host {
    type Reply = ();
    fn handle(&mut self, _: Check, _: &mut Context<Self>) {}
}

#[test]
fn a_clone_that_panics_ends_it() {
    struct Fragile(Book);
    impl Clone for Fragile {
        fn clone(&self) -> Self {
            self.0.note("cloned");
            panic!("on purpose");
        }
    }
    impl Handler<Fragile> for Clock {
        type Reply = ();
        fn handle(&mut self, _: Fragile, _: &mut Context<Self>) {}
    }
    let book = Book::default();
    let theirs = book.clone();
    let world = world_after(move |cx| {
        let clock = cx.spawn(clock(&theirs)).expect("there is a slot");
        cx.every(PERIOD, clock, Fragile(theirs)).expect("timers are left");
    });
    assert_eq!(book.take(), ["cloned"], "once, and not again after 10 ms");
    world.shut_down_after_panics(1);
}

#[test]
fn a_mailbox_that_is_full_misses_some() {
    struct Busy;
    impl Actor for Busy {
        const MAILBOX_SLOTS: Option<u32> = Some(2);
        fn started(&mut self, cx: &mut Context<Self>) {
            let me = cx.address();
            cx.every(PERIOD, me, Tick).expect("timers are left");
            // Its mail waits until this one has fired often enough.
            let (keep, gate) = flume::bounded::<()>(1);
            cx.wait(gate.into_recv_async(), |_, _, cx| cx.stop()).expect("there is room");
            std::mem::forget(keep);
        }
    }
    impl Handler<Tick> for Busy {
        type Reply = ();
        fn handle(&mut self, _: Tick, _: &mut Context<Self>) {}
    }
    let mut world = world_after(|cx| {
        cx.spawn(Busy).expect("there is a slot");
    });
    world.run_for(1000);
    let refused = world.stats().refused;
    assert!((100..=110).contains(&refused), "{refused} of some 109 found no room");
    world.shut_down();
}
