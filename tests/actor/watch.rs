//! Hearing of each other's end, on one shard; `tests/sim/watches.rs` has the others.

use super::{Book, later, world_after, world_with};
use corewire::actor::{ActorId, Down, WatchesFull};
use corewire::prelude::*;
use corewire::sim::{Client, World};

/// Does what it is told.
struct Player(Book);
struct Stop;
struct Panic;
struct Word(&'static str);

impl Actor for Player {
    fn stopped(&mut self, reason: &Reason, _: &mut Context<Self>) {
        self.0.note(format!("stopped: {reason:?}"));
    }
}

impl Handler<Stop> for Player {
    type Reply = ();
    fn handle(&mut self, _: Stop, cx: &mut Context<Self>) {
        cx.stop();
    }
}

impl Handler<Panic> for Player {
    type Reply = ();
    fn handle(&mut self, _: Panic, _: &mut Context<Self>) {
        panic!("on purpose");
    }
}

type Begin = Box<dyn FnMut(&mut Context<Watcher>)>;

/// Watches, and notes what it hears.
struct Watcher {
    book: Book,
    begin: Begin,
}

impl Watcher {
    fn new(book: &Book, begin: impl FnMut(&mut Context<Self>) + 'static) -> Self {
        Self { book: book.clone(), begin: Box::new(begin) }
    }
}

impl Actor for Watcher {
    fn started(&mut self, cx: &mut Context<Self>) {
        (self.begin)(cx);
    }

    fn stopped(&mut self, reason: &Reason, _: &mut Context<Self>) {
        self.book.note(format!("watcher stopped: {reason:?}"));
    }
}

impl Handler<Down> for Watcher {
    type Reply = ();
    fn handle(&mut self, down: Down, _: &mut Context<Self>) {
        self.book.note(format!("down: {:?}", down.reason));
    }
}

impl Handler<Word> for Watcher {
    type Reply = ();
    fn handle(&mut self, word: Word, _: &mut Context<Self>) {
        self.book.note(word.0);
    }
}

/// What is written when a watcher does `begin` with a player that lives, and then `after` happens to that; and the world.
fn noted(
    begin: fn(Address<Player>, &mut Context<Watcher>),
    after: fn(Address<Player>, Address<Watcher>, &mut Context<super::Host>),
) -> (Vec<String>, World) {
    let book = Book::default();
    let theirs = book.clone();
    let world = world_after(move |cx| {
        let player = cx.spawn(Player(theirs.clone())).expect("there is a slot");
        let watcher = Watcher::new(&theirs, move |cx| begin(player, cx));
        let watcher = cx.spawn(watcher).expect("there is a slot");
        after(player, watcher, cx);
    });
    (book.take(), world)
}

fn watch(player: Address<Player>, cx: &mut Context<Watcher>) {
    cx.watch(player).expect("there is room");
    cx.watch(player).expect("twice is once");
}

#[test]
fn who_watches_is_told_once_that_the_other_stopped() {
    let (noted, world) = noted(watch, |player, _, cx| cx.send(player, Stop).expect("there is room"));
    assert_eq!(noted, ["stopped: Stopped", "down: Stopped"]);
    world.shut_down();
}

#[test]
fn who_watches_is_told_what_the_other_panicked_with() {
    let (noted, world) = noted(watch, |player, _, cx| cx.send(player, Panic).expect("there is room"));
    assert_eq!(noted, [r#"down: Panicked("on purpose")"#]);
    world.shut_down_after_panics(1);
}

#[test]
fn who_watches_somebody_who_is_gone_already_is_told_so() {
    let book = Book::default();
    let theirs = book.clone();
    let world = world_after(move |cx| {
        // It stops in `started`, so it is over before it is watched.
        let mayfly = cx.spawn(Watcher::new(&Book::default(), |cx| cx.stop())).expect("there is a slot");
        let watcher = Watcher::new(&theirs, move |cx| cx.watch(mayfly).expect("there is room"));
        cx.spawn(watcher).expect("there is a slot");
    });
    assert_eq!(book.take(), ["down: Gone"]);
    world.shut_down();
}

#[test]
fn a_watch_that_was_taken_back_tells_nothing() {
    let (noted, world) = noted(
        |player, cx| {
            watch(player, cx);
            assert!(cx.unwatch(player));
            assert!(!cx.unwatch(player), "there is none any more");
        },
        |player, _, cx| cx.send(player, Stop).expect("there is room"),
    );
    assert_eq!(noted, ["stopped: Stopped"]);
    world.shut_down();
}

#[test]
fn an_end_is_told_before_all_mail() {
    let (noted, world) = noted(watch, |player, watcher, cx| {
        cx.send(player, Stop).expect("there is room");
        cx.send(watcher, Word("a word")).expect("there is room");
    });
    assert_eq!(noted, ["stopped: Stopped", "down: Stopped", "a word"]);
    world.shut_down();
}

#[test]
fn who_waits_is_told_when_it_has_waited() {
    let (noted, world) = noted(
        |player, cx| {
            watch(player, cx);
            let me = cx.address();
            let soon = later(10, cx);
            let waited = cx.wait(soon, |watcher: &mut Watcher, (), _| watcher.book.note("waited"));
            waited.expect("there is room");
            cx.send(me, Word("a word")).expect("there is room");
        },
        |player, _, cx| cx.send(player, Stop).expect("there is room"),
    );
    assert_eq!(noted, ["stopped: Stopped", "waited", "down: Stopped", "a word"]);
    world.shut_down();
}

fn link(player: Address<Player>, cx: &mut Context<Watcher>) {
    cx.link(player).expect("there is room");
}

#[test]
fn a_failure_takes_who_is_linked_along_whoever_made_the_link() {
    let (noted, world) = noted(link, |player, _, cx| cx.send(player, Panic).expect("there is room"));
    assert_eq!(noted.len(), 1);
    assert!(noted[0].starts_with("watcher stopped: Linked("), "{noted:?}");
    world.shut_down_after_panics(1);

    let (noted, world) = self::noted(
        |player, cx| {
            link(player, cx);
            panic!("on purpose");
        },
        |_, _, _| (),
    );
    assert_eq!(noted.len(), 1);
    assert!(noted[0].starts_with("stopped: Linked("), "{noted:?}");
    world.shut_down_after_panics(1);
}

#[test]
fn a_link_to_somebody_who_is_gone_is_a_failure() {
    let (noted, world) = noted(
        |_, cx| {
            let mayfly = cx.spawn(Watcher::new(&Book::default(), |cx| cx.stop())).expect("there is a slot");
            cx.link(mayfly).expect("there is room");
        },
        |_, _, _| (),
    );
    assert_eq!(noted.len(), 1);
    assert!(noted[0].starts_with("watcher stopped: Linked("), "{noted:?}");
    world.shut_down();
}

#[test]
fn a_link_does_not_mind_an_end_that_is_no_failure_and_can_be_taken_back() {
    let (noted, world) = noted(link, |player, watcher, cx| {
        cx.send(player, Stop).expect("there is room");
        cx.send(watcher, Word("here")).expect("there is room");
    });
    assert_eq!(noted, ["stopped: Stopped", "here"]);
    world.shut_down();

    let (noted, world) = self::noted(
        |player, cx| {
            link(player, cx);
            assert!(cx.unlink(player));
        },
        |player, watcher, cx| {
            cx.send(player, Panic).expect("there is room");
            cx.send(watcher, Word("here")).expect("there is room");
        },
    );
    assert_eq!(noted, ["here"]);
    world.shut_down_after_panics(1);
}

#[test]
fn there_are_no_more_watches_than_the_shard_may_have() {
    let book = Book::default();
    let theirs = book.clone();
    let world = world_with(
        |config| config.watches_max = 1,
        move |cx| {
            let players = [(); 2].map(|()| cx.spawn(Player(Book::default())).expect("there is a slot"));
            let watcher = Watcher::new(&theirs, move |cx| {
                cx.watch(players[0]).expect("there is room for one");
                assert_eq!(cx.watch(players[1]), Err(WatchesFull));
                cx.unwatch(players[0]);
                cx.watch(players[1]).expect("there is room again");
            });
            cx.spawn(watcher).expect("there is a slot");
            cx.send(players[1], Stop).expect("there is room");
        },
    );
    assert_eq!(book.take(), ["down: Stopped"]);
    world.shut_down();
}

/// A session that is watched by an actor, or linked to one that breaks.
struct Guest {
    book: Book,
    links: bool,
}

impl Session for Guest {
    fn open(&mut self, cx: &mut Context<Self>) -> Result<(), Close> {
        let me: ActorId = cx.address().into();
        let watcher = Watcher::new(&self.book, move |cx| cx.watch(me).expect("there is room"));
        cx.spawn(watcher)?;
        if self.links {
            let player = cx.spawn(Player(self.book.clone()))?;
            cx.link(player).expect("there is room");
            cx.send(player, Panic)?;
        }
        Ok(())
    }

    fn message(&mut self, _: Message, _: &mut Context<Self>) -> Result<(), Close> {
        Ok(())
    }

    fn closed(&mut self, reason: CloseReason, _: &mut Context<Self>) {
        self.book.note(format!("closed: {}", reason.code));
    }
}

#[test]
fn sessions_are_watched_and_linked_too() {
    for links in [false, true] {
        let book = Book::default();
        let theirs = book.clone();
        let mut world = World::new(1).at("/", move |_: &Upgrade| Ok(Guest { book: theirs.clone(), links }));
        let client = if links { Client::at("/") } else { Client::at("/").text("hello").close(1000) };
        let client = world.client(client);
        world.run_for(1000);
        let noted = book.take();
        if links {
            assert_eq!(world.report(client).close_code(), Some(Some(1011)));
            assert_eq!(noted[0], "closed: 1011");
            assert!(noted[1].starts_with("down: Linked("), "{noted:?}");
        } else {
            assert_eq!(noted, ["closed: 1000", "down: Stopped"]);
        }
        world.shut_down_after_panics(u64::from(links));
    }
}
