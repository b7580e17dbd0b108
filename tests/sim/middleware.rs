//! Middleware sees what passes in the order in which it was put there, and what it says becomes of it.

mod limits;

use corewire::connection::middleware::{inbound, outbound};
use corewire::prelude::*;
use corewire::sim::{self, Client, Faults, Heard, World};
use corewire::wire::Kind;
use std::sync::{Arc, Mutex};

/// What happened, in order. One thread runs a world; the lock is for the compiler.
#[derive(Clone, Default)]
struct Book(Arc<Mutex<Vec<String>>>);

impl Book {
    fn note(&self, what: impl Into<String>) {
        self.0.lock().expect("nobody panics with it").push(what.into());
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().expect("nobody panics with it"))
    }
}

/// Notes all that it sees, and passes it on.
struct Watch {
    name: &'static str,
    book: Book,
}

impl Watch {
    fn named(
        name: &'static str,
        book: &Book,
    ) -> impl Fn(&Upgrade<'_>) -> Result<Self, Refusal> + Send + Sync + use<> {
        let book = book.clone();
        move |_| {
            book.note(format!("{name}: upgrade"));
            Ok(Self { name, book: book.clone() })
        }
    }

    fn note(&self, what: &str) {
        self.book.note(format!("{}: {what}", self.name));
    }
}

impl Middleware for Watch {
    fn open(&mut self, _: &mut Passage<'_>) -> Result<(), Close> {
        self.note("open");
        Ok(())
    }

    fn inbound(&mut self, message: Message, _: &mut Passage<'_>) -> Result<Option<Message>, Close> {
        self.note(&format!("in {}", message.as_text().unwrap_or("bytes")));
        Ok(Some(message))
    }

    fn outbound(&mut self, message: Message, _: &mut Passage<'_>) -> Result<Option<Message>, Close> {
        self.note(&format!("out {}", message.as_text().unwrap_or("bytes")));
        Ok(Some(message))
    }

    fn closing(&mut self, close: Close, _: &mut Passage<'_>) -> Close {
        self.note(&format!("closing {}", close.code()));
        close
    }

    fn panicked(&mut self, panic: &str, close: Close, _: &mut Passage<'_>) -> Close {
        self.note(&format!("panicked: {panic}"));
        close
    }

    fn closed(&mut self, reason: &mut CloseReason, _: &mut Passage<'_>) {
        self.note(&format!("closed {}", reason.code));
    }
}

/// Says what it hears, in the way that it is told.
struct Parrot(Book);

impl Session for Parrot {
    fn open(&mut self, _: &mut Context<Self>) -> Result<(), Close> {
        self.0.note("session: open");
        Ok(())
    }

    fn message(&mut self, message: Message, cx: &mut Context<Self>) -> Result<(), Close> {
        let text = message.as_text().unwrap_or("bytes").to_owned();
        self.0.note(format!("session: {text}"));
        match text.as_str() {
            "panic" => panic!("as it was told"),
            "close" => Err(Close::new(1000, "as you like")),
            "close by client" => {
                cx.client().close(Close::new(3000, ""));
                Ok(())
            }
            "stream" => {
                let mut client = cx.client();
                let mut stream = client.stream(Kind::Text);
                stream.write(b"str")?;
                stream.write(b"eam")?;
                Ok(stream.finish()?)
            }
            "text" => Ok(cx.client().send_text(&text)?),
            "binary" => Ok(cx.client().send_binary(text.as_bytes())?),
            _ => Ok(cx.client().send(message)?),
        }
    }

    fn closed(&mut self, reason: CloseReason, _: &mut Context<Self>) {
        self.0.note(format!("session: closed {}", reason.code));
    }
}

/// The world after a client has gone through `script`, and what it heard.
#[track_caller]
fn check_heard(world: World, script: Client, expected: &[Heard]) -> World {
    let mut world = world;
    let ann = world.client(script);
    world.run_until_quiet(60_000);
    assert_eq!(world.report(ann).heard, expected);
    world
}

fn text(text: &str) -> Heard {
    Heard::Text(text.into())
}

fn close(code: u16, reason: &str) -> Heard {
    Heard::Close(Some(code), reason.into())
}

#[test]
fn what_passes_is_seen_from_the_outside_in_and_from_the_inside_out() {
    let book = Book::default();
    let session = book.clone();
    let world = World::new(1)
        .with(Watch::named("a", &book))
        .with(Watch::named("b", &book))
        .with(Watch::named("c", &book))
        .at("/", move |_: &Upgrade| {
            session.note("route");
            Ok(Parrot(session.clone()))
        });
    let script = Client::at("/").text("hello").until_heard(1).text("close");
    check_heard(world, script, &[text("hello"), close(1000, "as you like"), Heard::End]).shut_down();
    let expected = "a: upgrade, b: upgrade, c: upgrade, route, a: open, b: open, c: open, session: open, \
        a: in hello, b: in hello, c: in hello, session: hello, c: out hello, b: out hello, a: out hello, \
        a: in close, b: in close, c: in close, session: close, c: closing 1000, b: closing 1000, a: closing 1000, \
        a: closed 1000, b: closed 1000, c: closed 1000, session: closed 1000";
    assert_eq!(book.take().join(", "), expected);
}

