//! What comes first in a mailbox, and what it does when it is full.

use super::{Book, world_after, world_with};
use corewire::actor::{LOW_WAITS, Overflow, Priority};
use corewire::prelude::*;
use proptest::prelude::*;

/// A number, and of what it is the latest.
struct Note {
    number: u32,
    key: Option<u64>,
}

fn note(number: u32) -> Note {
    Note { number, key: None }
}

/// Has a mailbox of four, with one policy or another, and writes down what gets through.
struct Refusing(Book);
struct Oldest(Book);
struct Newest(Book);
struct Latest(Book);

macro_rules! writes_down {
    ($($name:ident: $overflow:ident),*) => {$(
        impl Actor for $name {
            const MAILBOX_SLOTS: Option<u32> = Some(4);
            const OVERFLOW: Overflow = Overflow::$overflow;
        }
        impl Handler<Note> for $name {
            type Reply = u32;
            fn handle(&mut self, note: Note, _: &mut Context<Self>) -> u32 {
                self.0.note(note.number.to_string());
                note.number
            }
            fn key(note: &Note) -> Option<u64> {
                note.key
            }
        }
    )*};
}

writes_down!(Refusing: Refuse, Oldest: DropOldest, Newest: DropNewest, Latest: KeepLatest);

/// What an actor made by `make` handles of `notes`, sent at once; how many of those came back, and how many were dropped.
fn check_overflow<A: Handler<Note>>(
    make: fn(Book) -> A,
    notes: Vec<(Priority, Note)>,
    handled: &[&str],
    refused: usize,
) {
    let book = Book::default();
    let theirs = book.clone();
    let sent = notes.len();
    let mut world = world_after(move |cx| {
        let actor = cx.spawn(make(theirs)).expect("there is a slot");
        let mut back = 0;
        for (priority, note) in notes {
            match cx.send_at(priority, actor, note) {
                Ok(()) => {}
                Err(SendError::Full(_)) => back += 1,
                Err(SendError::Gone(_)) => unreachable!("it is there"),
            }
        }
        assert_eq!(back, refused);
    });
    assert_eq!(book.take(), handled);
    assert_eq!(world.stats().dropped as usize, sent - refused - handled.len());
    world.shut_down();
}

fn normal(numbers: std::ops::RangeInclusive<u32>) -> Vec<(Priority, Note)> {
    numbers.map(|number| (Priority::Normal, note(number))).collect()
}

#[test]
fn a_full_mailbox_refuses() {
    check_overflow(Refusing, normal(1..=6), &["1", "2", "3", "4"], 2);
}

#[test]
fn a_full_mailbox_drops_the_oldest_of_the_lowest_priority() {
    check_overflow(Oldest, normal(1..=6), &["3", "4", "5", "6"], 0);
    use Priority::{Critical, High, Low, Normal};
    let mixed = [(High, 1), (Normal, 2), (Low, 3), (Low, 4), (Normal, 5), (Critical, 6), (High, 7)];
    let notes = mixed.map(|(priority, number)| (priority, note(number)));
    // 5 is there instead of 3, 6 instead of 4, 7 instead of 2.
    check_overflow(Oldest, notes.into(), &["6", "1", "7", "5"], 0);
    // A newcomer that is lower than all that waits is the lowest itself.
    let notes = [(High, 1), (High, 2), (High, 3), (High, 4), (Normal, 5)];
    let notes = notes.map(|(priority, number)| (priority, note(number)));
    check_overflow(Oldest, notes.into(), &["1", "2", "3", "4"], 0);
}

#[test]
fn a_full_mailbox_drops_the_newest() {
    check_overflow(Newest, normal(1..=6), &["1", "2", "3", "4"], 0);
}

