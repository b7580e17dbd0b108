//! A first actor: one counter for all clients of all shards, without a lock.

use corewire::prelude::*;
use corewire::shard::ShardId;
use std::{sync::OnceLock, time::Duration};

struct Counter(u64);
impl Actor for Counter {}

struct Add(u64);
impl Handler<Add> for Counter {
    type Reply = u64;
    fn handle(&mut self, Add(n): Add, _: &mut Context<Self>) -> u64 {
        self.0 += n;
        self.0
    }
}

static COUNTER: OnceLock<Address<Counter>> = OnceLock::new();

struct Visitor;
impl Session for Visitor {
    fn message(&mut self, _: Message, cx: &mut Context<Self>) -> Result<(), Close> {
        let counter = *COUNTER.get().ok_or(Close::new(1013, "not open yet"))?;
        Ok(cx.ask(counter, Add(1)).then(|_, sum: Result<u64, AskError>, cx| {
            let _ = cx.client().send_text(&sum.map_or("?".into(), |sum| sum.to_string()));
        })?)
    }
}

fn main() -> corewire::Result {
    Server::bind(":9001").at("/", |_: &Upgrade| Ok(Visitor)).run_with(|running| {
        let counter =
            running.handle().outside().spawn_on(ShardId(0), Counter(0)).wait(Duration::from_secs(1));
        COUNTER.get_or_init(|| counter.expect("a new shard has room"));
    })
}
