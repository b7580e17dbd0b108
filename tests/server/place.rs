//! Actors that are started on other shards of the real server, while these sleep; and connections, which live where they are
//! placed.

use super::harness::{Client, Local, PATIENCE, Said, connect, exchange, request, wait_until};
use corewire::actor::{NotSpawned, Place};
use corewire::prelude::*;
use corewire::server::{Placement, Rebalance, shard_of_user};
use corewire::shard::ShardId;
use corewire::wire::frame::Opcode;
use corewire::wire::handshake::Key;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, mpsc};
use std::time::Duration;

struct Guest;
impl Actor for Guest {}

struct Where;
impl Handler<Where> for Guest {
    type Reply = ShardId;
    fn handle(&mut self, _: Where, cx: &mut Context<Self>) -> ShardId {
        cx.stop();
        cx.shard()
    }
}

/// Starts a guest on the shard that its client says, asks it where it is, and tells.
struct Host;

impl Session for Host {
    fn message(&mut self, message: Message, cx: &mut Context<Self>) -> Result<(), Close> {
        let shard = message.as_text().and_then(|text| text.parse().ok()).unwrap_or(u16::MAX);
        if let Err(error) = cx.spawn_at(Place::Shard(ShardId(shard)), Guest).then(Self::started) {
            cx.client().send_text(&format!("{:?}", error.why))?;
        }
        Ok(())
    }
}

impl Host {
    fn started(&mut self, guest: Result<Address<Guest>, NotSpawned<Guest>>, cx: &mut Context<Self>) {
        cx.ask(guest.expect("there is room"), Where).then(Self::tell).expect("there is room");
    }

    fn tell(&mut self, shard: Result<ShardId, AskError>, cx: &mut Context<Self>) {
        cx.client().send_text(&shard.expect("it is there").0.to_string()).expect("the client reads");
    }
}

#[test]
fn an_actor_is_started_on_a_shard_that_sleeps() {
    let server = Local::with(|config| config.workers = 3, |server| server.at("/", |_: &Upgrade| Ok(Host)));
    let mut clients: Vec<_> = (0..8).map(|_| server.client()).collect();
    for round in 0..40 {
        for client in &mut clients {
            let shard = (round % 3).to_string();
            client.text(&shard);
            assert_eq!(client.next(), Said::Text(shard.into()));
        }
    }
    clients[0].text("3");
    assert_eq!(clients[0].next(), Said::Text("NoShard".into()));
    assert_eq!(server.handle.stats().wakes_lost, 0);
}

#[test]
fn connections_are_placed_one_after_the_other_if_that_is_asked_for() {
    let server = Local::echo(|config| (config.workers, config.placement) = (3, Placement::RoundRobin));
    let clients: Vec<_> = (0..30).map(|_| server.client()).collect();
    assert_eq!(server.handle.connections_by_shard(), [10; 3]);
    drop(clients);
}

#[test]
fn one_client_more_than_all_shards_may_have_is_answered_503() {
    for placement in [Placement::LeastLoaded, Placement::RoundRobin] {
        let server = Local::echo(|config| (config.clients_per_shard_max, config.placement) = (5, placement));
        let mut clients: Vec<_> = (0..10).map(|_| server.client()).collect();
        assert_eq!(server.handle.connections_by_shard(), [5; 2]);
        let ask = || exchange(server.address, &request("/", &[], &Key::from_nonce(*b"sixteen nonces!!")));
        assert!(ask().starts_with("HTTP/1.1 503 "));
        for client in &mut clients {
            client.check_echo("still here");
        }
        clients.truncate(9);
        wait_until("there is room again", || server.handle.stats().connections == 9);
        clients.push(server.client());
        assert_eq!(server.handle.connections_by_shard(), [5; 2]);
    }
}

/// Tells its client where it is.
struct Here;

impl Session for Here {
    fn open(&mut self, cx: &mut Context<Self>) -> Result<(), Close> {
        let shard = cx.shard().0.to_string();
        Ok(cx.client().send_text(&shard)?)
    }

    fn message(&mut self, _: Message, _: &mut Context<Self>) -> Result<(), Close> {
        Ok(())
    }
}