#[test]
fn whatever_way_a_message_is_sent_it_is_seen_whole_and_once() {
    let book = Book::default();
    let session = Book::default();
    let world =
        World::new(1).with(Watch::named("a", &book)).at("/", move |_: &Upgrade| Ok(Parrot(session.clone())));
    let script = ["text", "binary", "stream", "owned"]
        .into_iter()
        .fold(Client::at("/"), |script, way| script.text(way))
        .until_heard(4)
        .text("close by client");
    let heard = [
        text("text"),
        Heard::Binary(b"binary".into()),
        text("stream"),
        text("owned"),
        close(3000, ""),
        Heard::End,
    ];
    check_heard(world, script, &heard).shut_down();
    let seen: Vec<String> =
        book.take().into_iter().filter(|what| what.contains("out") || what.contains("closing")).collect();
    assert_eq!(seen, ["a: out text", "a: out bytes", "a: out stream", "a: out owned", "a: closing 3000"]);
}

/// Replaces "a" by "b", keeps "secret" to itself, and closes over "bad".
fn judge(message: Message, passage: &mut Passage<'_>) -> Result<Option<Message>, Close> {
    match message.as_text() {
        Some("a") => Ok(Some(passage.text("b")?)),
        Some("secret") => Ok(None),
        Some("bad") => Err(Close::new(1008, "no")),
        _ => Ok(Some(message)),
    }
}

#[test]
fn a_message_to_the_session_is_passed_replaced_kept_or_refused() {
    let book = Book::default();
    let session = book.clone();
    let world = World::new(1)
        .with(|_: &Upgrade| Ok(inbound(judge)))
        .at("/", move |_: &Upgrade| Ok(Parrot(session.clone())));
    let script = Client::at("/").text("a").text("secret").text("c").text("bad").text("d");
    check_heard(world, script, &[text("b"), text("c"), close(1008, "no"), Heard::End]).shut_down();
    let heard = ["session: open", "session: b", "session: c", "session: closed 1008"];
    assert_eq!(book.take(), heard);
}

#[test]
fn a_message_of_the_session_is_passed_replaced_kept_or_refused() {
    let book = Book::default();
    let session = book.clone();
    let world = World::new(1)
        .with(|_: &Upgrade| Ok(outbound(judge)))
        .at("/", move |_: &Upgrade| Ok(Parrot(session.clone())));
    let script = Client::at("/").text("a").text("secret").text("c").text("bad").text("d");
    check_heard(world, script, &[text("b"), text("c"), close(1008, "no"), Heard::End]).shut_down();
    let heard = [
        "session: open",
        "session: a",
        "session: secret",
        "session: c",
        "session: bad", // for the session it is sent
        "session: closed 1008",
    ];
    assert_eq!(book.take(), heard);
}

#[test]
fn who_is_refused_at_the_door_gets_a_status_and_what_is_further_inside_hears_nothing() {
    for later in [false, true] {
        let book = Book::default();
        let through = World::new(1).with(Watch::named("a", &book)).with(|upgrade: &Upgrade| {
            upgrade.attach(7_u8);
            upgrade.attach("Ann");
            if upgrade.query().is_some() { Ok(()) } else { Err(Refusal::new(401)) }
        });
        let session = book.clone();
        let made = move |upgrade: &Upgrade| {
            assert_eq!((upgrade.attached(), upgrade.attached::<u16>()), (Some("Ann"), None));
            session.note("route");
            Parrot(session.clone())
        };
        let world = if later {
            through.at_later("/", move |upgrade: &Upgrade, ticket: Ticket<Parrot>| {
                let session = made(upgrade);
                ticket.accept(|| session);
            })
        } else {
            through.at("/", move |upgrade: &Upgrade| Ok(made(upgrade)))
        };
        let world = check_heard(world, Client::at("/"), &[Heard::Refused(401), Heard::End]);
        assert_eq!(book.take(), ["a: upgrade"], "later: {later}");
        let script = Client::at("/?yes").text("hello").until_heard(1).close(1000);
        check_heard_last(world, script, &[text("hello"), close(1000, ""), Heard::End]);
        let seen = book.take();
        assert_eq!(
            seen,
            [
                "a: upgrade",
                "route",
                "a: open",
                "session: open",
                "a: in hello",
                "session: hello",
                "a: out hello",
                "a: closed 1000",
                "session: closed 1000"
            ],
            "later: {later}"
        );
    }
}

