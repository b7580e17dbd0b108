//! Many messages of one type for one actor are handled in one go, and nobody sees that.

use super::{Book, later, world_after};
use corewire::actor::Priority;
use corewire::prelude::*;

/// Notes what it handles, and does what it is told at some of it.
struct Reader {
    name: &'static str,
    book: Book,
    at_three: fn(&mut Context<Self>),
    ends: Stopping,
}

struct Page(u32);
struct Other;

impl Actor for Reader {
    fn stopping(&mut self, _: &mut Context<Self>) -> Stopping {
        self.ends
    }

    fn stopped(&mut self, _: &Reason, _: &mut Context<Self>) {
        self.book.note("stopped");
    }
}

impl Handler<Page> for Reader {
    type Reply = u32;
    fn handle(&mut self, Page(number): Page, cx: &mut Context<Self>) -> u32 {
        self.book.note(format!("{}{number}", self.name));
        if number == 3 {
            (self.at_three)(cx);
        }
        number
    }
}

impl Handler<Other> for Reader {
    type Reply = ();
    fn handle(&mut self, _: Other, _: &mut Context<Self>) {
        self.book.note("other");
    }
}

/// What is handled of five pages by one who does this at the third.
fn five_pages(at_three: fn(&mut Context<Reader>), ends: Stopping) -> (Vec<String>, u64) {
    let book = Book::default();
    let theirs = book.clone();
    let mut world = world_after(move |cx| {
        let reader = cx.spawn(Reader { name: "", book: theirs, at_three, ends }).expect("there is a slot");
        (1..=5).for_each(|number| cx.send(reader, Page(number)).expect("there is room"));
    });
    let handled = world.stats().handled;
    world.shut_down();
    (book.take(), handled)
}

#[test]
fn who_waits_at_one_of_many_messages_handles_the_next_when_it_has_waited() {
    let waits = |cx: &mut Context<Reader>| {
        let soon = later(10, cx);
        cx.wait(soon, |reader: &mut Reader, (), _| reader.book.note("waited")).expect("there is room");
    };
    let (lines, handled) = five_pages(waits, Stopping::Now);
    assert_eq!(lines[..6], ["1", "2", "3", "waited", "4", "5"]);
    assert_eq!(handled, 6, "five pages, and an alarm");
}

#[test]
fn who_stops_at_one_of_many_messages_handles_no_more_unless_it_stops_after_them() {
    assert_eq!(five_pages(|cx| cx.stop(), Stopping::Now).0, ["1", "2", "3", "stopped"]);
    assert_eq!(five_pages(|cx| cx.stop(), Stopping::AfterMail).0, ["1", "2", "3", "4", "5", "stopped"]);
}

#[test]
fn what_is_more_urgent_comes_before_the_rest_of_many_messages() {
    let urgent = |cx: &mut Context<Reader>| {
        let me = cx.address();
        cx.send(me, Page(6)).expect("there is room");
        cx.send_at(Priority::High, me, Page(7)).expect("there is room");
        cx.send_at(Priority::Low, me, Page(8)).expect("there is room");
    };
    assert_eq!(five_pages(urgent, Stopping::Now).0[..8], ["1", "2", "3", "7", "4", "5", "6", "8"]);
}

#[test]
fn messages_of_other_types_and_questions_are_handled_in_their_order_among_many() {
    let book = Book::default();
    let theirs = book.clone();
    let world = world_after(move |cx| {
        let (at_three, ends) = ((|_| ()) as fn(&mut Context<Reader>), Stopping::Now);
        let reader = Reader { name: "", book: theirs.clone(), at_three, ends };
        let reader = cx.spawn(reader).expect("there is a slot");
        for number in [1, 4] {
            cx.send(reader, Page(number)).expect("there is room");
            let book = theirs.clone();
            let noted = move |_: &mut _, answer: Result<u32, AskError>, _: &mut Context<_>| {
                book.note(format!("answer {}", answer.expect("it answers")));
            };
            cx.ask(reader, Page(number + 1)).then(noted).expect("there is room");
            cx.send(reader, Other).expect("there is room");
            cx.send(reader, Page(number + 2)).expect("there is room");
        }
    });
    let lines = book.take();
    let (answers, rest): (Vec<_>, Vec<_>) = lines.iter().partition(|line| line.starts_with("answer"));
    assert_eq!(rest, ["1", "2", "other", "3", "4", "5", "other", "6"]);
    assert_eq!(answers, ["answer 2", "answer 5"]);
    world.shut_down();
}

#[test]
fn who_panics_at_one_of_many_messages_has_handled_those_before_it_and_none_after() {
    let book = Book::default();
    let theirs = book.clone();
    let mut world = world_after(move |cx| {
        let at_three: fn(&mut Context<Reader>) = |_| panic!("at the third");
        let reader = Reader { name: "", book: theirs.clone(), at_three, ends: Stopping::Now };
        let reader = cx.spawn(reader).expect("there is a slot");
        // The question is answered before the panic, which is nothing to it.
        let noted = move |_: &mut _, answer: Result<u32, AskError>, _: &mut Context<_>| {
            theirs.note(format!("answer {answer:?}"));
        };
        cx.ask(reader, Page(1)).then(noted).expect("there is room");
        (2..=5).for_each(|number| cx.send(reader, Page(number)).expect("there is room"));
    });
    assert_eq!(book.take(), ["1", "2", "3", "answer Ok(1)"]);
    assert_eq!(world.stats().handled, 3);
    world.shut_down_after_panics(1);
}

#[test]
fn who_has_many_messages_has_sixteen_of_them_before_the_next_has_its_turn() {
    let book = Book::default();
    let theirs = book.clone();
    let world = world_after(move |cx| {
        for name in ["a", "b"] {
            let (at_three, ends) = ((|_| ()) as fn(&mut Context<Reader>), Stopping::Now);
            let reader = Reader { name, book: theirs.clone(), at_three, ends };
            let reader = cx.spawn(reader).expect("there is a slot");
            (1..=20).for_each(|number| cx.send(reader, Page(number)).expect("there is room"));
        }
    });
    let names: Vec<_> = book.take().iter().map(|line| line[..1].to_owned()).collect();
    let runs: Vec<_> = names.chunk_by(|one, other| one == other).map(<[String]>::len).collect();
    assert_eq!(runs, [16, 16, 4, 4]);
    world.shut_down();
}
