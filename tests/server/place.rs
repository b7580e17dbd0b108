//! Actors that are started on other shards of the real server, while these sleep.

use super::harness::{Local, Said};
use corewire::actor::{NotSpawned, Place};
use corewire::prelude::*;
use corewire::shard::ShardId;

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