/// As [`check_heard`], of a world that goes on, to its end.
#[track_caller]
fn check_heard_last(world: World, script: Client, expected: &[Heard]) {
    check_heard(world, script, expected).shut_down();
}

/// Refuses at the last moment.
struct Closed;
impl Middleware for Closed {
    fn open(&mut self, passage: &mut Passage<'_>) -> Result<(), Close> {
        passage.client().send_text("come back tomorrow")?;
        Err(Close::new(1013, "we are closed"))
    }
}

#[test]
fn who_is_refused_when_it_opens_is_told_and_what_is_further_inside_hears_nothing() {
    let book = Book::default();
    let session = book.clone();
    let world = World::new(1)
        .with(Watch::named("a", &book))
        .with(|_: &Upgrade| Ok(Closed))
        .with(Watch::named("b", &book))
        .at("/", move |_: &Upgrade| Ok(Parrot(session.clone())));
    let heard = [text("come back tomorrow"), close(1013, "we are closed"), Heard::End];
    check_heard_last(world, Client::at("/").text("hello"), &heard);
    assert_eq!(book.take(), ["a: upgrade", "b: upgrade", "a: open", "a: closing 1013", "a: closed 1013"]);
}

/// Closes without saying so.
struct Silent;
impl Middleware for Silent {
    fn open(&mut self, passage: &mut Passage<'_>) -> Result<(), Close> {
        passage.client().close(Close::new(1013, "we are closed"));
        Ok(())
    }
}

#[test]
fn what_is_further_inside_hears_nothing_of_who_was_closed_at_its_opening() {
    let book = Book::default();
    let session = book.clone();
    let world = World::new(1)
        .with(Watch::named("a", &book))
        .with(|_: &Upgrade| Ok(Silent))
        .with(Watch::named("b", &book))
        .at("/", move |_: &Upgrade| Ok(Parrot(session.clone())));
    check_heard_last(world, Client::at("/").text("hello"), &[close(1013, "we are closed"), Heard::End]);
    assert_eq!(book.take(), ["a: upgrade", "b: upgrade", "a: open", "a: closed 1013"]);
}

/// Says something when it is over, and breaks.
struct Touchy;
impl Session for Touchy {
    fn message(&mut self, _: Message, _: &mut Context<Self>) -> Result<(), Close> {
        Ok(())
    }

    fn closed(&mut self, _: CloseReason, cx: &mut Context<Self>) {
        let _ = cx.client().send_text("farewell");
        cx.client().close(Close::new(3000, "farewell"));
        panic!("on purpose");
    }
}

#[test]
fn after_its_end_middleware_hears_nothing_whatever_the_session_does() {
    for script in
        [Client::at("/").close(1000), Client::at("/").half_close(), Client::at("/").raw(&[0x81, 1, b'x'])]
    {
        let book = Book::default();
        let mut world = World::new(1).with(Watch::named("a", &book)).at("/", |_: &Upgrade| Ok(Touchy));
        world.client(script);
        world.run_until_quiet(60_000);
        let seen = book.take();
        assert!(seen.last().is_some_and(|last| last.starts_with("a: closed")), "{seen:?}");
        world.shut_down_after_panics(1);
    }
}

/// Says something else to clients than what was meant for them.
struct Tactful;
impl Middleware for Tactful {
    fn closing(&mut self, close: Close, _: &mut Passage<'_>) -> Close {
        if close.code() == 1000 { close } else { Close::new(1011, "something went wrong") }
    }

    fn closed(&mut self, reason: &mut CloseReason, _: &mut Passage<'_>) {
        reason.code += 3000;
    }
}

#[test]
fn the_words_of_an_end_can_be_replaced_both_ways() {
    let book = Book::default();
    let session = book.clone();
    let world =
        World::new(1).with(|_: &Upgrade| Ok(Tactful)).at("/", move |_: &Upgrade| Ok(Parrot(session.clone())));
    // A mistake of the client's, our rule: its frames must be masked.
    let script = Client::at("/").text("hello").until_heard(1).raw(&[0x81, 0x01, b'x']);
    let heard = [text("hello"), close(1011, "something went wrong"), Heard::End];
    check_heard_last(world, script, &heard);
    assert_eq!(book.take().last().map(String::as_str), Some("session: closed 4011"));
}

