//! Spans follow messages across shards and through questions, and change nothing about them.

use super::Book;
use corewire::actor::{Overflow, Priority};
use corewire::prelude::*;
use corewire::shard::ShardId;
use corewire::sim::{Client, World};
use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Duration;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Dispatch, Event, Metadata, Subscriber};
use tracing_core::span::Current;

/// Notes what is logged, with the spans around it. For one thread.
#[derive(Clone, Default)]
pub(crate) struct Recorder(Arc<Mutex<Recorded>>);

#[derive(Default)]
struct Recorded {
    /// Name and parent; numbers count from one.
    spans: Vec<(&'static Metadata<'static>, Option<u64>)>,
    entered: Vec<u64>,
    lines: Vec<String>,
}

/// Wants nothing, for ever. While there is but one subscriber, `tracing` decides what is wanted by the thread that happens
/// to come by first; with two it asks both.
struct Deaf;
impl Subscriber for Deaf {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        false
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, _: &Event<'_>) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// Has `subscriber` told of what `f` does on this thread.
pub(crate) fn listen<R>(subscriber: impl Subscriber + Send + Sync + 'static, f: impl FnOnce() -> R) -> R {
    static DEAF: OnceLock<Dispatch> = OnceLock::new();
    DEAF.get_or_init(|| Dispatch::new(Deaf));
    tracing::subscriber::with_default(subscriber, f)
}

impl Recorder {
    /// Records what `f` does on this thread.
    pub(crate) fn listen<R>(&self, f: impl FnOnce() -> R) -> R {
        listen(self.clone(), f)
    }

    fn recorded(&self) -> MutexGuard<'_, Recorded> {
        self.0.lock().expect("nobody panics with it")
    }

    /// What was logged inside a span of this name, or below one: its spans, and the words.
    pub(crate) fn lines_in(&self, span: &str) -> Vec<String> {
        let recorded = self.recorded();
        recorded.lines.iter().filter(|line| line.starts_with(span)).cloned().collect()
    }

    pub(crate) fn spans(&self) -> usize {
        self.recorded().spans.len()
    }
}

struct Words(String);
impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            let _ = write!(self.0, "{value:?}");
        }
    }
}

impl Subscriber for Recorder {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes() // other threads do not listen
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("corewire")
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let mut recorded = self.recorded();
        let parent = match attributes.parent() {
            Some(parent) => Some(parent.into_u64()),
            None if attributes.is_contextual() => recorded.entered.last().copied(),
            None => None,
        };
        recorded.spans.push((attributes.metadata(), parent));
        Id::from_u64(recorded.spans.len() as u64)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut words = Words(String::new());
        event.record(&mut words);
        let mut recorded = self.recorded();
        let mut path = Vec::new();
        let mut next = recorded.entered.last().copied();
        while let Some(id) = next {
            let (metadata, parent) = recorded.spans[id as usize - 1];
            path.push(metadata.name());
            next = parent;
        }
        path.reverse();
        let line = format!("{}: {}", path.join(" > "), words.0);
        recorded.lines.push(line);
    }

    fn enter(&self, span: &Id) {
        self.recorded().entered.push(span.into_u64());
    }

    fn exit(&self, span: &Id) {
        let left = self.recorded().entered.pop();
        assert_eq!(left, Some(span.into_u64()), "spans are left in the order in which they were entered");
    }

    fn current_span(&self) -> Current {
        let recorded = self.recorded();
        match recorded.entered.last() {
            Some(&id) => Current::new(Id::from_u64(id), recorded.spans[id as usize - 1].0),
            None => Current::none(),
        }
    }
}

/// Hands on what it gets, and asks the last.
struct Relay(Option<Address<Self>>);
impl Actor for Relay {}

struct Parcel;
struct Question;

impl Handler<Parcel> for Relay {
    type Reply = ();
    fn handle(&mut self, _: Parcel, cx: &mut Context<Self>) {
        tracing::info!("shard {} has the parcel", cx.shard().0);
        let Some(next) = self.0 else { return };
        cx.send(next, Parcel).expect("there is room");
        let asked = cx.ask(next, Question).then(|_, answer: Result<u64, AskError>, _| {
            tracing::info!("the answer is {answer:?}");
        });
        asked.expect("there is room");
    }
}

impl Handler<Question> for Relay {
    type Reply = u64;
    fn handle(&mut self, _: Question, cx: &mut Context<Self>) -> u64 {
        tracing::info!("shard {} is asked", cx.shard().0);
        42
    }
}

/// Sends parcels.
struct Sender(Arc<Mutex<Option<Address<Relay>>>>);
impl Session for Sender {
    fn message(&mut self, _: Message, cx: &mut Context<Self>) -> Result<(), Close> {
        let to = self.0.lock().expect("nobody panics with it").expect("it is there by now");
        tracing::info!("sent");
        Ok(cx.send(to, Parcel)?)
    }
}