#[test]
fn connections_of_a_user_are_placed_where_the_user_lives() {
    let server = Local::with(
        |config| (config.workers, config.placement) = (3, Placement::UserHash { partitions: 16 }),
        |server| server.at("/", |_: &Upgrade| Ok(Here)),
    );
    for n in 0..30 {
        let user = format!("u{}", n % 10);
        let (mut client, _) = Client::open_at(server.address, &format!("/?user={user}"), &[]);
        let home = shard_of_user(user.as_bytes(), 16, 3).0.to_string();
        assert_eq!(client.next(), Said::Text(home.into()), "{user}");
    }
    // Whose request comes in two pieces is served somewhere.
    let key = Key::from_nonce(*b"sixteen nonces!!");
    let request = request("/?user=u1", &[], &key);
    let mut slow = Client::new(connect(server.address));
    slow.raw(&request[..20]);
    wait_until("the first piece has come", || server.handle.stats().connections > 0);
    slow.raw(&request[20..]);
    slow.opened(&key, &[]);
    assert!(matches!(slow.next(), Said::Text(_)));
    // And so is who says nothing for a while.
    let mut silent = Client::new(connect(server.address));
    wait_until("it is accepted all the same", || server.handle.stats().connections > 1);
    silent.raw(&request);
    silent.opened(&key, &[]);
    assert!(matches!(silent.next(), Said::Text(_)));
}

/// Until when the one that stalls does.
static STALLED: Mutex<Option<mpsc::Receiver<()>>> = Mutex::new(None);

/// An echo that tells where it lives to whom asks, and goes where it is told.
struct Nomad {
    heard: u64,
    moves: u64,
}

impl Session for Nomad {
    const MIGRATION: Option<Migration<Self>> = Migration::ALLOWED;

    fn message(&mut self, message: Message, cx: &mut Context<Self>) -> Result<(), Close> {
        self.heard += 1;
        match message.as_text().map(|text| text.split_once(' ').unwrap_or((text, ""))) {
            Some(("where", _)) => {
                let told = format!("{} {} {}", cx.shard().0, self.moves, self.heard);
                Ok(cx.client().send_text(&told)?)
            }
            Some(("go", to)) => {
                cx.migrate(cx.address(), ShardId(to.parse().expect("a shard")));
                Ok(())
            }
            Some(("stall", _)) => {
                let told = STALLED.lock().expect("nobody panics with it").take().expect("one stalls, once");
                told.recv_timeout(PATIENCE).expect("the watchdog sees it before"); // the fault itself
                Ok(())
            }
            _ => Ok(cx.client().send(message)?),
        }
    }

    fn moved(&mut self, _: ShardId, _: &mut Context<Self>) {
        self.moves += 1;
    }
}

/// What each shard has had to do lately, in thousandths of a core.
fn busy_permilles(handle: &corewire::server::Handle) -> Vec<u32> {
    handle.loads().iter().map(|load| load.busy_permille).collect()
}

fn nomads(change: impl FnOnce(&mut Config)) -> Local {
    Local::with(change, |server| server.at("/", |_: &Upgrade| Ok(Nomad { heard: 0, moves: 0 })))
}

/// Where it lives, how often it has moved, and how much it has heard.
fn place_of(client: &mut Client) -> (u16, u64, u64) {
    client.text("where");
    let Said::Text(told) = client.next() else { panic!("it tells") };
    let told = String::from_utf8(told).expect("it is text");
    let mut words = told.split(' ').map(|word| word.parse::<u64>().expect("a number"));
    let mut next = || words.next().expect("three of them");
    (next() as u16, next(), next())
}

/// Small ones, and some that are read in bulk.
fn sized(n: usize) -> Vec<u8> {
    vec![n as u8; [10, 1000, 70_000, 300_000][n % 4]]
}

#[test]
fn a_session_moves_between_messages_with_all_that_its_client_has_said() {
    let server = nomads(|config| (config.workers, config.placement) = (3, Placement::RoundRobin));
    let mut clients: Vec<_> = (0..6).map(|_| server.client()).collect();
    for round in 0..60 {
        for (n, client) in clients.iter_mut().enumerate() {
            client.text(&format!("go {}", (n + round) % 3));
            // All in flight while it goes: small, large, and in one read with the order to go.
            client.text("at once");
            client.send(Opcode::Binary, &sized(n + round));
        }
        for (n, client) in clients.iter_mut().enumerate() {
            assert_eq!(client.next(), Said::Text("at once".into()));
            assert_eq!(client.next(), Said::Binary(sized(n + round)));
        }
    }
    for client in &mut clients {
        let (_, moves, heard) = place_of(client);
        assert!(moves > 20 && heard == 181, "{moves} moves, {heard} heard");
    }
    assert_eq!(server.handle.connections_by_shard().iter().sum::<u32>(), 6);
    let stats = server.handle.stats();
    assert!(stats.moved > 120 && stats.wakes_lost == 0, "{stats:?}");
}