#[test]
fn a_session_that_panics_ends_with_the_words_of_its_recovery_and_others_go_on() {
    let book = Book::default();
    let session = book.clone();
    let mut world = World::new(1)
        .with(Watch::named("a", &book))
        .with(Recovery::saying(Close::new(4500, "sorry")))
        .with(Watch::named("b", &book))
        .at("/", move |_: &Upgrade| Ok(Parrot(session.clone())));
    let bob = world.client(Client::at("/").text("hello"));
    world.run_for(100);
    book.take();
    let ann = world.client(Client::at("/").text("panic").text("more"));
    world.run_for(5_000);
    assert_eq!(world.report(ann).heard, [close(4500, "sorry"), Heard::End]);
    let expected = "a: upgrade, b: upgrade, a: open, b: open, session: open, a: in panic, b: in panic, \
        session: panic, b: panicked: as it was told, a: panicked: as it was told, b: closing 4500, a: closing 4500, \
        a: closed 4500, b: closed 4500";
    assert_eq!(book.take().join(", "), expected);
    world.drain();
    world.run_until_quiet(10_000);
    assert_eq!(world.report(bob).heard, [text("hello"), close(1001, "the server goes away"), Heard::End]);
    world.shut_down_after_panics(1);
}

/// Panics where it is told to.
struct Fragile(&'static str);
impl Middleware for Fragile {
    fn inbound(&mut self, message: Message, _: &mut Passage<'_>) -> Result<Option<Message>, Close> {
        assert_ne!(self.0, "inbound");
        Ok(Some(message))
    }

    fn outbound(&mut self, message: Message, _: &mut Passage<'_>) -> Result<Option<Message>, Close> {
        assert!(self.0 != "outbound" && self.0 != "then panicked");
        Ok(Some(message))
    }

    fn panicked(&mut self, _: &str, close: Close, _: &mut Passage<'_>) -> Close {
        assert_ne!(self.0, "then panicked");
        close
    }

    fn closed(&mut self, _: &mut CloseReason, _: &mut Passage<'_>) {
        assert_ne!(self.0, "closed");
    }
}

#[test]
fn middleware_that_panics_costs_its_connection_and_nothing_more() {
    for (place, panics) in [("inbound", 1), ("outbound", 1), ("then panicked", 2), ("closed", 1)] {
        let book = Book::default();
        let world = World::new(1)
            .with(move |_: &Upgrade| Ok(Fragile(place)))
            .at("/", move |_: &Upgrade| Ok(Parrot(book.clone())));
        let script = Client::at("/").text("hello");
        let script = if place == "closed" { script.close(1000) } else { script };
        let mut world = world;
        let ann = world.client(script);
        world.run_until_quiet(60_000);
        let heard = &world.report(ann).heard;
        assert_eq!(heard.last(), Some(&Heard::End), "{place}: {heard:?}");
        if place != "closed" {
            assert_eq!(heard[0], close(1011, "the session failed"), "{place}");
        }
        world.shut_down_after_panics(panics);
    }
}

#[test]
fn middleware_may_be_chosen_while_the_server_runs() {
    let book = Book::default();
    let (theirs, session) = (book.clone(), Book::default());
    let world = World::new(1)
        .with(move |upgrade: &Upgrade| -> Result<Box<dyn Middleware>, Refusal> {
            Ok(match upgrade.query() {
                Some("watched") => Box::new(Watch { name: "a", book: theirs.clone() }),
                Some(_) => Box::new(outbound(judge)),
                None => Box::new(()),
            })
        })
        .at("/", move |_: &Upgrade| Ok(Parrot(session.clone())));
    let mut world = world;
    for (path, heard) in [("/?watched", text("a")), ("/?judged", text("b")), ("/", text("a"))] {
        let script = Client::at(path).text("a").until_heard(1).close(1000);
        world = check_heard(world, script, &[heard, close(1000, ""), Heard::End]);
    }
    world.shut_down();
    assert_eq!(book.take(), ["a: open", "a: in a", "a: out a", "a: closed 1000"]);
}

#[test]
fn through_middleware_every_message_comes_back_whatever_goes_wrong() {
    sim::check(super::seeds(200), |world| {
        let (seed, shards) = (world.seed(), world.seed() as u16 % 3 + 1);
        let book = Book::default();
        let mut world = world
            .shards(shards)
            .clients(8)
            .faults(Faults::swarm(seed))
            .configure(|config| {
                config.rules.idle_timeout = std::time::Duration::from_secs(1800);
                config.rules.close_timeout = std::time::Duration::from_secs(600);
                config.rules.ping_interval = std::time::Duration::from_secs(7200);
                config.rules.send_queue_bytes_max = 410_000;
            })
            .with(Logging::of)
            .with(Watch::named("a", &book))
            .with(Recovery::saying(Close::normal()))
            .with(|_: &Upgrade| Ok(outbound(|message, _| Ok(Some(message)))))
            .with(Counters::of)
            .at("/", |_: &Upgrade| Ok(super::echo::Talk::new()));
        world.run_until_quiet(7_200_000);
        world.assert_echoed();
        world.shut_down();
        let seen = book.take();
        let count = |what: &str| seen.iter().filter(|seen| seen.starts_with(what)).count();
        assert_eq!(count("a: open"), count("a: closed"), "who hears of a beginning hears of its end");
    });
}