#[track_caller]
fn spawn<A: Actor + Send>(world: &mut World, shard: u16, actor: A) -> Address<A> {
    let mut asked = world.outside().spawn_on(ShardId(shard), actor);
    world.run_for(100);
    asked.ready().expect("100 ms are enough").expect("there is a slot")
}

#[test]
fn a_span_follows_a_message_across_shards_and_its_answer_back() {
    let recorder = Recorder::default();
    recorder.listen(|| {
        let first = Arc::new(Mutex::new(None));
        let theirs = first.clone();
        let mut world =
            World::new(3).shards(3).with(Logging::of).at("/", move |_: &Upgrade| Ok(Sender(theirs.clone())));
        let last = spawn(&mut world, 2, Relay(None));
        let middle = spawn(&mut world, 1, Relay(Some(last)));
        *first.lock().expect("nobody panics with it") = Some(spawn(&mut world, 0, Relay(Some(middle))));
        world.client(Client::at("/").text("go").wait(Duration::from_millis(100)).close(1000));
        world.run_until_quiet(10_000);
        world.shut_down();
    });
    let mut lines = recorder.lines_in("connection");
    lines.sort();
    let mut expected = vec![
        "connection: opened",
        "connection: heard",
        "connection: sent",
        "connection: closed",
        "connection > message: shard 0 has the parcel",
        "connection > message > message: shard 1 has the parcel",
        "connection > message > message: shard 1 is asked",
        "connection > message: the answer is Ok(42)",
        "connection > message > message > message: shard 2 has the parcel",
        "connection > message > message > message: shard 2 is asked",
        "connection > message > message: the answer is Ok(42)",
    ];
    expected.sort_unstable();
    assert_eq!(lines, expected);
}

#[test]
fn a_span_comes_in_from_another_thread() {
    let recorder = Recorder::default();
    recorder.listen(|| {
        let mut world = World::new(3).shards(2).at("/", |_: &Upgrade| Ok(Sender(Arc::default())));
        let relay = spawn(&mut world, 1, Relay(None));
        let outside = world.outside();
        let request = tracing::info_span!("request");
        let asked = request.in_scope(|| {
            outside.send(relay, Parcel).expect("there is room");
            outside.ask(relay, Question).put().expect("there is room")
        });
        world.run_for(100);
        assert_eq!(asked.wait(Duration::ZERO), Ok(42));
        world.shut_down();
    });
    let expected = ["request > message: shard 1 has the parcel", "request > message: shard 1 is asked"];
    assert_eq!(recorder.lines_in("request"), expected);
}

/// Takes one message and no more until it is allowed to.
struct Narrow(Book);
impl Actor for Narrow {
    const MAILBOX_SLOTS: Option<u32> = Some(1);
    const OVERFLOW: Overflow = Overflow::KeepLatest;
}

#[derive(Debug, PartialEq)]
struct Price(u64);
#[derive(Debug, PartialEq)]
struct Volume(u64);

impl Handler<Price> for Narrow {
    type Reply = ();
    fn handle(&mut self, price: Price, _: &mut Context<Self>) {
        self.0.note(format!("{price:?}"));
    }
    fn key(_: &Price) -> Option<u64> {
        Some(1)
    }
}

impl Handler<Volume> for Narrow {
    type Reply = ();
    fn handle(&mut self, volume: Volume, _: &mut Context<Self>) {
        self.0.note(format!("{volume:?}"));
    }
    fn key(_: &Volume) -> Option<u64> {
        Some(1)
    }
}

/// Sends too much, to an actor here and to one elsewhere.
struct Pushy(Book, [Address<Narrow>; 2]);
impl Actor for Pushy {
    fn started(&mut self, cx: &mut Context<Self>) {
        for to in self.1 {
            for n in 0..3 {
                self.0.note(format!("{:?}", cx.send(to, Price(n)).map_err(SendError::into_inner)));
            }
            let other = cx.send_at(Priority::Normal, to, Volume(7)).map_err(SendError::into_inner);
            self.0.note(format!("{other:?}"));
        }
    }

    fn returned(&mut self, returned: Returned, _: &mut Context<Self>) {
        self.0.note(format!("back: {:?}", returned.downcast::<Volume>().expect("it is what was sent")));
    }
}

#[test]
fn a_message_with_a_span_is_kept_refused_and_returned_as_one_without() {
    let with = Recorder::default();
    let run = || {
        let book = Book::default();
        let mut world = World::new(3).shards(2).at("/", |_: &Upgrade| Ok(Sender(Arc::default())));
        let narrow = [0, 1].map(|shard| spawn(&mut world, shard, Narrow(book.clone())));
        spawn(&mut world, 0, Pushy(book.clone(), narrow));
        world.shut_down();
        book.take()
    };
    let without_spans = run();
    let with_spans = with.listen(run);
    assert_eq!(with_spans, without_spans);
    assert_eq!(with.spans(), 8);
    let heard = |what: &str| without_spans.iter().filter(|line| *line == what).count();
    assert_eq!((heard("Price(2)"), heard("Err(Volume(7))"), heard("back: Volume(7)")), (2, 1, 1));
}
