//! `Sessions` of several shards, whatever networks and mailboxes do: they come to know exactly who is there, what is for a user
//! reaches each of the user's sessions once, who is kicked is closed, and nothing is left.

use corewire::prelude::*;
use corewire::sim::{self, Client, Fault, Faults, Heard, World};
use corewire_actors::sessions::{
    Count, Counts, End, Fail, Found, InSessions, Kick, List, NotSaid, OfSession, OfUser, SessionId, Sessions,
    SessionsConfig, SignInError, ToUser, Whom,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const SHARDS: u16 = 3;
const USERS: usize = 6;

/// Who is there, as they say themselves. One thread runs the world; the lock is for the compiler.
#[derive(Default)]
struct Book {
    there: BTreeMap<SessionId, There>,
    opened: u64,
    refused: BTreeMap<String, u64>,
    /// Which clients were signed in when this was sent to their user, and have not been signed out since.
    told: BTreeMap<String, BTreeSet<usize>>,
}

#[derive(Clone, PartialEq, Debug)]
struct There {
    guest: Address<Guest>,
    user: String,
    client: usize,
    subscriptions: BTreeSet<String>,
}

type Shared = Arc<Mutex<Book>>;

struct Guest {
    book: Shared,
    user: String,
    client: usize,
    id: Option<SessionId>,
}

/// Signs out, and in again before anybody can have heard of it.
struct Flip;
struct Leave;
struct Subscribe(String, bool);
struct Tell(String, String);
struct Throw(Whom, u16);

impl Session for Guest {
    fn open(&mut self, cx: &mut Context<Self>) -> Result<(), Close> {
        self.book.lock().unwrap().opened += 1;
        Ok(cx.sign_in(&self.user, "phone", Self::signed_in)?)
    }

    fn message(&mut self, _: Message, cx: &mut Context<Self>) -> Result<(), Close> {
        cx.note_activity();
        Ok(())
    }

    fn closed(&mut self, _: CloseReason, _: &mut Context<Self>) {
        self.is_out();
    }
}

impl Guest {
    fn signed_in(&mut self, id: Result<SessionId, SignInError>, cx: &mut Context<Self>) {
        let mut book = self.book.lock().unwrap();
        match id {
            Ok(id) => {
                self.id = Some(id);
                let (guest, user) = (cx.address(), self.user.clone());
                let there = There { guest, user, client: self.client, subscriptions: BTreeSet::new() };
                assert_eq!(book.there.insert(id, there), None, "no two have one number");
            }
            Err(error) => {
                *book.refused.entry(error.to_string()).or_default() += 1;
                drop(book);
                cx.client().close(error.into());
            }
        }
    }

    fn is_out(&mut self) {
        let mut book = self.book.lock().unwrap();
        if let Some(id) = self.id.take() {
            book.there.remove(&id);
        }
        for clients in book.told.values_mut() {
            clients.remove(&self.client);
        }
    }
}

impl Handler<Flip> for Guest {
    type Reply = ();
    fn handle(&mut self, _: Flip, cx: &mut Context<Self>) {
        if self.id.is_some() && cx.sign_out().is_ok() {
            self.is_out();
            let _ = cx.sign_in(&self.user.clone(), "tablet", Self::signed_in); // full: then it stays out
        }
    }
}

impl Handler<Leave> for Guest {
    type Reply = ();
    fn handle(&mut self, _: Leave, cx: &mut Context<Self>) {
        if cx.sign_out().is_ok() {
            self.is_out();
        }
    }
}

impl Handler<Subscribe> for Guest {
    type Reply = ();
    fn handle(&mut self, Subscribe(name, on): Subscribe, cx: &mut Context<Self>) {
        let Some(id) = self.id.filter(|_| cx.note_subscription(&name, on).is_ok()) else { return };
        let mut book = self.book.lock().unwrap();
        let subscriptions = &mut book.there.get_mut(&id).expect("it is there").subscriptions;
        if !on {
            subscriptions.remove(&name);
        } else if subscriptions.len() < 3 {
            subscriptions.insert(name);
        }
    }
}

impl Handler<Tell> for Guest {
    type Reply = ();
    fn handle(&mut self, Tell(user, text): Tell, cx: &mut Context<Self>) {
        let mut buffer = cx.buffer(text.len()).expect("there is memory");
        buffer.extend_from_slice(text.as_bytes()).expect("it was made for it");
        let message = Message::Text(Text::from_utf8(buffer).expect("it is text"));
        if cx.send_to_user(&user, message).is_ok() {
            let mut book = self.book.lock().unwrap();
            let those = book.there.values().filter(|there| there.user == user).map(|there| there.client);
            let those = those.collect();
            book.told.insert(text, those);
        }
    }
}

impl Handler<Throw> for Guest {
    type Reply = ();
    fn handle(&mut self, Throw(whom, code): Throw, cx: &mut Context<Self>) {
        let _ = cx.kick(whom, Close::new(code, "out"));
    }
}

fn user(number: usize) -> String {
    format!("user{}", number % USERS)
}

/// From a service that chance chooses.
fn service(world: &mut World, rng: &mut fastrand::Rng) -> Address<Sessions> {
    let services: Vec<_> = world.outside().services::<Sessions>().collect();
    services[rng.usize(0..services.len())]
}

/// All shards know who is there, and nobody else.
fn check_all_know(world: &mut World, book: &Shared, rng: &mut fastrand::Rng) {
    world.run_for(5000);
    let there = book.lock().unwrap().there.clone();
    let asked = service(world, rng);
    let Counts { users, sessions, partitions, unanswered } = world.ask(asked, Count).expect("it answers");
    let names: BTreeSet<_> = there.values().map(|there| &there.user).collect();
    assert_eq!((sessions, users, unanswered), (there.len() as u64, names.len() as u64, 0));
    let numbers: Vec<_> = partitions.iter().map(|count| count.partition).collect();
    assert_eq!(numbers, Vec::from_iter(0..partitions.len() as u16), "each lives once");
    assert!(partitions.iter().all(|count| count.shard.0 == count.partition % SHARDS));
    for number in 0..USERS {
        let asked = service(world, rng);
        let Found { sessions, unanswered } =
            world.ask(asked, OfUser(user(number).into())).expect("it answers");
        assert_eq!(unanswered, 0);
        let of_user = there.iter().filter(|(_, there)| there.user == user(number));
        assert_eq!(
            Vec::from_iter(sessions.iter().map(|info| info.id)),
            Vec::from_iter(of_user.map(|(id, _)| *id))
        );
        for info in sessions {
            let There { guest, user, subscriptions, .. } = &there[&info.id];
            assert_eq!((info.actor, &*info.user), (guest.id(), &**user));
            let known: BTreeSet<_> = info.subscriptions.iter().map(|name| name.to_string()).collect();
            assert_eq!(known, *subscriptions);
            assert!(info.active >= info.since && info.active <= world.now());
            let asked = service(world, rng);
            assert_eq!(world.ask(asked, OfSession(info.id)), Ok(Some(info)));
        }
    }
    let asked = service(world, rng);
    let found = world.ask(asked, List { most: 1000 }).expect("it answers");
    assert_eq!(
        Vec::from_iter(found.sessions.iter().map(|info| info.id)),
        Vec::from_iter(there.keys().copied())
    );
    let two = world.ask(asked, List { most: 2 }).expect("it answers");
    assert_eq!(two.sessions[..], found.sessions[..there.len().min(2)]);
}

#[test]
fn shards_know_exactly_who_is_there_and_what_is_for_a_user_reaches_all_their_sessions_once() {
    let sums = Mutex::new(BTreeMap::<String, u64>::new());
    sim::check(super::seeds(200), |world| {
        let seed = world.seed();
        let mut rng = fastrand::Rng::with_seed(seed);
        let book = Shared::default();
        let theirs = book.clone();
        let mut config = SessionsConfig::default();
        config.partitions = [16, 1, 5][seed as usize % 3];
        config.sessions_per_user_max = [64, 3][seed as usize / 3 % 2];
        config.sessions_max = [1000, 6][seed as usize / 6 % 2];
        config.subscriptions_max = 3;
        let make = move |upgrade: &Upgrade<'_>| {
            let client = upgrade.query().and_then(|query| query.parse().ok()).expect("it says who it is");
            Ok(Guest { book: theirs.clone(), user: user(client), client, id: None })
        };
        let faults = Faults::swarm(seed);
        let cuts = faults.rate(Fault::Cut) > 0.0;
        let mut world = world.shards(SHARDS).service(Sessions::with(config)).at("/", make).faults(faults);
        world = world.configure(|config| {
            config.lane_slots = [4, 64][seed as usize % 2];
            config.batch = [1, 2, 32][seed as usize / 2 % 3];
            config.watches_max = [15, 1000][seed as usize / 4 % 2];
            config.rules.idle_timeout = Duration::from_secs(3600);
        });
        let mut clients = Vec::new();
        for n in 0..40 {
            let client = Client::at(&format!("/?{n}")).later(Duration::from_millis(rng.u64(0..300)));
            let pause = Duration::from_millis(rng.u64(0..400));
            clients.push(world.client(match n % 8 {
                0 => client.wait(pause).cut(),
                1 => client.wait(pause).close(1000),
                2 => client.wait(pause).reset(),
                3 => client.text("here").wait(pause).text("here"),
                _ => client,
            }));
        }
        let guest = |rng: &mut fastrand::Rng| {
            let there: Vec<_> = book.lock().unwrap().there.values().map(|there| there.guest).collect();
            rng.choice(there)
        };
        for n in 0..150 {
            world.run_for(rng.u64(0..5));
            let outside = world.outside();
            let Some(guest) = guest(&mut rng) else { continue };
            let name = format!("room{}", rng.u8(0..6));
            // A guest may have ended meanwhile.
            match rng.u8(0..8) {
                0 => drop(outside.send(guest, Flip)),
                1 => drop(outside.send(guest, Subscribe(name, true))),
                2 => drop(outside.send(guest, Subscribe(name, false))),
                3 if n % 5 == 0 => drop(outside.send(guest, Leave)),
                _ => drop(outside.send(guest, Tell(user(rng.usize(0..USERS)), format!("word {n}")))),
            }
        }
        check_all_know(&mut world, &book, &mut rng);
        let told = book.lock().unwrap().told.clone();
        let mut words = 0;
        for (client, &number) in clients.iter().enumerate() {
            let report = world.report(number);
            let mut heard = BTreeMap::new();
            for message in report.messages() {
                let Heard::Text(text) = message else { panic!("{message:?}") };
                *heard.entry(text).or_insert(0) += 1;
            }
            assert!(heard.values().all(|&times| times == 1), "client {client} heard twice: {heard:?}");
            for (word, whom) in &told {
                assert!(!whom.contains(&client) || heard.contains_key(word), "client {client} missed {word}");
                words += u64::from(heard.contains_key(word));
            }
        }
        // One session, and all of a user's, are shown out.
        let mut out = BTreeSet::new();
        for (user_too, code) in [(false, 4009), (true, 4010)] {
            let there = book.lock().unwrap().there.clone();
            let Some((id, one)) = rng.choice(&there) else { continue };
            let whom = if user_too { Whom::User(one.user.as_str().into()) } else { Whom::Session(*id) };
            let those =
                there.iter().filter(|(other, there)| *other == id || user_too && there.user == one.user);
            out.extend(those.map(|(_, there)| (there.client, code)));
            if rng.bool() {
                world.outside().send(one.guest, Throw(whom, code)).expect("there is room");
            } else {
                let asked = service(&mut world, &mut rng);
                let close = Close::new(code, "out");
                assert_eq!(world.ask(asked, Kick { whom, close }), Ok(Ok(())));
            }
            check_all_know(&mut world, &book, &mut rng);
        }
        for &(client, code) in &out {
            let report = world.report(clients[client]);
            assert!(
                report.close_code() == Some(Some(code)) || cuts && report.cut,
                "{client}: {:?}",
                report.heard
            );
        }
        {
            let book = book.lock().unwrap();
            let mut sums = sums.lock().unwrap();
            for (why, times) in &book.refused {
                *sums.entry(why.clone()).or_default() += times;
            }
            for (what, times) in
                [("there", book.there.len() as u64), ("words", words), ("out", out.len() as u64)]
            {
                *sums.entry(what.into()).or_default() += times;
            }
        }
        world.drain();
        world.run_until_quiet(3_600_000);
        assert!(book.lock().unwrap().there.is_empty());
        world.shut_down();
    });
    let sums = sums.into_inner().unwrap();
    println!("{sums:?}");
    assert!(sums.values().filter(|&&times| times > 500).count() >= 5, "too little happened: {sums:?}");
}