#[test]
fn a_mailbox_keeps_the_latest_of_each_key_in_the_place_of_the_first() {
    let keyed = |number, key| (Priority::Normal, Note { number, key: Some(key) });
    let notes = vec![keyed(1, 7), keyed(2, 8), keyed(3, 7), keyed(4, 9), keyed(5, 8)];
    check_overflow(Latest, notes, &["3", "5", "4"], 0);
    // Full of other keys, or of what has none, it refuses; but what has a place finds it.
    let notes = vec![keyed(1, 1), keyed(2, 2), (Priority::Normal, note(3)), (Priority::Normal, note(4))];
    let more = vec![(Priority::Normal, note(5)), keyed(6, 3), keyed(7, 1)];
    check_overflow(Latest, notes.into_iter().chain(more).collect(), &["7", "2", "3", "4"], 2);
    // Priorities do not take each other's place.
    let notes = vec![keyed(1, 7), (Priority::Low, Note { number: 2, key: Some(7) }), keyed(3, 7)];
    check_overflow(Latest, notes, &["3", "2"], 0);
}

#[test]
fn a_key_that_was_handled_takes_a_new_place() {
    let book = Book::default();
    let theirs = book.clone();
    let mut world = world_after(move |cx| {
        let latest = cx.spawn(Latest(theirs)).expect("there is a slot");
        let me = cx.address();
        for number in 1..=3 {
            cx.send(latest, Note { number, key: Some(7) }).expect("the same key has a place");
        }
        cx.after(std::time::Duration::from_millis(10), me, Again(latest)).expect("a shard has timers left");
    });
    assert_eq!((book.take(), world.stats().dropped), (vec!["3".into(), "4".into()], 2));
    world.shut_down();
}

struct Again(Address<Latest>);
impl Handler<Again> for super::Host {
    type Reply = ();
    fn handle(&mut self, Again(latest): Again, cx: &mut Context<Self>) {
        cx.send(latest, Note { number: 4, key: Some(7) }).expect("it waits for nothing");
    }
}

#[test]
fn a_question_that_is_dropped_is_answered_so() {
    let book = Book::default();
    let theirs = book.clone();
    let world = world_after(move |cx| {
        let oldest = cx.spawn(Oldest(Book::default())).expect("there is a slot");
        let newest = cx.spawn(Newest(Book::default())).expect("there is a slot");
        let latest = cx.spawn(Latest(Book::default())).expect("there is a slot");
        let hear = |name: &'static str| {
            let theirs = theirs.clone();
            move |_: &mut super::Host, answer: Result<u32, AskError>, _: &mut Context<super::Host>| {
                theirs.note(format!("{name} {answer:?}"));
            }
        };
        for number in 1..=5 {
            cx.ask(oldest, note(number)).then(hear("oldest")).expect("it drops rather than refuse");
            cx.ask(newest, note(number)).then(hear("newest")).expect("it drops rather than refuse");
        }
        for number in 1..=2 {
            let note = Note { number, key: Some(0) };
            cx.ask(latest, note).then(hear("latest")).expect("the same key has a place");
        }
    });
    let mut heard = book.take();
    heard.sort();
    let expected = [
        "latest Err(Dropped)",
        "latest Ok(2)",
        "newest Err(Dropped)",
        "newest Ok(1)",
        "newest Ok(2)",
        "newest Ok(3)",
        "newest Ok(4)",
        "oldest Err(Dropped)",
        "oldest Ok(2)",
        "oldest Ok(3)",
        "oldest Ok(4)",
        "oldest Ok(5)",
    ];
    assert_eq!(heard, expected);
    world.shut_down();
}

/// With room for all, and a mailbox of the shard's size.
struct Patient(Book);
impl Actor for Patient {}
impl Handler<Note> for Patient {
    type Reply = ();
    fn handle(&mut self, note: Note, _: &mut Context<Self>) {
        self.0.note(note.number.to_string());
    }
}

#[test]
fn what_is_more_urgent_is_handled_first_and_the_rest_in_order() {
    let book = Book::default();
    let theirs = book.clone();
    let world = world_after(move |cx| {
        let patient = cx.spawn(Patient(theirs)).expect("there is a slot");
        use Priority::{Critical, High, Low, Normal};
        let priorities = [Low, Normal, High, Critical, Low, Normal, High, Critical];
        for (number, priority) in (1..).zip(priorities) {
            cx.send_at(priority, patient, note(number)).expect("there is room");
        }
    });
    assert_eq!(book.take(), ["4", "8", "3", "7", "2", "6", "1", "5"]);
    world.shut_down();
}

