//! Sending to those whose type is not known, and to many.

use super::{Book, world_after, world_with};
use corewire::actor::{Recipient, To};
use corewire::prelude::*;
use std::collections::HashSet;

#[derive(Clone, Debug)]
struct Word(&'static str);

struct Tall(Book);
struct Short(Book);

impl Actor for Tall {}
impl Handler<Word> for Tall {
    type Reply = ();
    fn handle(&mut self, Word(word): Word, _: &mut Context<Self>) {
        self.0.note(word.to_uppercase());
    }
}

impl Actor for Short {}
impl Handler<Word> for Short {
    type Reply = usize;
    fn handle(&mut self, Word(word): Word, cx: &mut Context<Self>) -> usize {
        self.0.note(word);
        if word == "leave" {
            cx.stop();
        }
        word.len()
    }
}

#[test]
fn a_recipient_is_whoever_handles_the_message_whatever_it_answers() {
    let book = Book::default();
    let theirs = book.clone();
    let world = world_after(move |cx| {
        let tall = cx.spawn(Tall(theirs.clone())).expect("there is a slot");
        let short = cx.spawn(Short(theirs)).expect("there is a slot");
        let all: [Recipient<Word>; 2] = [tall.recipient(), short.into()];
        assert_eq!((all[0].id(), all[1].id()), (tall.id(), short.id()));
        let known: HashSet<_> = all.into_iter().chain(all).collect();
        assert_eq!(known.len(), 2, "two recipients of the same actor are the same");
        for recipient in all {
            cx.send(recipient, Word("hello")).expect("there is room");
        }
        assert_eq!(cx.send_to_many([tall], Word("high")), 0);
    });
    assert_eq!(book.take(), ["HELLO", "HIGH", "hello"]);
    world.shut_down();
}

#[test]
fn a_message_to_many_tells_how_many_it_did_not_reach() {
    let book = Book::default();
    let theirs = book.clone();
    let world = world_with(
        |config| config.mailbox_slots = 2,
        move |cx| {
            let quiet = cx.spawn(Short(theirs.clone())).expect("there is a slot");
            let full = cx.spawn(Short(theirs)).expect("there is a slot");
            for _ in 0..2 {
                cx.send(full, Word("leave")).expect("there is room for two");
            }
            assert_eq!(cx.send_to_many([quiet, full, quiet, full, full], Word("hi")), 3);
            assert_eq!(cx.send_to_many([quiet; 0], Word("nobody")), 0);
        },
    );
    assert_eq!(book.take(), ["leave", "hi", "hi"]);
    world.shut_down();
}

#[test]
fn addresses_and_recipients_are_what_they_are_said_to_cost() {
    assert_eq!(size_of::<Address<Tall>>(), 16);
    assert_eq!(size_of::<Recipient<Word>>(), 24);
    fn check_sent_from_anywhere<T: To<Word> + Send + Sync>() {}
    check_sent_from_anywhere::<Address<Tall>>();
    check_sent_from_anywhere::<Recipient<Word>>();
}
