//! No cycle of full mailboxes or lanes can stop a shard. Everybody sends and asks in circles across shards, all through
//! one, or all to all, with mailboxes and lanes of two slots; then time must not pass for want of anybody's room: in a world,
//! time passes only when nobody can do anything.

use corewire::actor::{Group, NameError, Overflow, Priority, Returned};
use corewire::prelude::*;
use corewire::sim::{self, Client, Faults};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What all did together.
#[derive(Default)]
struct Book {
    ring: Vec<Address<Member>>,
    shape: Shape,
    /// Errands go from shard to shard all the time.
    errands: bool,
    /// It is the end: nothing new is begun, so that everybody hears of it.
    calm: bool,
    /// Names that were claimed, and that it was decided about.
    claimed: u64,
    decided: u64,
    sent: u64,
    handled: u64,
    refused: u64,
    returned: u64,
    /// Questions and what became of them.
    asked: u64,
    answered: u64,
    full: u64,
    dropped: u64,
    /// The one who was asked could not ask the next, and let go.
    no_reply: u64,
    other: Vec<AskError>,
}

/// Who sends to whom.
#[derive(Debug, Clone, Copy, Default)]
enum Shape {
    /// To the next, mostly.
    #[default]
    Ring,
    /// To the first, and the first to anybody.
    Star,
    /// To anybody.
    Clique,
}

type Shared = Arc<Mutex<Book>>;

struct Member {
    book: Shared,
    rng: fastrand::Rng,
    /// Questions that it answers all at once.
    owed: Vec<ReplyTo<u32>>,
    owes_no_more: bool,
}

/// Goes round until it has no hops left, and doubles now and then.
struct Token(u32);
/// Goes round, and the answer all the way back.
struct Round(u32);
/// Kept, and answered with all others.
struct Kept;
struct Begin(u32);
struct End;

impl Member {
    /// Who gets what it sends.
    fn next(&mut self, cx: &Context<Self>) -> Address<Member> {
        let book = self.book.lock().unwrap();
        let me = book.ring.iter().position(|member| *member == cx.address()).expect("it is in the ring");
        let step = match book.shape {
            Shape::Ring if self.rng.u8(0..4) > 0 => 1,
            Shape::Star if me > 0 => return book.ring[0],
            Shape::Ring | Shape::Star | Shape::Clique => self.rng.usize(1..=book.ring.len()),
        };
        book.ring[(me + step) % book.ring.len()]
    }

    /// Has shards do something for each other, of whatever kind.
    fn run_errand(&mut self, cx: &mut Context<Self>) {
        let (me, other) = (cx.address(), self.next(cx));
        let kind = self.rng.u8(0..6);
        match kind {
            0 => drop(cx.watch(other)),
            1 => drop(cx.unwatch(other)),
            2 => drop(cx.join(MEMBERS)),
            3 => drop(cx.leave(MEMBERS)),
            4 => drop(cx.unregister(&format!("name {}", self.rng.u8(0..8)))),
            _ => {
                let name = format!("name {}", self.rng.u8(0..8));
                let claimed =
                    cx.register(&name, me).then(|member: &mut Self, _: Result<(), NameError>, _| {
                        member.book.lock().unwrap().decided += 1;
                    });
                self.book.lock().unwrap().claimed += u64::from(claimed.is_ok());
            }
        }
    }

    fn pass_on(&mut self, hops: u32, cx: &mut Context<Self>) {
        let priority =
            [Priority::Low, Priority::Normal, Priority::High, Priority::Critical][self.rng.usize(0..4)];
        let to = self.next(cx);
        let sent = cx.send_at(priority, to, Token(hops));
        let mut book = self.book.lock().unwrap();
        book.sent += 1;
        book.refused += u64::from(sent.is_err());
    }

    fn ask(&mut self, hops: u32, cx: &mut Context<Self>) {
        let to = self.next(cx);
        let asked = cx.ask(to, Round(hops)).within(DEADLINE).then(Self::heard);
        self.book.lock().unwrap().asked += u64::from(asked.is_ok());
    }

    fn answer_all(&mut self, cx: &mut Context<Self>) {
        for reply in self.owed.drain(..) {
            reply.send(0, cx);
        }
    }

