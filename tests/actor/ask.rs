//! Questions and their answers, on one shard.

use super::{Book, world_after};
use corewire::actor::{AskError, Handler, Priority, ReplyTo, Request};
use corewire::prelude::*;
use corewire::sim::World;
use std::time::Duration;

/// Knows squares at once and roots after 10 ms; some questions it should not be asked.
#[derive(Default)]
struct Sage {
    owed: Vec<(u64, ReplyTo<u64>)>,
}

struct Square(u64);
struct Root(u64);
struct Think;
struct Leave;
struct Break;
struct BreakLater;
struct Riddle;

impl Actor for Sage {}

impl Handler<Square> for Sage {
    type Reply = u64;
    fn handle(&mut self, Square(n): Square, _: &mut Context<Self>) -> u64 {
        n * n
    }
}

impl Handler<Request<Root, u64>> for Sage {
    type Reply = ();
    fn handle(&mut self, request: Request<Root, u64>, cx: &mut Context<Self>) {
        let me = cx.address();
        self.owed.push((request.message.0, request.reply));
        cx.after(Duration::from_millis(10), me, Think).expect("a shard has timers left");
    }
}

impl Handler<Think> for Sage {
    type Reply = ();
    fn handle(&mut self, _: Think, cx: &mut Context<Self>) {
        for (n, reply) in self.owed.drain(..) {
            reply.send(n.isqrt(), cx);
        }
    }
}

impl Handler<Leave> for Sage {
    type Reply = ();
    fn handle(&mut self, _: Leave, cx: &mut Context<Self>) {
        cx.stop();
    }
}

impl Handler<Break> for Sage {
    type Reply = u64;
    fn handle(&mut self, _: Break, _: &mut Context<Self>) -> u64 {
        panic!("on purpose");
    }
}

impl Handler<Request<BreakLater, u64>> for Sage {
    type Reply = ();
    fn handle(&mut self, _request: Request<BreakLater, u64>, _: &mut Context<Self>) {
        panic!("on purpose, with the duty in its hands");
    }
}

impl Handler<Request<Riddle, u64>> for Sage {
    type Reply = ();
    fn handle(&mut self, request: Request<Riddle, u64>, _: &mut Context<Self>) {
        drop(request);
    }
}

/// Hands roots on to its sage.
struct Clerk(Address<Sage>);
impl Actor for Clerk {}
impl Handler<Request<Root, u64>> for Clerk {
    type Reply = ();
    fn handle(&mut self, request: Request<Root, u64>, cx: &mut Context<Self>) {
        if let Err(error) = request.reply.forward(self.0, request.message, cx) {
            error.into_inner().reply.send(0, cx); // a guess
        }
    }
}

/// It is asked for a square, and does not know it either.
struct Urgent(u64);
impl Handler<Request<Urgent, u64>> for Clerk {
    type Reply = ();
    fn handle(&mut self, Request { message, reply }: Request<Urgent, u64>, cx: &mut Context<Self>) {
        reply.forward(self.0, Square(message.0), cx).expect("there is room");
    }
}

/// Asks what it was made to ask, and notes what it hears.
struct Pupil {
    book: Book,
    sage: Address<Sage>,
    begin: fn(&mut Pupil, &mut Context<Pupil>),
}

impl Actor for Pupil {
    fn started(&mut self, cx: &mut Context<Self>) {
        (self.begin)(self, cx);
    }
}

impl Pupil {
    fn heard(&mut self, answer: Result<u64, AskError>, _: &mut Context<Self>) {
        self.book.note(format!("{answer:?}"));
    }
}

/// What a pupil that begins with `begin` hears, within 100 ms; and the world.
fn heard(begin: fn(&mut Pupil, &mut Context<Pupil>)) -> (Vec<String>, World) {
    let book = Book::default();
    let theirs = book.clone();
    let world = world_after(move |cx| {
        let sage = cx.spawn(Sage::default()).expect("there is a slot");
        cx.spawn(Pupil { book: theirs, sage, begin }).expect("there is a slot");
    });
    (book.take(), world)
}

#[test]
fn a_question_is_answered_by_what_the_handler_returns() {
    let (heard, world) = heard(|pupil, cx| {
        for n in [3, 5] {
            cx.ask(pupil.sage, Square(n)).then(Pupil::heard).expect("there is room");
        }
    });
    assert_eq!(heard, ["Ok(9)", "Ok(25)"]);
    world.shut_down();
}