#[test]
fn a_session_with_clients_behind_moves_with_what_waits_for_them() {
    let server = nomads(|_| ());
    let mut client = server.client();
    let mut expected = Vec::new();
    for round in 0..30_u8 {
        // Nothing is read meanwhile, so much of it waits when it goes.
        client.text(&format!("go {}", round % 2));
        let bytes = vec![round; 40_000];
        client.send(Opcode::Binary, &bytes);
        expected.push(bytes);
    }
    for bytes in expected {
        assert_eq!(client.next(), Said::Binary(bytes));
    }
    let (_, moves, heard) = place_of(&mut client);
    assert!(moves >= 1 && heard == 61, "{moves} moves, {heard} heard");
}

#[test]
fn shards_balance_when_told_and_clients_notice_nothing() {
    let server = nomads(|config| config.placement = Placement::RoundRobin);
    let mut clients: Vec<_> = (0..40).map(|_| server.client()).collect();
    for client in &mut clients {
        client.text("go 0");
    }
    wait_until("all have gone to one", || server.handle.connections_by_shard() == [40, 0]);
    server.handle.rebalance();
    wait_until("half have come back", || server.handle.connections_by_shard() == [20, 20]);
    for client in &mut clients {
        client.check_echo("as before");
    }
    assert!(server.handle.stats().moved >= 20 + 20);
}

#[test]
fn busy_connections_that_are_all_on_one_shard_are_shared_out() {
    let server = nomads(|config| {
        config.placement = Placement::RoundRobin;
        config.rebalance = Some(Rebalance {
            interval: Duration::from_millis(100),
            busy_gap_permille: 30,
            ..Rebalance::default()
        });
    });
    let mut clients: Vec<_> = (0..16).map(|_| server.client()).collect();
    let done = &AtomicBool::new(false);
    let handle = &server.handle;
    std::thread::scope(|scope| {
        // Those of the first shard speak all the time, the others not at all: as many connections, and all of the work on one.
        let busy: Vec<_> = clients
            .drain(..)
            .filter_map(|mut client| (place_of(&mut client).0 == 0).then_some(client))
            .map(|mut client| {
                scope.spawn(move || {
                    while !done.load(Ordering::Relaxed) {
                        for _ in 0..50 {
                            client.text("again");
                        }
                        for _ in 0..50 {
                            assert_eq!(client.next(), Said::Text("again".into()));
                        }
                    }
                    place_of(&mut client)
                })
            })
            .collect();
        assert_eq!(busy.len(), 8);
        wait_until("some have moved", || handle.stats().moved > 0);
        let before = busy_permilles(handle); // what made them move
        wait_until("both have much to do", || {
            let now = busy_permilles(handle);
            now[0] > 0 && now[1] * 2 >= now[0]
        });
        println!("in thousandths of a core: {before:?}, then {:?}", busy_permilles(handle));
        done.store(true, Ordering::Relaxed);
        let places: Vec<_> =
            busy.into_iter().map(|thread| thread.join().expect("it hears its echoes")).collect();
        assert!(places.iter().any(|(shard, ..)| *shard == 1), "{places:?}");
        assert!(places.iter().any(|(shard, ..)| *shard == 0), "not all of them: {places:?}");
    });
}

#[test]
fn connections_leave_a_shard_that_was_stuck() {
    let server = nomads(|config| {
        config.placement = Placement::RoundRobin;
        config.turn_max = Duration::from_millis(50);
        config.rebalance = Some(Rebalance {
            interval: Duration::from_millis(100),
            busy_gap_permille: 900, // nothing else makes one so busy here
            connections_gap_min: u32::MAX,
            ..Rebalance::default()
        });
    });
    let mut clients: Vec<_> = (0..20).map(|_| server.client()).collect();
    for _ in 0..20 {
        clients.iter_mut().for_each(|client| client.check_echo("work of all"));
    }
    let (go_on, told) = mpsc::channel();
    *STALLED.lock().expect("nobody panics with it") = Some(told);
    let stuck = place_of(&mut clients[0]).0;
    clients[0].text("stall");
    wait_until("the watchdog sees it", || server.handle.stats().stalls > 0);
    go_on.send(()).expect("it waits for it");
    wait_until("some have left", || {
        clients.iter_mut().for_each(|client| client.check_echo("who sleeps does not look"));
        server.handle.stats().moved >= 2
    });
    let here = server.handle.connections_by_shard()[usize::from(stuck)];
    assert!((1..=8).contains(&here), "some of ten, and not all: {here} are left");
}