    fn heard(&mut self, answer: Result<u32, AskError>, cx: &mut Context<Self>) {
        self.count(&answer);
        if self.rng.u8(0..3) == 0 && !self.book.lock().unwrap().calm {
            self.pass_on(3, cx);
        }
    }

    fn count(&self, answer: &Result<u32, AskError>) {
        let mut book = self.book.lock().unwrap();
        match answer {
            Ok(_) => book.answered += 1,
            Err(AskError::Full) => book.full += 1,
            Err(AskError::Dropped) => book.dropped += 1,
            Err(AskError::NoReply) => book.no_reply += 1,
            Err(error) => book.other.push(*error),
        }
    }
}

impl Actor for Member {
    const MAILBOX_SLOTS: Option<u32> = Some(2);
    const OVERFLOW: Overflow = Overflow::Refuse;

    fn started(&mut self, cx: &mut Context<Self>) {
        let me = cx.address();
        let before = {
            let ring = &mut self.book.lock().unwrap().ring;
            ring.push(me);
            ring.len() as u64
        };
        cx.after(Duration::from_millis(50), me, Begin(10)).expect("a shard has timers left");
        // One after the other: a timer whose message finds no room is none.
        cx.after(Duration::from_millis(100 + before), me, End).expect("a shard has timers left");
    }

    fn returned(&mut self, returned: Returned, cx: &mut Context<Self>) {
        self.book.lock().unwrap().returned += 1;
        if let Ok(Token(hops)) = returned.downcast()
            && let Some(hops) = hops.checked_sub(1)
        {
            self.pass_on(hops, cx); // it tries again at once, which is as bad as it gets
        }
    }
}

impl Handler<Begin> for Member {
    type Reply = ();
    fn handle(&mut self, Begin(rounds): Begin, cx: &mut Context<Self>) {
        for _ in 0..4 {
            self.pass_on(20, cx);
            self.ask(12, cx);
            let to = self.next(cx);
            let asked = cx.ask(to, Kept).within(DEADLINE).then(Self::heard);
            self.book.lock().unwrap().asked += u64::from(asked.is_ok());
        }
        self.answer_all(cx);
        if rounds > 0 {
            let me = cx.address();
            cx.after(Duration::from_millis(1), me, Begin(rounds - 1)).expect("a shard has timers left");
        }
    }
}

/// By now nobody has anything left to do, but for what all of them keep.
impl Handler<End> for Member {
    type Reply = ();
    fn handle(&mut self, _: End, cx: &mut Context<Self>) {
        self.owes_no_more = true;
        self.book.lock().unwrap().calm = true;
        self.answer_all(cx);
    }
}

impl Handler<Token> for Member {
    type Reply = ();
    fn handle(&mut self, Token(hops): Token, cx: &mut Context<Self>) {
        let errands = {
            let mut book = self.book.lock().unwrap();
            book.handled += 1;
            book.errands
        };
        if errands {
            self.run_errand(cx);
        }
        let to = self.next(cx);
        let asked = cx.ask(to, Kept).within(DEADLINE).then(Self::heard);
        self.book.lock().unwrap().asked += u64::from(asked.is_ok());
        if let Some(hops) = hops.checked_sub(1) {
            for _ in 0..1 + u8::from(hops % 4 == 0) {
                self.pass_on(hops, cx);
            }
        }
    }
}

/// Of whom it watches; nobody ends before the world does.
impl Handler<Down> for Member {
    type Reply = ();
    fn handle(&mut self, _: Down, _: &mut Context<Self>) {}
}

const MEMBERS: Group<Member> = Group::new("members");

impl Handler<Request<Kept, u32>> for Member {
    type Reply = ();
    fn handle(&mut self, request: Request<Kept, u32>, cx: &mut Context<Self>) {
        self.owed.push(request.reply);
        if self.owed.len() > 20 || self.owes_no_more {
            self.answer_all(cx);
        }
    }
}