#[test]
fn a_question_is_answered_later_by_its_token() {
    let (heard, mut world) = heard(|pupil, cx| {
        cx.ask(pupil.sage, Root(49)).then(Pupil::heard).expect("there is room");
        cx.ask(pupil.sage, Square(2)).then(Pupil::heard).expect("there is room");
    });
    assert_eq!(heard, ["Ok(4)", "Ok(7)"]);
    assert_eq!((world.stats().asks, world.stats().asks_failed), (2, 0));
    world.shut_down();
}

#[test]
fn what_is_done_with_an_answer_may_know_more_than_the_answer() {
    let (heard, world) = heard(|pupil, cx| {
        let unit = String::from("square feet");
        let asked = cx.ask(pupil.sage, Square(4)).then(move |pupil, answer, _| {
            pupil.book.note(format!("{answer:?} {unit}"));
        });
        asked.expect("there is room");
    });
    assert_eq!(heard, ["Ok(16) square feet"]);
    world.shut_down();
}

#[test]
fn a_token_that_is_dropped_is_an_answer() {
    let (heard, world) = heard(|pupil, cx| {
        cx.ask(pupil.sage, Riddle).then(Pupil::heard).expect("there is room");
    });
    assert_eq!(heard, ["Err(NoReply)"]);
    world.shut_down();
}

#[test]
fn who_is_asked_may_hand_the_question_on() {
    let (heard, world) = heard(|pupil, cx| {
        let clerk = cx.spawn(Clerk(pupil.sage)).expect("there is a slot");
        cx.ask(clerk, Root(81)).then(Pupil::heard).expect("there is room");
        cx.send(pupil.sage, Leave).expect("there is room");
        let lonely = cx.spawn(Clerk(pupil.sage)).expect("there is a slot");
        let me = cx.address();
        cx.after(Duration::from_millis(20), me, Ask(lonely)).expect("a shard has timers left");
    });
    // The first reaches the sage only after it has left: it goes back as `Gone`. The second is told at once, and guesses.
    assert_eq!(heard, ["Err(Gone)", "Ok(0)"]);
    world.shut_down();
}

#[test]
fn a_question_that_is_handed_on_keeps_its_priority() {
    let (heard, world) = heard(|pupil, cx| {
        let clerk = cx.spawn(Clerk(pupil.sage)).expect("there is a slot");
        for (n, priority) in [(10, Priority::Low), (20, Priority::High)] {
            cx.ask(clerk, Urgent(n)).at(priority).then(Pupil::heard).expect("there is room");
        }
        for n in [1, 2] {
            cx.ask(pupil.sage, Square(n)).then(Pupil::heard).expect("there is room");
        }
    });
    assert_eq!(heard, ["Ok(400)", "Ok(1)", "Ok(4)", "Ok(100)"]);
    world.shut_down();
}

struct Ask(Address<Clerk>);
impl Handler<Ask> for Pupil {
    type Reply = ();
    fn handle(&mut self, Ask(clerk): Ask, cx: &mut Context<Self>) {
        cx.ask(clerk, Root(1)).then(Pupil::heard).expect("there is room");
    }
}

#[test]
fn a_handler_that_panics_is_an_answer_and_so_is_an_actor_that_has_gone() {
    for ask_break in [
        (|pupil, cx| cx.ask(pupil.sage, Break).then(Pupil::heard).expect("there is room"))
            as fn(&mut Pupil, &mut Context<Pupil>),
        |pupil, cx| cx.ask(pupil.sage, BreakLater).then(Pupil::heard).expect("there is room"),
    ] {
        let book = Book::default();
        let theirs = book.clone();
        let mut world = world_after(move |cx| {
            let sage = cx.spawn(Sage::default()).expect("there is a slot");
            let pupil = Pupil { book: theirs, sage, begin: ask_break };
            cx.spawn(pupil).expect("there is a slot");
            cx.ask(sage, Square(1))
                .then(|_, answer, _| assert_eq!(answer, Err(AskError::Gone)))
                .expect("it has not crashed yet");
        });
        assert_eq!(book.take(), ["Err(Crashed)"]);
        let stats = world.stats();
        assert_eq!((stats.asks, stats.asks_failed, stats.answers_late), (2, 2, 0));
        world.shut_down_after_panics(1);
    }
}

