//! How an actor begins and ends.

use super::{Book, world_after, world_with};
use corewire::actor::{Handler, Overflow};
use corewire::prelude::*;
use std::time::Duration;

/// Notes all that happens to it.
struct Diarist {
    book: Book,
    stopping: Stopping,
}

struct Line(u32);
struct Enough;

impl Actor for Diarist {
    fn started(&mut self, _: &mut Context<Self>) {
        self.book.note("started");
    }

    fn stopping(&mut self, cx: &mut Context<Self>) -> Stopping {
        self.book.note("stopping");
        if self.stopping == Stopping::AfterMail {
            let me = cx.address();
            assert!(cx.send(me, Line(99)).is_ok(), "until it has said what is to be, it takes mail");
        }
        self.stopping
    }

    fn stopped(&mut self, reason: &Reason, cx: &mut Context<Self>) {
        self.book.note(format!("stopped: {reason:?}"));
        let me = cx.address();
        assert!(matches!(cx.send(me, Line(100)), Ok(()) | Err(SendError::Gone(_))));
    }
}

impl Handler<Line> for Diarist {
    type Reply = ();
    fn handle(&mut self, Line(number): Line, cx: &mut Context<Self>) {
        self.book.note(format!("line {number}"));
        if number == 99 {
            let me = cx.address();
            assert!(matches!(cx.send(me, Line(98)), Err(SendError::Gone(Line(98)))));
            cx.stop(); // once more changes nothing
        }
    }
}

impl Handler<Enough> for Diarist {
    type Reply = ();
    fn handle(&mut self, _: Enough, cx: &mut Context<Self>) {
        self.book.note("enough");
        cx.stop();
    }
}

fn check_end(stopping: Stopping, expected: &[&str]) {
    let book = Book::default();
    let theirs = book.clone();
    let world = world_after(move |cx| {
        let diarist = cx.spawn(Diarist { book: theirs, stopping }).expect("there is a slot");
        cx.send(diarist, Line(1)).expect("there is room");
        cx.send(diarist, Enough).expect("there is room");
        cx.send(diarist, Line(2)).expect("there is room");
    });
    world.shut_down();
    assert_eq!(book.take(), expected);
}

#[test]
fn who_stops_at_once_leaves_what_waits() {
    check_end(Stopping::Now, &["started", "line 1", "enough", "stopping", "stopped: Stopped"]);
}

#[test]
fn who_stops_after_its_mail_handles_what_it_accepted_and_nothing_more() {
    check_end(
        Stopping::AfterMail,
        &["started", "line 1", "enough", "stopping", "line 2", "line 99", "stopped: Stopped"],
    );
}

#[test]
fn the_end_of_the_server_is_a_reason_and_mail_is_handled_before_it() {
    for (stopping, expected) in [
        (Stopping::Now, &["started", "line 1", "stopping", "stopped: Shutdown"] as &[&str]),
        (Stopping::AfterMail, &["started", "line 1", "stopping", "line 99", "stopped: Shutdown"]),
    ] {
        let book = Book::default();
        let theirs = book.clone();
        let world = world_after(move |cx| {
            let diarist = cx.spawn(Diarist { book: theirs, stopping }).expect("there is a slot");
            cx.send(diarist, Line(1)).expect("there is room");
        });
        world.shut_down();
        assert_eq!(book.take(), expected);
    }
}

/// Takes its time over what it accepted: every line brings another, by a timer, which finds nobody.
struct Slow(Book);

impl Actor for Slow {
    fn stopped(&mut self, _: &Reason, _: &mut Context<Self>) {
        self.0.note("stopped");
    }
}

impl Handler<Line> for Slow {
    type Reply = ();
    fn handle(&mut self, Line(number): Line, cx: &mut Context<Self>) {
        self.0.note(format!("line {number}"));
        let me = cx.address();
        cx.after(Duration::from_millis(1), me, Line(number + 1)).expect("a shard has timers left");
        cx.stop();
    }
}

#[test]
fn what_a_timer_brings_after_the_end_is_counted_as_refused() {
    let book = Book::default();
    let theirs = book.clone();
    let mut world = world_after(move |cx| {
        let slow = cx.spawn(Slow(theirs)).expect("there is a slot");
        cx.send(slow, Line(1)).expect("there is room");
    });
    assert_eq!(world.stats().refused, 1);
    world.shut_down();
    assert_eq!(book.take(), ["line 1", "stopped"]);
}

/// Breaks at the first line.
struct Fragile(Book);

impl Actor for Fragile {
    fn stopped(&mut self, _: &Reason, _: &mut Context<Self>) {
        self.0.note("stopped");
    }
}

impl Handler<Line> for Fragile {
    type Reply = ();
    fn handle(&mut self, _: Line, _: &mut Context<Self>) {
        panic!("on purpose");
    }
}

