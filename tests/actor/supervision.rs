//! Children that crash, and their supervisors; `tests/sim/families.rs` has whole trees.

mod ends;

use super::{Book, later, world_after};
use corewire::actor::{ActorId, Restart, SpawnError, Supervision};
use corewire::prelude::*;
use corewire::sim::{Client, World};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

/// Notes its lives: `a1` is the first of the child `a`.
struct Part {
    name: String,
    book: Book,
    stopping: Stopping,
    begin: fn(&mut Part, &mut Context<Part>),
}

struct Say(&'static str);
struct Panic;
struct Stop;

impl Actor for Part {
    fn started(&mut self, cx: &mut Context<Self>) {
        self.book.note(format!("{} at {}", self.name, to_tens(cx)));
        (self.begin)(self, cx);
    }

    fn stopping(&mut self, _: &mut Context<Self>) -> Stopping {
        self.book.note(format!("{} stopping", self.name));
        self.stopping
    }

    fn stopped(&mut self, reason: &Reason, _: &mut Context<Self>) {
        self.book.note(format!("{} stopped: {reason:?}", self.name));
    }
}

impl Handler<Say> for Part {
    type Reply = ();
    fn handle(&mut self, Say(what): Say, _: &mut Context<Self>) {
        self.book.note(format!("{}: {what}", self.name));
    }
}

impl Handler<Panic> for Part {
    type Reply = ();
    fn handle(&mut self, _: Panic, _: &mut Context<Self>) {
        panic!("on purpose");
    }
}

impl Handler<Stop> for Part {
    type Reply = ();
    fn handle(&mut self, _: Stop, cx: &mut Context<Self>) {
        cx.stop();
    }
}

struct Pair(ActorId);
impl Handler<Pair> for Part {
    type Reply = ();
    fn handle(&mut self, Pair(with): Pair, cx: &mut Context<Self>) {
        cx.link(with).expect("there is room");
    }
}

/// The time in milliseconds, to tens: each alarm may be a millisecond late.
fn to_tens<A: Actor>(cx: &Context<A>) -> u64 {
    cx.now().as_millis() / 10 * 10
}

fn nothing(_: &mut Part, _: &mut Context<Part>) {}

/// Makes the lives of the child `name`.
fn lives(
    name: &'static str,
    book: &Book,
    begin: fn(&mut Part, &mut Context<Part>),
) -> impl FnMut() -> Part + use<> {
    let book = book.clone();
    let mut life = 0;
    move || {
        life += 1;
        Part { name: format!("{name}{life}"), book: book.clone(), stopping: Stopping::Now, begin }
    }
}

type Begin<const S: u8> = Rc<RefCell<dyn FnMut(&mut Context<Boss<S>>)>>;

/// A supervisor of one strategy or another.
struct Boss<const S: u8 = ONE> {
    book: Book,
    begin: Begin<S>,
}

const ONE: u8 = 0;
const ALL: u8 = 1;
const REST: u8 = 2;
/// Three restarts, as for the others; but each after 10 ms, and only once a second counts.
const HASTY: u8 = 3;

impl<const S: u8> Actor for Boss<S> {
    const SUPERVISION: Supervision = match S {
        ALL => Supervision::ONE_FOR_ALL,
        REST => Supervision::REST_FOR_ONE,
        HASTY => Supervision::ONE_FOR_ONE
            .restarts(3, Duration::from_millis(30))
            .back_off(Duration::from_millis(10), Duration::from_millis(15)),
        _ => Supervision::ONE_FOR_ONE,
    };

    fn started(&mut self, cx: &mut Context<Self>) {
        let begin = self.begin.clone();
        (begin.borrow_mut())(cx);
    }

    fn stopped(&mut self, reason: &Reason, cx: &mut Context<Self>) {
        let reason = match reason {
            Reason::Escalated(escalation) => format!("escalated, {:?}", escalation.failure),
            other => format!("{other:?}"),
        };
        self.book.note(format!("boss stopped: {reason}"));
        let refused = cx.spawn_child(Restart::Always, lives("late", &self.book, nothing));
        assert_eq!(refused.map(|_| ()), Err(SpawnError::Ending));
    }
}

impl<const S: u8> Handler<Stop> for Boss<S> {
    type Reply = ();
    fn handle(&mut self, _: Stop, cx: &mut Context<Self>) {
        cx.stop();
    }
}

impl<const S: u8> Handler<Down> for Boss<S> {
    type Reply = ();
    fn handle(&mut self, down: Down, _: &mut Context<Self>) {
        self.book.note(format!("boss hears: {:?}", down.reason));
    }
}

/// What is noted when a boss has done `begin`, and 100 ms have passed; and the world.
fn noted<const S: u8>(
    begin: impl FnMut(&Book, &mut Context<Boss<S>>) + Send + 'static,
) -> (Vec<String>, Book, World) {
    let book = Book::default();
    let theirs = book.clone();
    let world = world_after(move |cx| {
        let (mut begin, own) = (begin, theirs.clone());
        let begin: Begin<S> = Rc::new(RefCell::new(move |cx: &mut Context<Boss<S>>| begin(&own, cx)));
        cx.spawn(Boss { book: theirs, begin }).expect("there is a slot");
    });
    (book.take(), book, world)
}

fn start<const S: u8>(
    name: &'static str,
    restart: Restart,
    book: &Book,
    cx: &mut Context<Boss<S>>,
) -> Address<Part> {
    cx.spawn_child(restart, lives(name, book, nothing)).expect("there is a slot")
}

#[test]
fn who_crashed_is_made_anew_at_its_address_and_its_mail_waited() {
    let (noted, book, world) = noted::<ONE>(|book, cx| {
        let part = start("a", Restart::Always, book, cx);
        let heard = book.clone();
        cx.send(part, Say("before")).expect("there is room");
        cx.ask(part, Panic)
            .then(move |_, answer, _| heard.note(format!("{answer:?}")))
            .expect("there is room");
        cx.send(part, Say("after")).expect("there is room");
    });
    assert_eq!(noted, ["a1 at 0", "a1: before", "Err(Crashed)", "a2 at 10", "a2: after"]);
    world.shut_down_after_panics(1);
    assert_eq!(book.take(), ["a2 stopping", "a2 stopped: Shutdown", "boss stopped: Shutdown"]);
}

#[test]
fn a_child_is_made_anew_always_or_after_a_failure_or_never() {
    for (restart, after_stop, after_panic) in
        [(Restart::Always, true, true), (Restart::OnFailure, false, true), (Restart::Never, false, false)]
    {
        let (noted, _, mut world) = noted::<ONE>(move |book, cx| {
            let part = start("a", restart, book, cx);
            cx.watch(part).expect("there is room");
            cx.send(part, Stop).expect("there is room");
        });
        // Under `Always` its mail is the next one's, so it is not asked.
        let told: &[&str] = if after_stop {
            &["a1 at 0", "a1 stopped: Stopped", "a2 at 10"]
        } else {
            &["a1 at 0", "a1 stopping", "a1 stopped: Stopped", "boss hears: Stopped"]
        };
        assert_eq!(noted, told, "{restart:?}");
        assert_eq!(world.stats().restarts, u64::from(after_stop));
        world.shut_down();

        let (noted, _, mut world) = self::noted::<ONE>(move |book, cx| {
            let part = start("a", restart, book, cx);
            cx.watch(part).expect("there is room");
            cx.send(part, Panic).expect("there is room");
        });
        let told: &[&str] = if after_panic {
            &["a1 at 0", "a2 at 10"]
        } else {
            &["a1 at 0", r#"boss hears: Panicked("on purpose")"#]
        };
        assert_eq!(noted, told, "{restart:?}");
        assert_eq!(world.stats().restarts, u64::from(after_panic));
        world.shut_down_after_panics(1);
    }
}

#[test]
fn who_crashes_again_waits_longer_up_to_a_bound_and_no_longer_once_it_has_held() {
    let (noted, _, mut world) = noted::<HASTY>(|book, cx| {
        let part = start("a", Restart::Always, book, cx);
        for ms in [0, 11, 60] {
            cx.after(Duration::from_millis(ms), part, Panic).expect("a shard has timers left");
        }
    });
    // The second pause would be 20 ms, but is 15; by the third time it had held.
    assert_eq!(noted, ["a1 at 0", "a2 at 10", "a3 at 20", "a4 at 70"]);
    assert_eq!(world.stats().restarts, 3);
    world.shut_down_after_panics(3);
}

#[test]
fn when_the_budget_is_spent_the_supervisor_fails_and_its_children_end_before_it_the_last_first() {
    let (noted, _, mut world) = noted::<ONE>(|book, cx| {
        let [a, _, _] = ["a", "b", "c"].map(|name| start(name, Restart::Always, book, cx));
        for _ in 0..4 {
            cx.send(a, Panic).expect("there is room");
        }
        cx.send(a, Say("nobody hears this")).expect("there is room");
    });
    assert_eq!(
        noted,
        [
            "a1 at 0",
            "b1 at 0",
            "c1 at 0",
            "a2 at 10",
            "a3 at 30",
            "a4 at 70",
            "c1 stopping",
            "c1 stopped: Supervisor",
            "b1 stopping",
            "b1 stopped: Supervisor",
            r#"boss stopped: escalated, Panicked("on purpose")"#,
        ]
    );
    let stats = world.stats();
    assert_eq!((stats.restarts, stats.refused), (3, 1));
    world.shut_down_after_panics(4);
}

#[test]
fn a_supervisor_that_failed_is_made_anew_by_its_own() {
    let (noted, _, mut world) = noted::<ONE>(|book, cx| {
        let book = book.clone();
        let middle = move || {
            let own = book.clone();
            let begin = move |cx: &mut Context<Boss<ALL>>| {
                let part = start("a", Restart::Always, &own, cx);
                if cx.now().as_millis() == 0 {
                    (0..4).for_each(|_| cx.send(part, Panic).expect("there is room"));
                }
            };
            Boss::<ALL> { book: book.clone(), begin: Rc::new(RefCell::new(begin)) }
        };
        cx.spawn_child(Restart::OnFailure, middle).expect("there is a slot");
    });
    assert_eq!(
        noted,
        [
            "a1 at 0",
            "a2 at 10",
            "a3 at 30",
            "a4 at 70",
            r#"boss stopped: escalated, Panicked("on purpose")"#,
            "a1 at 80",
        ]
    );
    assert_eq!(world.stats().restarts, 4);
    world.shut_down_after_panics(4);
}

#[test]
fn one_for_all_makes_all_anew_in_order_and_their_mail_waits() {
    let (noted, _, world) = noted::<ALL>(|book, cx| {
        let [a, b, c] = ["a", "b", "c"].map(|name| start(name, Restart::OnFailure, book, cx));
        let never = start("never", Restart::Never, book, cx);
        cx.send(b, Panic).expect("there is room");
        for part in [a, b, c, never] {
            cx.send_at(corewire::actor::Priority::Low, part, Say("later")).expect("there is room");
        }
    });
    assert_eq!(
        noted,
        [
            "a1 at 0",
            "b1 at 0",
            "c1 at 0",
            "never1 at 0",
            "never1 stopped: Supervisor",
            "c1 stopped: Supervisor",
            "a1 stopped: Supervisor",
            "a2 at 10",
            "b2 at 10",
            "c2 at 10",
            "a2: later",
            "b2: later",
            "c2: later",
        ]
    );
    world.shut_down_after_panics(1);
}

#[test]
fn rest_for_one_makes_those_anew_that_were_started_after() {
    let (noted, _, world) = noted::<REST>(|book, cx| {
        let [_, b, _] = ["a", "b", "c"].map(|name| start(name, Restart::OnFailure, book, cx));
        cx.send(b, Panic).expect("there is room");
    });
    assert_eq!(noted, ["a1 at 0", "b1 at 0", "c1 at 0", "c1 stopped: Supervisor", "b2 at 10", "c2 at 10"]);
    world.shut_down_after_panics(1);
}

#[test]
fn a_panic_before_it_has_begun_is_a_crash_too() {
    let (noted, _, world) = noted::<ONE>(|book, cx| {
        let mut made = lives("a", book, |part, _| assert_ne!(part.name, "a1", "not in its first life"));
        let mut tries = 0;
        let part = cx.spawn_child(Restart::Always, move || {
            tries += 1;
            assert!(tries > 1, "there is nothing to make it of yet");
            made()
        });
        cx.send(part.expect("there is a slot"), Say("here")).expect("there is room");
    });
    assert_eq!(noted, ["a1 at 10", "a2 at 30", "a2: here"]);
    world.shut_down_after_panics(2);
}

#[test]
fn nothing_that_was_begun_before_the_crash_comes_to_the_next_life() {
    let (noted, _, mut world) = noted::<ONE>(|book, cx| {
        let sink = start("sink", Restart::Never, book, cx);
        let slow = cx.spawn(Slow(Vec::new())).expect("there is a slot");
        let brief = start("brief", Restart::Never, book, cx);
        let book = book.clone();
        let part = cx.spawn_child(Restart::Always, move || Busy { book: book.clone(), sink, slow, brief });
        let part = part.expect("there is a slot");
        cx.send(part, Work).expect("there is room");
        cx.send(part, Panic).expect("there is room");
        cx.after(Duration::from_millis(30), brief, Stop).expect("a shard has timers left");
        cx.after(Duration::from_millis(30), slow, Stop).expect("a shard has timers left");
    });
    assert_eq!(
        noted,
        [
            "sink1 at 0",
            "brief1 at 0",
            "busy at 0",
            "busy at 10",
            "sink1: timed",
            "brief1 stopping",
            "brief1 stopped: Stopped",
        ]
    );
    assert_eq!(world.stats().answers_late, 1);
    world.shut_down_after_panics(1);
}

/// Begins all that can be begun.
struct Busy {
    book: Book,
    sink: Address<Part>,
    slow: Address<Slow>,
    brief: Address<Part>,
}
struct Work;

impl Actor for Busy {
    fn started(&mut self, cx: &mut Context<Self>) {
        self.book.note(format!("busy at {}", to_tens(cx)));
    }
}

impl Handler<Work> for Busy {
    type Reply = ();
    fn handle(&mut self, _: Work, cx: &mut Context<Self>) {
        let me = cx.address();
        let soon = Duration::from_millis(20);
        cx.after(soon, me, Say("a timer of mine")).expect("a shard has timers left");
        cx.after(soon, self.sink, Say("timed")).expect("a shard has timers left");
        cx.ask(self.slow, Say("what?"))
            .then(|busy, _, _| busy.book.note("an answer"))
            .expect("there is room");
        cx.watch(self.brief).expect("there is room");
        let never = std::future::ready(());
        cx.pipe(never, |busy: &mut Self, (), _| busy.book.note("a future")).expect("there is room");
    }
}

impl Handler<Say> for Busy {
    type Reply = ();
    fn handle(&mut self, Say(what): Say, _: &mut Context<Self>) {
        self.book.note(what);
    }
}

impl Handler<Down> for Busy {
    type Reply = ();
    fn handle(&mut self, _: Down, _: &mut Context<Self>) {
        self.book.note("a down");
    }
}

impl Handler<Panic> for Busy {
    type Reply = ();
    fn handle(&mut self, _: Panic, _: &mut Context<Self>) {
        panic!("on purpose");
    }
}

/// Answers when it stops.
struct Slow(Vec<ReplyTo<()>>);
impl Actor for Slow {}
impl Handler<Request<Say, ()>> for Slow {
    type Reply = ();
    fn handle(&mut self, request: Request<Say, ()>, _: &mut Context<Self>) {
        self.0.push(request.reply);
    }
}
impl Handler<Stop> for Slow {
    type Reply = ();
    fn handle(&mut self, _: Stop, cx: &mut Context<Self>) {
        self.0.drain(..).for_each(|reply| reply.send((), cx));
        cx.stop();
    }
}
