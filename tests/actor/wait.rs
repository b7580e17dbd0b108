//! Actors that wait for something, and lose nothing by it: neither their turn nor their end.

use super::{Book, later, world_after, world_with};
use corewire::prelude::*;
use corewire::shard::on_reactor;
use std::future::ready;

/// Notes what it handles.
struct Part {
    name: &'static str,
    book: Book,
    begin: fn(&mut Context<Part>),
}

struct Say(&'static str);
struct Stop;

impl Actor for Part {
    fn started(&mut self, cx: &mut Context<Self>) {
        (self.begin)(cx);
    }

    fn stopping(&mut self, _: &mut Context<Self>) -> Stopping {
        Stopping::AfterMail
    }

    fn stopped(&mut self, reason: &Reason, _: &mut Context<Self>) {
        self.book.note(format!("{} stopped: {reason:?}", self.name));
    }
}

impl Handler<Say> for Part {
    type Reply = ();
    fn handle(&mut self, Say(what): Say, cx: &mut Context<Self>) {
        self.book.note(format!("{} {what}", self.name));
        if what == "waits" {
            let soon = later(10, cx);
            let waited = cx.wait(soon, |part: &mut Self, (), _| part.book.note("it has waited"));
            waited.expect("there is room");
        }
    }
}

impl Handler<Stop> for Part {
    type Reply = ();
    fn handle(&mut self, _: Stop, cx: &mut Context<Self>) {
        cx.stop();
    }
}

#[test]
fn who_waits_while_its_mail_is_in_turn_has_one_turn_like_the_others_after() {
    let book = Book::default();
    let theirs = book.clone();
    let world = world_with(
        |config| config.batch = 1, // four messages a turn, all of one actor
        move |cx| {
            for name in ["b", "c", "d", "e", "a"] {
                let begin = if name == "a" { waits_three_times } else { |_: &mut Context<Part>| () };
                let part = cx.spawn(Part { name, book: theirs.clone(), begin }).expect("there is a slot");
                (0..40).for_each(|_| cx.send(part, Say("")).expect("there is room"));
            }
        },
    );
    let mut handled = [0_i32; 5];
    for line in book.take() {
        handled[usize::from(line.as_bytes()[0] - b'a')] += 1;
        let others = handled[1..].iter().min().expect("there are four");
        assert!(handled[0] <= others + 4, "more than its share: {handled:?}");
    }
    assert_eq!(handled, [40; 5]);
    world.shut_down();
}

/// Outside of its turn.
fn waits_three_times(cx: &mut Context<Part>) {
    fn wait(left: u32, cx: &mut Context<Part>) {
        if left > 0 {
            cx.wait(ready(()), move |_, (), cx| wait(left - 1, cx)).expect("there is room");
        }
    }
    cx.pipe(ready(()), |_, (), cx| wait(3, cx)).expect("there is room");
}

#[test]
fn a_slot_whose_actor_ended_before_its_turn_has_one_turn_under_the_next() {
    let book = Book::default();
    let theirs = book.clone();
    let world = world_with(
        |config| config.batch = 1,
        move |cx| {
            let part = move |name, cx: &mut Context<super::Host>| {
                let begin = |_: &mut Context<Part>| ();
                let part = cx.spawn(Part { name, book: theirs.clone(), begin }).expect("there is a slot");
                (0..40).for_each(|_| cx.send(part, Say("")).expect("there is room"));
            };
            part("b", cx);
            part("c", cx);
            // It has mail, and is over before it has its turn.
            let mayfly = cx.spawn(Mayfly).expect("there is a slot");
            cx.send(mayfly, Say("")).expect("there is room");
            assert!(cx.send(mayfly, Say("")).is_ok());
            let over = cx.pipe(ready(()), move |_, (), cx| part("a", cx));
            over.expect("there is room");
        },
    );
    let mut handled = [0_i32; 3];
    for line in book.take() {
        handled[usize::from(line.as_bytes()[0] - b'a')] += 1;
        assert!(handled[0] <= handled[2] + 4, "more than its share: {handled:?}");
    }
    assert_eq!(handled, [40; 3]);
    world.shut_down();
}

/// Ends by its first future.
struct Mayfly;
impl Actor for Mayfly {
    fn started(&mut self, cx: &mut Context<Self>) {
        cx.pipe(ready(()), |_, (), cx| cx.stop()).expect("there is room");
    }
}
impl Handler<Say> for Mayfly {
    type Reply = ();
    fn handle(&mut self, _: Say, _: &mut Context<Self>) {}
}

#[test]
fn who_stops_after_its_mail_ends_when_what_its_last_message_waits_for_is_done() {
    let book = Book::default();
    let theirs = book.clone();
    let world = world_after(move |cx| {
        let part = Part { name: "a", book: theirs, begin: |_| () };
        let part = cx.spawn(part).expect("there is a slot");
        cx.send(part, Stop).expect("there is room");
        cx.send(part, Say("waits")).expect("there is room");
    });
    assert_eq!(book.take(), ["a waits", "it has waited", "a stopped: Stopped"]);
    world.shut_down();
}

#[test]
fn who_waits_and_stops_after_its_mail_in_one_go_has_what_it_waits_for_first() {
    let book = Book::default();
    let theirs = book.clone();
    let world = world_after(move |cx| {
        let begin = |cx: &mut Context<Part>| {
            let soon = later(10, cx);
            cx.wait(soon, |part: &mut Part, (), _| part.book.note("it has waited")).expect("there is room");
            cx.stop();
        };
        cx.spawn(Part { name: "a", book: theirs, begin }).expect("there is a slot");
    });
    assert_eq!(book.take(), ["it has waited", "a stopped: Stopped"]);
    world.shut_down();
}

/// Notes how another ends.
struct Witness(Address<Part>, Book);
impl Actor for Witness {
    fn started(&mut self, cx: &mut Context<Self>) {
        cx.watch(self.0).expect("there is room");
    }
}
impl Handler<Down> for Witness {
    type Reply = ();
    fn handle(&mut self, down: Down, _: &mut Context<Self>) {
        self.1.note(down.reason.to_string());
    }
}

#[test]
fn a_future_that_needs_glommio_says_in_the_simulator_that_there_is_none() {
    let book = Book::default();
    let theirs = book.clone();
    let world = world_after(move |cx| {
        let begin = |cx: &mut Context<Part>| {
            cx.pipe(on_reactor(ready(())), |_, (), _| ()).expect("there is room");
        };
        let part = Part { name: "a", book: Book::default(), begin };
        let part = cx.spawn(part).expect("there is a slot");
        cx.spawn(Witness(part, theirs)).expect("there is a slot");
    });
    let noted = book.take();
    assert_eq!(noted.len(), 1, "{noted:?}");
    for said in ["it panicked", "glommio", "`on_reactor`", "not the simulator"] {
        assert!(noted[0].contains(said), "{said}: {noted:?}");
    }
    world.shut_down_after_panics(1);
}