#[test]
fn who_panics_is_gone_without_a_word_and_nobody_else() {
    let book = Book::default();
    let (theirs, others) = (book.clone(), book.clone());
    let mut world = world_after(move |cx| {
        let fragile = cx.spawn(Fragile(theirs)).expect("there is a slot");
        let diarist = cx.spawn(Diarist { book: others, stopping: Stopping::Now }).expect("there is a slot");
        cx.send(fragile, Line(1)).expect("there is room");
        cx.send(fragile, Line(2)).expect("there is room");
        cx.send(diarist, Line(3)).expect("there is room");
    });
    assert_eq!((world.stats().panics, world.stats().refused), (1, 1));
    assert_eq!(book.take(), ["started", "line 3"]);
    world.shut_down_after_panics(1);
}

/// Ends when it has handled its mail, and waits for what never comes.
struct Patient;

impl Actor for Patient {
    fn started(&mut self, cx: &mut Context<Self>) {
        let me = cx.address();
        cx.send(me, Line(1)).expect("there is room");
        cx.wait(std::future::pending::<()>(), |_, (), _| ()).expect("there is room");
    }

    fn stopping(&mut self, _: &mut Context<Self>) -> Stopping {
        Stopping::AfterMail
    }
}

impl Handler<Line> for Patient {
    type Reply = ();
    fn handle(&mut self, _: Line, _: &mut Context<Self>) {
        unreachable!("it waits");
    }
}

#[test]
fn a_server_that_waits_for_who_is_left_sleeps_meanwhile() {
    let mut world = world_after(|cx| {
        cx.spawn(Patient).expect("there is a slot");
    });
    world.drain();
    world.run_for(1000);
    let before = world.turns();
    world.run_for(3000);
    let turns = world.turns() - before;
    assert!(turns < 100, "{turns} turns in three seconds in which nothing can be done");
    world.shut_down();
}

/// Sets an alarm for itself that it does not live to hear.
struct Mayfly;

impl Actor for Mayfly {
    fn started(&mut self, cx: &mut Context<Self>) {
        let me = cx.address();
        cx.after(Duration::from_secs(3600), me, Enough).expect("the dead leave their timers to others");
        cx.stop();
    }
}

impl Handler<Enough> for Mayfly {
    type Reply = ();
    fn handle(&mut self, _: Enough, _: &mut Context<Self>) {
        unreachable!("it is over");
    }
}

/// Starts one of those each millisecond.
struct River;
struct Flow(u32);

impl Actor for River {}
impl Handler<Flow> for River {
    type Reply = ();
    fn handle(&mut self, Flow(left): Flow, cx: &mut Context<Self>) {
        cx.spawn(Mayfly).expect("there is a slot");
        if left > 0 {
            let me = cx.address();
            cx.after(Duration::from_millis(1), me, Flow(left - 1)).expect("there is a timer");
        }
    }
}

#[test]
fn timers_of_the_dead_are_there_for_others() {
    let mut world = world_with(
        |config| config.timers_max = 4,
        |cx| {
            let river = cx.spawn(River).expect("there is a slot");
            cx.send(river, Flow(50)).expect("there is room");
        },
    );
    world.run_for(200);
    world.shut_down();
}

/// Panics once more where what was panicked with is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("and again");
    }
}

fn explode() {
    std::panic::panic_any(Bomb);
}

/// Breaks where it is told to.
struct Mine(&'static str);

impl Actor for Mine {
    const OVERFLOW: Overflow = Overflow::KeepLatest;

    fn started(&mut self, cx: &mut Context<Self>) {
        match self.0 {
            "future" => drop(cx.pipe(async { explode() }, |_, (), _| ())),
            "job" => drop(cx.work(explode).then(|_, result, _| assert!(result.is_err()))),
            "probe" => cx
                .register_probe("mine", |_| {
                    explode();
                    0
                })
                .expect("there is room"),
            "end" => cx.stop(),
            _ => {}
        }
    }
}

impl Drop for Mine {
    fn drop(&mut self) {
        if self.0 == "end" {
            explode();
        }
    }
}

impl Handler<Line> for Mine {
    type Reply = u32;
    fn handle(&mut self, Line(number): Line, _: &mut Context<Self>) -> u32 {
        if self.0 == "handler" {
            explode();
        }
        number
    }

    fn key(_: &Line) -> Option<u64> {
        explode();
        None
    }
}

#[test]
fn what_a_panic_leaves_may_panic_too_and_costs_nobody_else_anything() {
    let mut world = world_after(|cx| {
        for place in ["future", "job", "probe", "end", "handler", "key"] {
            let mine = cx.spawn(Mine(place)).expect("there is a slot");
            if place == "handler" || place == "key" {
                cx.send(mine, Line(1)).expect("there is room");
            }
        }
    });
    world.run_for(60_000);
    let mut looked = world.outside().stats();
    world.run_for(10);
    assert!(looked.ready().is_some_and(|looked| looked.is_ok()), "all others go on");
    world.run_for(60_000);
    world.shut_down_after_panics(4); // a job's is its actor's to hear, and a key's is said in the log
}