#[test]
fn the_shards_mail_has_a_bound_and_each_policy_an_answer_to_it() {
    let book = Book::default();
    let theirs = book.clone();
    let mut world = world_with(
        |config| config.mail_slots = 4,
        move |cx| {
            let hog = cx.spawn(Patient(Book::default())).expect("there is a slot");
            let oldest = cx.spawn(Oldest(theirs.clone())).expect("there is a slot");
            let newest = cx.spawn(Newest(theirs.clone())).expect("there is a slot");
            let latest = cx.spawn(Latest(theirs)).expect("there is a slot");
            cx.send(oldest, note(1)).expect("there is room");
            for number in 2..=4 {
                cx.send(hog, note(number)).expect("there is room");
            }
            assert!(cx.send(hog, note(5)).is_err(), "the store is full");
            cx.send(oldest, note(6)).expect("it gives up one of its own");
            cx.send(newest, note(7)).expect("it is dropped");
            assert!(cx.send(latest, note(8)).is_err(), "others have filled the store");
        },
    );
    assert_eq!((book.take(), world.stats().dropped), (vec!["6".into()], 2));
    world.shut_down();
}

proptest! {
    /// Whatever is sent: within a priority in order, nothing before what is more urgent and waited already, but that the
    /// first LOW is handled after at most `LOW_WAITS` others.
    #[test]
    fn low_is_never_starved_and_nothing_else_waits_for_less(
        priorities in proptest::collection::vec(0..4u8, 0..300)
    ) {
        let priorities: Vec<Priority> = priorities
            .into_iter()
            .map(|n| [Priority::Low, Priority::Normal, Priority::High, Priority::Critical][usize::from(n)])
            .collect();
        let book = Book::default();
        let (theirs, sent) = (book.clone(), priorities.clone());
        let world = world_after(move |cx| {
            let patient = cx.spawn(Patient(theirs)).expect("there is a slot");
            for (number, &priority) in (0..).zip(&sent) {
                cx.send_at(priority, patient, note(number)).expect("there is room");
            }
        });
        world.shut_down();
        let handled: Vec<usize> = book.take().iter().map(|number| number.parse().unwrap()).collect();
        prop_assert_eq!(handled.len(), priorities.len());
        let mut waiting: Vec<usize> = (0..priorities.len()).collect();
        let mut passed = 0;
        for number in handled {
            let low_waits = waiting.iter().any(|&number| priorities[number] == Priority::Low);
            let due = low_waits && passed == LOW_WAITS;
            let priority = if due {
                Priority::Low
            } else {
                waiting.iter().map(|&number| priorities[number]).max().unwrap()
            };
            let first = waiting.iter().position(|&number| priorities[number] == priority).unwrap();
            prop_assert_eq!(waiting.remove(first), number);
            passed = if low_waits && priority != Priority::Low { passed + 1 } else { 0 };
        }
    }
}

/// Keeps the latest of each key, and panics when it is asked for one.
struct Touchy(Book);
struct Odd;

impl Actor for Touchy {
    const OVERFLOW: Overflow = Overflow::KeepLatest;
}
impl Handler<Odd> for Touchy {
    type Reply = ();
    fn handle(&mut self, _: Odd, _: &mut Context<Self>) {
        self.0.note("handled");
    }
    fn key(_: &Odd) -> Option<u64> {
        panic!("on purpose");
    }
}

#[test]
fn a_key_that_panics_costs_nobody_anything() {
    let book = Book::default();
    let theirs = book.clone();
    let mut world = world_after(move |cx| {
        let touchy = cx.spawn(Touchy(theirs)).expect("there is a slot");
        for _ in 0..2 {
            cx.send(touchy, Odd).expect("there is room");
        }
    });
    world.run_for(10);
    assert_eq!(book.take(), ["handled", "handled"]);
    world.shut_down();
}