#[test]
fn a_deadline_is_kept_to_the_millisecond_and_what_comes_later_is_counted() {
    let (heard, mut world) = heard(|pupil, cx| {
        let asked = cx.now();
        for (n, ms) in [(4, 9), (9, 20), (16, 0)] {
            let within = Duration::from_millis(ms);
            let told = move |pupil: &mut Pupil, answer: Result<u64, AskError>, cx: &mut Context<Pupil>| {
                let waited = cx.now().since(asked);
                if answer.is_err() {
                    assert!((within..=within + Duration::from_millis(1)).contains(&waited), "{waited:?}");
                }
                pupil.heard(answer, cx);
            };
            cx.ask(pupil.sage, Root(n)).within(within).then(told).expect("there is room");
        }
    });
    assert_eq!(heard, ["Err(TimedOut)", "Err(TimedOut)", "Ok(3)"]);
    assert_eq!(world.stats().answers_late, 2);
    world.shut_down();
}

#[test]
fn deadlines_of_hours_are_kept_and_a_shard_that_waits_for_them_sleeps() {
    let (heard, mut world) = heard(|pupil, cx| {
        for hours in [1, 2] {
            let asked = cx.ask(pupil.sage, Hold).within(Duration::from_secs(3600 * hours)).then(
                move |pupil, answer, cx| {
                    pupil.book.note(format!("{answer:?} after {} h", cx.now().as_millis() / 3_600_000));
                },
            );
            asked.expect("there is room");
        }
    });
    assert!(heard.is_empty());
    let turns = world.turns();
    world.run_for(3600 * 1000);
    let hour = world.turns() - turns;
    // Each open question may wake it once in four seconds, and the client's pings do as often.
    assert!(hour < 6000, "{hour} turns in an hour in which nothing happens");
    world.run_for(3600 * 1000);
    world.shut_down();
}

struct Hold;
impl Handler<Request<Hold, u64>> for Sage {
    type Reply = ();
    fn handle(&mut self, request: Request<Hold, u64>, _: &mut Context<Self>) {
        self.owed.push((0, request.reply));
    }
}

#[test]
fn who_stops_is_not_called_any_more_and_its_questions_end() {
    let (heard, mut world) = heard(|pupil, cx| {
        cx.ask(pupil.sage, Root(4)).then(Pupil::heard).expect("there is room");
        cx.stop();
    });
    assert!(heard.is_empty());
    assert_eq!((world.stats().asks, world.stats().answers_late), (1, 1));
    world.shut_down();
}

#[test]
fn a_shard_has_so_many_questions_and_one_more_comes_back() {
    let book = Book::default();
    let theirs = book.clone();
    let mut world = super::world_with(
        |config| config.asks_max = 2,
        move |cx| {
            let sage = cx.spawn(Sage::default()).expect("there is a slot");
            let begin = |pupil: &mut Pupil, cx: &mut Context<Pupil>| {
                for n in [1, 4, 9] {
                    if let Err(SendError::Full(Root(n))) = cx.ask(pupil.sage, Root(n)).then(Pupil::heard) {
                        pupil.book.note(format!("no room for {n}"));
                    }
                }
            };
            cx.spawn(Pupil { book: theirs, sage, begin }).expect("there is a slot");
        },
    );
    assert_eq!(book.take(), ["no room for 9", "Ok(1)", "Ok(2)"]);
    world.run_for(10_000); // past the deadlines of those that were answered
    assert_eq!(world.stats().asks_failed, 0);
    world.shut_down();
}

/// A session that asks for each message, and tells its client.
struct Desk(Option<Address<Sage>>);

impl Session for Desk {
    fn open(&mut self, cx: &mut Context<Self>) -> Result<(), Close> {
        self.0 = cx.spawn(Sage::default()).ok();
        Ok(())
    }

    fn message(&mut self, message: Message, cx: &mut Context<Self>) -> Result<(), Close> {
        let sage = self.0.ok_or_else(|| Close::new(1013, "no slot"))?;
        Ok(cx.ask(sage, Root(message.len() as u64)).then(Self::tell)?)
    }
}

impl Desk {
    fn tell(&mut self, answer: Result<u64, AskError>, cx: &mut Context<Self>) {
        cx.client().send_text(&format!("{answer:?}")).expect("it is open");
    }
}

#[test]
fn sessions_ask_too() {
    use corewire::sim::{Client, Heard};
    let mut world = World::new(1).at("/", |_: &Upgrade| Ok(Desk(None)));
    let client = world.client(Client::at("/").text("four").text("123456789").until_heard(2).close(1000));
    world.run_until_quiet(10_000);
    let heard: Vec<_> = world.report(client).messages().cloned().collect();
    assert_eq!(heard, [Heard::Text("Ok(2)".into()), Heard::Text("Ok(3)".into())]);
    world.shut_down();
}
