//! Services: one of a kind on every shard, there before all others and after them.

use super::Book;
use corewire::actor::Restart;
use corewire::prelude::*;
use corewire::shard::ShardId;
use corewire::sim::{self, Client, Faults, World};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Keeps what it is told, and tells the other shards' relays what a session says.
struct Relay {
    book: Book,
    shard: ShardId,
}

#[derive(Clone)]
struct Say(String);
#[derive(Clone)]
struct Heard(String);
struct Where;

impl Actor for Relay {
    fn started(&mut self, cx: &mut Context<Self>) {
        assert_eq!(self.shard, cx.shard(), "it is made for the shard that it lives on");
        assert_eq!(cx.service::<Relay>(), Some(cx.address()), "it is the one");
        // The service after it has not started, and takes mail.
        let log = cx.service::<Log>().expect("it is a service too");
        cx.send(log, Heard("the relay has started".into())).expect("it is there already");
    }

    fn stopped(&mut self, reason: &Reason, cx: &mut Context<Self>) {
        self.book.note(format!("relay {}: {reason:?}", self.shard.0));
        let log = cx.service::<Log>().expect("it is a service too");
        assert!(
            matches!(cx.send(log, Heard("too late".into())), Err(SendError::Gone(_))),
            "the last stops first"
        );
    }
}

impl Handler<Say> for Relay {
    type Reply = ();
    fn handle(&mut self, Say(what): Say, cx: &mut Context<Self>) {
        assert_eq!(cx.services::<Relay>().count(), usize::from(cx.shards()));
        assert_eq!(cx.send_to_many(cx.services::<Relay>(), Heard(what)), 0, "there is room");
    }
}

impl Handler<Heard> for Relay {
    type Reply = ();
    fn handle(&mut self, Heard(what): Heard, _: &mut Context<Self>) {
        self.book.note(format!("{}: {what}", self.shard.0));
    }
}

impl Handler<Where> for Relay {
    type Reply = ShardId;
    fn handle(&mut self, _: Where, cx: &mut Context<Self>) -> ShardId {
        cx.shard()
    }
}

/// The second service.
struct Log(Arc<AtomicU32>);

impl Actor for Log {}

