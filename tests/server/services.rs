//! Services of the real server: on every shard, from the first client to after the last; and those that cannot be.

use super::harness::{Client, Local, Said, config};
use corewire::prelude::*;
use corewire::shard::ShardId;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Adds up, on its shard.
struct Tally {
    shard: ShardId,
    sum: u64,
    sums: Arc<Mutex<Vec<u64>>>,
}

struct Add(u64);

impl Actor for Tally {
    fn stopped(&mut self, _: &Reason, cx: &mut Context<Self>) {
        assert_eq!(self.shard, cx.shard());
        self.sums.lock().unwrap().push(self.sum);
    }
}

impl Handler<Add> for Tally {
    type Reply = u64;
    fn handle(&mut self, Add(n): Add, _: &mut Context<Self>) -> u64 {
        self.sum += n;
        self.sum
    }
}

/// Adds to all shards' tallies, and once more when it goes.
struct Counting;

impl Session for Counting {
    fn message(&mut self, message: Message, cx: &mut Context<Self>) -> Result<(), Close> {
        for tally in cx.services::<Tally>() {
            cx.send(tally, Add(1))?;
        }
        Ok(cx.client().send(message)?)
    }

    fn closed(&mut self, _: CloseReason, cx: &mut Context<Self>) {
        for tally in cx.services::<Tally>() {
            cx.send(tally, Add(100)).expect("services stop last");
        }
    }
}

#[test]
fn services_are_there_before_the_first_client_and_after_the_last() {
    let sums = Arc::new(Mutex::new(Vec::new()));
    let theirs = sums.clone();
    let server = Local::with(
        |config| config.workers = 3,
        |server| {
            server
                .service(move |shard| Tally { shard, sum: 0, sums: theirs.clone() })
                .at("/", |_: &Upgrade| Ok(Counting))
        },
    );
    let mut clients: Vec<Client> = (0..20).map(|_| server.client()).collect();
    for client in &mut clients {
        client.text("one");
        assert_eq!(client.next(), Said::Text("one".into()));
    }
    let outside = server.handle.outside().clone();
    for tally in outside.services::<Tally>() {
        let sum = outside.ask(tally, Add(0)).within(Duration::from_secs(10)).wait();
        assert!(sum.is_ok_and(|sum| sum <= 20), "{sum:?}");
    }
    server.handle.stop();
    for client in &mut clients {
        assert!(matches!(client.next_but_pings(), Said::Close(Some(1001), _)));
        client.close(1001, "");
        assert_eq!(client.next(), Said::End);
    }
    server.join();
    assert_eq!(*sums.lock().unwrap(), [2020; 3]);
}

#[test]
fn a_service_that_cannot_be_made_or_is_there_already_is_said_at_the_start() {
    let server = Server::bind("127.0.0.1:0").config(config()).at("/", |_: &Upgrade| Ok(Counting));
    let broken = server.service(|shard: ShardId| -> Tally { panic!("no ledger for {shard}") });
    let error = broken.start().expect_err("it has no services");
    assert!(error.to_string().contains("no ledger for shard"), "{error}");

    let server = Server::bind("127.0.0.1:0").config(config()).at("/", |_: &Upgrade| Ok(Counting));
    let tally = |shard| Tally { shard, sum: 0, sums: Arc::default() };
    let error = server.service(tally).service(tally).start().expect_err("one of them could not be reached");
    assert!(error.to_string().contains("two services of type"), "{error}");
}
