//! Actors that are started on other shards of the real server, while these sleep; and connections, which live where they are
//! placed.

use super::harness::{Client, Local, Said, connect, exchange, request, wait_until};
use corewire::actor::{NotSpawned, Place};
use corewire::prelude::*;
use corewire::server::{Placement, shard_of_user};
use corewire::shard::ShardId;
use corewire::wire::handshake::Key;

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