/// Answers when the next has: a circle of actors that all wait for each other, and all go on meanwhile.
impl Handler<Request<Round, u32>> for Member {
    type Reply = ();
    fn handle(
        &mut self,
        Request { message: Round(hops), reply }: Request<Round, u32>,
        cx: &mut Context<Self>,
    ) {
        let Some(hops) = hops.checked_sub(1) else { return reply.send(0, cx) };
        let to = self.next(cx);
        let then = move |member: &mut Self, answer: Result<u32, AskError>, cx: &mut Context<Self>| {
            member.count(&answer);
            reply.send(answer.unwrap_or_default() + 1, cx);
        };
        let asked = cx.ask(to, Round(hops)).within(DEADLINE).then(then);
        self.book.lock().unwrap().asked += u64::from(asked.is_ok());
    }
}

/// A session that starts members.
struct Host {
    book: Shared,
    seed: u64,
}

impl Session for Host {
    fn open(&mut self, cx: &mut Context<Self>) -> Result<(), Close> {
        for _ in 0..2 {
            let members = self.book.lock().unwrap().ring.len() as u64;
            let rng = fastrand::Rng::with_seed(self.seed << 8 ^ members);
            cx.spawn(Member { book: self.book.clone(), rng, owed: Vec::new(), owes_no_more: false })
                .map_err(|_| Close::new(1013, "no slot"))?;
        }
        Ok(())
    }

    fn message(&mut self, _: Message, _: &mut Context<Self>) -> Result<(), Close> {
        Ok(())
    }
}

#[test]
fn no_circle_of_full_mailboxes_or_lanes_stops_a_shard() {
    check_that_all_goes_on(200, Shape::Ring, false);
}

#[test]
fn no_star_of_full_mailboxes_or_lanes_stops_a_shard() {
    check_that_all_goes_on(200, Shape::Star, false);
}

#[test]
fn no_clique_of_full_mailboxes_or_lanes_stops_a_shard() {
    check_that_all_goes_on(200, Shape::Clique, false);
}

#[test]
fn full_lanes_do_not_stop_what_shards_do_for_each_other_nor_the_other_way_round() {
    for shape in [Shape::Ring, Shape::Star, Shape::Clique] {
        check_that_all_goes_on(100, shape, true);
    }
}

fn check_that_all_goes_on(seeds: u64, shape: Shape, errands: bool) {
    let seen = Mutex::new([0; 6]);
    sim::check(super::seeds(seeds), |world| {
        let seed = world.seed();
        let book = Shared::default();
        (book.lock().unwrap().shape, book.lock().unwrap().errands) = (shape, errands);
        let hosts = book.clone();
        let make = move |_: &Upgrade| Ok(Host { book: hosts.clone(), seed });
        let mut world = world.shards(seed as u16 % 6 + 1).at("/", make).faults(Faults::none());
        world = world.configure(|config| {
            config.lane_slots = 2;
            config.batch = [1, 2, 32][seed as usize / 6 % 3];
            config.mail_slots = [3, 16, 1000][seed as usize / 18 % 3];
        });
        for _ in 0..6 {
            world.client(Client::at("/"));
        }
        world.run_for(49); // all are there by then
        let members = book.lock().unwrap().ring.len();
        assert_eq!(members, 12);
        // The members begin at 50 ms or little later. What they do takes turns but no time, or a timer alone would end it.
        world.run_for(200);
        {
            let book = book.lock().unwrap();
            assert_eq!(book.sent, book.handled + book.refused + book.returned, "each had one end");
            let ends = book.answered + book.full + book.dropped + book.no_reply;
            assert!(book.other.is_empty(), "{:?}", book.other);
            assert_eq!(book.asked, ends, "each was answered long before its deadline");
            assert_eq!(book.claimed, book.decided, "each name was decided about");
            let ends = [book.handled, book.refused, book.returned, book.answered, book.full, book.decided];
            seen.lock().unwrap().iter_mut().zip(ends).for_each(|(sum, seen)| *sum += seen);
        }
        world.shut_down();
    });
    let seen = seen.into_inner().unwrap();
    println!("{shape:?}: handled, refused, returned, answered, full, decided: {seen:?}");
    let all = if errands { &seen[..] } else { &seen[..5] };
    assert!(all.iter().all(|&seen| seen > 1000), "too few of some to tell: {seen:?}");
}

/// Far beyond what the world is given.
const DEADLINE: Duration = Duration::from_secs(3600);
