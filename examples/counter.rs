//! A first actor: one counter for all clients of all shards, without a lock.

use corewire::prelude::*;
use corewire::shard::ShardId;

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

struct Visitor;
impl Session for Visitor {
    fn message(&mut self, _: Message, cx: &mut Context<Self>) -> Result<(), Close> {
        let counter = cx.service_on::<Counter>(ShardId(0)).ok_or(Close::new(1011, "no counter"))?;
        Ok(cx.ask(counter, Add(1)).then(|_, sum: Result<u64, AskError>, cx| {
            let _ = cx.client().send_text(&sum.map_or("?".into(), |sum| sum.to_string()));
        })?)
    }
}

fn main() -> corewire::Result {
    Server::bind(":9001").service(|_: ShardId| Counter(0)).at("/", |_: &Upgrade| Ok(Visitor)).run()
}