#[test]
fn what_sessions_are_asked_about_whom_nobody_knows_is_an_answer_too() {
    let make = |_: &Upgrade<'_>| Err::<Guest, _>(Refusal::new(404));
    let mut world =
        World::new(1).shards(SHARDS).service(Sessions::with(SessionsConfig::default())).at("/", make);
    let services: Vec<_> = world.outside().services::<Sessions>().collect();
    for asked in services {
        assert_eq!(world.ask(asked, OfUser("nobody".into())), Ok(Found::default()));
        for id in ["0-1", "2-7", "65535-1"] {
            let id: SessionId = id.parse().unwrap();
            assert_eq!(world.ask(asked, OfSession(id)), Ok(None));
            let kick = Kick { whom: Whom::Session(id), close: Close::normal() };
            assert_eq!(world.ask(asked, kick), Ok(Ok(())));
        }
        let message = Message::Binary(Default::default());
        assert_eq!(world.ask(asked, ToUser { user: "nobody".into(), message }), Ok(Ok(())));
        assert_eq!(world.ask(asked, List { most: 0 }), Ok(Found::default()));
    }
    world.shut_down();
}

#[test]
fn a_service_that_has_failed_comes_to_know_who_is_on_other_shards_and_forgets_its_own() {
    let sums = Mutex::new([0; 2]);
    sim::check(super::seeds(100), |world| {
        let seed = world.seed();
        let mut rng = fastrand::Rng::with_seed(seed);
        let book = Shared::default();
        let theirs = book.clone();
        let make = move |upgrade: &Upgrade<'_>| {
            let client = upgrade.query().and_then(|query| query.parse().ok()).expect("it says who it is");
            Ok(Guest { book: theirs.clone(), user: user(client), client, id: None })
        };
        let sessions = Sessions::with(SessionsConfig::default());
        let mut world = world.shards(SHARDS).service(sessions).at("/", make).configure(|config| {
            config.lane_slots = [4, 64][seed as usize % 2];
            config.batch = [1, 2, 32][seed as usize / 2 % 3];
            config.rules.idle_timeout = Duration::from_secs(3600);
        });
        let mut clients = BTreeMap::new();
        for n in 0..30 {
            clients.insert(n, world.client(Client::at(&format!("/?{n}"))));
        }
        check_all_know(&mut world, &book, &mut rng);
        let mut panics = 0;
        for round in 1..4 {
            let failing = service(&mut world, &mut rng);
            let on_its_shard = |there: &There| there.guest.id().shard() == failing.id().shard();
            let before = book.lock().unwrap().there.clone();
            assert_eq!(world.ask(failing, Fail), Err(AskError::Crashed));
            panics += 1;
            world.run_for(rng.u64(0..50));
            for n in round * 100..round * 100 + 10 {
                clients.insert(n, world.client(Client::at(&format!("/?{n}"))));
            }
            check_all_know(&mut world, &book, &mut rng);
            for (id, there) in &before {
                let closed = world.report(clients[&there.client]).close_code() == Some(Some(1012));
                assert_eq!(closed, on_its_shard(there), "{id}");
                assert!(book.lock().unwrap().there.contains_key(id) || closed, "who is elsewhere stays");
                sums.lock().unwrap()[usize::from(closed)] += 1;
            }
        }
        world.drain();
        world.run_until_quiet(3_600_000);
        world.shut_down_after_panics(panics);
    });
    let sums = sums.into_inner().unwrap();
    assert!(sums.iter().all(|&sum| sum > 1000), "too few stayed, or were closed: {sums:?}");
}