impl Handler<Heard> for Log {
    type Reply = ();
    fn handle(&mut self, _: Heard, _: &mut Context<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Says what its client says, and a last word when the server ends.
struct Guest;

impl Session for Guest {
    fn message(&mut self, message: Message, cx: &mut Context<Self>) -> Result<(), Close> {
        let what = message.as_text().unwrap_or_default().to_owned();
        let relay = cx.service::<Relay>().expect("main starts one a shard");
        Ok(cx.send(relay, Say(what))?)
    }

    fn closed(&mut self, _: CloseReason, cx: &mut Context<Self>) {
        for relay in cx.services::<Relay>() {
            cx.send(relay, Heard("bye".into())).expect("services stop when nobody else is left anywhere");
        }
    }
}

fn with_services(world: World, book: &Book) -> (World, Arc<AtomicU32>) {
    let (book, lines) = (book.clone(), Arc::new(AtomicU32::new(0)));
    let theirs = lines.clone();
    let world = world
        .service(move |shard| Relay { book: book.clone(), shard })
        .service(move |_| Log(theirs.clone()))
        .at("/", |_: &Upgrade| Ok(Guest));
    (world, lines)
}

#[test]
fn a_service_is_on_every_shard_before_the_first_client_and_after_the_last() {
    sim::check(0..50, |world| {
        let (seed, book) = (world.seed(), Book::default());
        let (world, lines) = with_services(world, &book);
        let mut world = world.shards(3).faults(Faults::swarm(seed));
        let silent: Vec<_> = (0..6).map(|_| world.client(Client::at("/").text("hi"))).collect();
        world.run_for(2000);
        assert_eq!(lines.load(Ordering::Relaxed), 3, "each relay wrote one line");
        let hi = book.take();
        let opened = silent.iter().filter(|&&client| !world.report(client).cut).count();
        assert!(
            hi.len() >= opened * 3 && hi.len() % 3 == 0,
            "{opened} guests, each heard on 3 shards: {hi:?}"
        );
        world.shut_down();
        let ends = book.take();
        let first_end = ends.iter().position(|line| line.contains("Shutdown")).expect("relays end");
        let after: Vec<_> = ends[first_end..].iter().filter(|line| !line.contains("Shutdown")).collect();
        assert!(after.is_empty(), "a relay ended while somebody had something to say: {ends:?}");
        assert_eq!(ends.len() - first_end, 3, "{ends:?}");
    });
}

#[test]
fn what_has_a_key_belongs_to_one_service_wherever_one_asks() {
    let book = Book::default();
    let (world, _) = with_services(World::new(1), &book);
    let mut world = world.shards(4);
    let outside = world.outside();
    let mut homes = [0; 4];
    for number in 0..400 {
        let key = format!("room {number}");
        let home = outside.service_for::<Relay>(key.as_str()).expect("there is a relay everywhere");
        assert_eq!(outside.service_for::<Relay>(key.as_str()), Some(home));
        homes[usize::from(home.id().shard().0)] += 1;
    }
    assert!(homes.iter().all(|&keys| keys > 60), "some shards have too many keys: {homes:?}");
    world.shut_down();
}

#[test]
fn other_threads_know_the_services_too() {
    let book = Book::default();
    let (world, _) = with_services(World::new(1), &book);
    let mut world = world.shards(3);
    let outside = world.outside();
    let mut asked: Vec<_> = outside
        .services::<Relay>()
        .map(|relay| outside.ask(relay, Where).put().expect("there is room before the first turn"))
        .collect();
    world.run_for(10);
    let said: Vec<_> = asked.iter_mut().map(|asked| asked.ready()).collect();
    assert_eq!(said, (0..3).map(|shard| Some(Ok(ShardId(shard)))).collect::<Vec<_>>());
    assert!(outside.service_on::<Relay>(ShardId(3)).is_none(), "there is no such shard");
    assert!(outside.service_on::<Stranger>(ShardId(0)).is_none(), "there is no such service");
    world.shut_down();
}

struct Stranger;
impl Actor for Stranger {}

/// Is gone at once.
struct Brief;
impl Actor for Brief {
    fn started(&mut self, cx: &mut Context<Self>) {
        cx.stop();
    }
}

/// Finds that out, and takes its slot.
struct Finder(Arc<Mutex<Option<bool>>>);
impl Actor for Finder {
    fn started(&mut self, cx: &mut Context<Self>) {
        let brief = cx.service::<Brief>().expect("its address is known, even when it has gone");
        let successor = cx.spawn(Stranger).expect("there is room");
        *self.0.lock().unwrap() = Some(brief.id() == successor.id());
    }
}

#[test]
fn who_takes_the_slot_of_a_service_that_has_gone_is_not_taken_for_it() {
    let found = Arc::new(Mutex::new(None));
    let theirs = found.clone();
    let mut world = World::new(1).service(|_| Brief).service(move |_| Finder(theirs.clone()));
    world.run_for(10);
    assert_eq!(*found.lock().unwrap(), Some(false));
    world.shut_down(); // the successor is told to go with the others
}

/// Has a child that does the work.
struct Foreman {
    book: Book,
}
struct Hand {
    book: Book,
}

impl Actor for Foreman {
    fn started(&mut self, cx: &mut Context<Self>) {
        let book = self.book.clone();
        cx.spawn_child(Restart::Always, move || Hand { book: book.clone() }).expect("there is room");
    }

    fn stopped(&mut self, _: &Reason, _: &mut Context<Self>) {
        self.book.note("the foreman stops");
    }
}

impl Actor for Hand {
    fn stopped(&mut self, _: &Reason, _: &mut Context<Self>) {
        self.book.note("the hand stops");
    }
}

#[test]
fn the_children_of_a_service_do_not_keep_a_server_from_ending() {
    let book = Book::default();
    let theirs = book.clone();
    let mut world = World::new(7).service(move |_| Foreman { book: theirs.clone() });
    world.run_for(10);
    world.shut_down();
    assert_eq!(book.take(), ["the hand stops", "the foreman stops"]);
}

/// Ends when it has handled its mail, and waits for what never comes.
struct Stuck;

impl Actor for Stuck {
    fn started(&mut self, cx: &mut Context<Self>) {
        let me = cx.address();
        cx.send(me, Heard("never".into())).expect("there is room");
        cx.wait(std::future::pending::<()>(), |_, (), _| ()).expect("there is room");
    }

    fn stopping(&mut self, _: &mut Context<Self>) -> Stopping {
        Stopping::AfterMail
    }
}

impl Handler<Heard> for Stuck {
    type Reply = ();
    fn handle(&mut self, _: Heard, _: &mut Context<Self>) {
        unreachable!("it waits");
    }
}

struct Parent;

impl Actor for Parent {
    fn started(&mut self, cx: &mut Context<Self>) {
        cx.spawn_child(Restart::Always, || Stuck).expect("there is room");
    }
}

#[test]
fn a_service_whose_child_waits_for_ever_ends_when_time_is_up() {
    let mut world = World::new(7).service(|_| Parent);
    world.run_for(10);
    world.shut_down();
}

/// Counts what it is told, in each of its lives.
struct Till {
    book: Book,
    shard: ShardId,
    sum: u64,
}
struct Pay(u64);
struct Rob;
struct Retire;

impl Actor for Till {
    fn started(&mut self, cx: &mut Context<Self>) {
        self.book.note(format!("till {} at {}", self.shard.0, cx.now().as_millis() / 10 * 10));
    }

    fn stopped(&mut self, reason: &Reason, _: &mut Context<Self>) {
        self.book.note(format!("till {}: {}, {reason:?}", self.shard.0, self.sum));
    }
}

impl Handler<Pay> for Till {
    type Reply = u64;
    fn handle(&mut self, Pay(n): Pay, _: &mut Context<Self>) -> u64 {
        self.sum += n;
        self.sum
    }
}

impl Handler<Rob> for Till {
    type Reply = u64;
    fn handle(&mut self, _: Rob, _: &mut Context<Self>) -> u64 {
        panic!("on purpose");
    }
}

impl Handler<Retire> for Till {
    type Reply = ();
    fn handle(&mut self, _: Retire, cx: &mut Context<Self>) {
        cx.stop();
    }
}

fn with_tills(shards: u16) -> (World, Book) {
    let book = Book::default();
    let theirs = book.clone();
    let till = move |shard| Till { book: theirs.clone(), shard, sum: 0 };
    let world = World::new(1).configure(|config| config.drain_timeout = Duration::from_secs(1000));
    (world.shards(shards).service(till), book)
}

#[test]
fn a_service_that_panics_is_made_anew_at_its_address_and_its_mail_waited() {
    let (mut world, book) = with_tills(2);
    let outside = world.outside();
    let till = outside.service_on::<Till>(ShardId(1)).expect("there is one a shard");
    world.run_for(1);
    let mut asked = vec![outside.ask(till, Pay(5)).put().expect("there is room")];
    asked.push(outside.ask(till, Rob).put().expect("there is room"));
    asked.push(outside.ask(till, Pay(7)).put().expect("there is room"));
    world.run_for(100);
    let said: Vec<_> = asked.iter_mut().filter_map(|asked| asked.ready()).collect();
    assert_eq!(said, [Ok(5), Err(AskError::Crashed), Ok(7)]);
    assert_eq!(book.take().last().map(String::as_str), Some("till 1 at 10"), "after a pause");
    world.shut_down_after_panics(1);
    let mut ends = book.take();
    ends.sort();
    assert_eq!(ends, ["till 0: 0, Shutdown", "till 1: 7, Shutdown"]);
}

#[test]
fn a_service_is_never_gone_for_good_by_its_panics() {
    let (mut world, book) = with_tills(1);
    let outside = world.outside();
    let till = outside.service_on::<Till>(ShardId(0)).expect("there is one a shard");
    for _ in 0..20 {
        outside.send(till, Rob).expect("there is room");
    }
    world.run_for(60_000);
    let begun = book.take().len();
    assert_eq!(begun, 21, "it was made anew after each");
    let mut asked = outside.ask(till, Pay(1)).put().expect("there is room");
    world.run_for(10);
    assert_eq!(asked.ready(), Some(Ok(1)));
    world.shut_down_after_panics(20);
}

#[test]
fn a_service_that_stops_by_itself_is_gone() {
    let (mut world, book) = with_tills(1);
    let outside = world.outside();
    let till = outside.service_on::<Till>(ShardId(0)).expect("there is one a shard");
    outside.send(till, Retire).expect("there is room");
    world.run_for(100);
    let mut asked = outside.ask(till, Pay(1)).put().expect("there is room");
    world.run_for(10);
    assert_eq!(asked.ready(), Some(Err(AskError::Gone)));
    assert_eq!(book.take(), ["till 0 at 0", "till 0: 0, Stopped"]);
    world.shut_down();
}

#[test]
fn a_service_that_waits_to_be_made_anew_does_not_keep_a_server_from_ending() {
    let (mut world, book) = with_tills(3);
    let outside = world.outside();
    for till in outside.services::<Till>() {
        outside.send(till, Rob).expect("there is room");
    }
    world.run_for(5);
    world.shut_down_after_panics(3);
    assert_eq!(book.take().len(), 3, "nobody was made anew for that");
}