#[test]
fn where_a_service_has_ended_its_users_are_refused_and_nobody_tells_of_its_sessions() {
    let refused = Mutex::new(0);
    sim::check(super::seeds(50), |world| {
        let mut rng = fastrand::Rng::with_seed(world.seed());
        let book = Shared::default();
        let theirs = book.clone();
        let make = move |upgrade: &Upgrade<'_>| {
            let client = upgrade.query().and_then(|query| query.parse().ok()).expect("it says who it is");
            Ok(Guest { book: theirs.clone(), user: user(client), client, id: None })
        };
        let config = SessionsConfig::default();
        let partitions = config.partitions;
        let sessions = Sessions::with(config);
        let mut world = world.shards(SHARDS).service(sessions).at("/", make);
        world = world.configure(|config| config.rules.idle_timeout = Duration::from_secs(3600));
        for n in 0..30 {
            world.client(Client::at(&format!("/?{n}")));
        }
        check_all_know(&mut world, &book, &mut rng);
        let ended = service(&mut world, &mut rng);
        let shard = ended.id().shard();
        let is_homeless =
            |user: &str| corewire::server::shard_of_user(user.as_bytes(), partitions, SHARDS) == shard;
        let before: BTreeSet<SessionId> = book.lock().unwrap().there.keys().copied().collect();
        world.send(ended, End).expect("there is room");
        world.run_for(1000);
        for n in 100..130 {
            world.client(Client::at(&format!("/?{n}")));
        }
        world.run_for(20_000);
        {
            let book = book.lock().unwrap();
            for (id, there) in book.there.iter().filter(|(id, _)| !before.contains(id)) {
                assert!(!is_homeless(&there.user) && there.guest.id().shard() != shard, "{id} was let in");
            }
            *refused.lock().unwrap() += book.refused.values().sum::<u64>();
        }
        let living: Vec<_> = world.outside().services::<Sessions>().filter(|other| *other != ended).collect();
        for number in 0..USERS {
            let user = user(number);
            for &service in &living {
                if is_homeless(&user) {
                    // Who has had nothing to say to it learns it by this.
                    let kick = || Kick { whom: Whom::User((&*user).into()), close: Close::normal() };
                    let _ = world.ask(service, kick()).expect("it answers");
                    world.run_for(1000);
                    assert_eq!(world.ask(service, kick()), Ok(Err(NotSaid::Gone)));
                    continue;
                }
                let found = world.ask(service, OfUser((&*user).into())).expect("it answers");
                let there = book.lock().unwrap().there.clone();
                let of_user = there.iter().filter(|(_, there)| there.user == user);
                let lives = of_user.filter(|(_, there)| there.guest.id().shard() != shard).map(|(id, _)| *id);
                assert_eq!(Vec::from_iter(found.sessions.iter().map(|info| info.id)), Vec::from_iter(lives));
            }
        }
        world.drain();
        world.run_until_quiet(3_600_000);
        world.shut_down();
    });
    assert!(refused.into_inner().unwrap() > 200, "too few were refused to tell");
}
