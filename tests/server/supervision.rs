//! A family on the real server: crashes, restarts, and an end that another shard hears of.

use super::harness::{Local, PATIENCE};
use corewire::actor::{Restart, Supervision};
use corewire::prelude::*;
use corewire::shard::ShardId;
use std::time::Duration;

/// Counts what it is told, until it is told to crash.
struct Counter(u64);
struct Count;
struct Crash;

impl Actor for Counter {}

impl Handler<Count> for Counter {
    type Reply = u64;
    fn handle(&mut self, _: Count, _: &mut Context<Self>) -> u64 {
        self.0 += 1;
        self.0
    }
}

impl Handler<Crash> for Counter {
    type Reply = ();
    fn handle(&mut self, _: Crash, _: &mut Context<Self>) {
        std::panic::resume_unwind(Box::new("on purpose"));
    }
}

/// Has one child.
struct Boss(Option<Address<Counter>>);
struct Child;

impl Actor for Boss {
    const SUPERVISION: Supervision = Supervision::ONE_FOR_ONE
        .restarts(20, Duration::from_secs(3600))
        .back_off(Duration::from_millis(1), Duration::from_millis(2));

    fn started(&mut self, cx: &mut Context<Self>) {
        self.0 = cx.spawn_child(Restart::OnFailure, || Counter(0)).ok();
    }
}

impl Handler<Child> for Boss {
    type Reply = Option<Address<Counter>>;
    fn handle(&mut self, _: Child, _: &mut Context<Self>) -> Self::Reply {
        self.0
    }
}

/// Tells a thread what it hears.
struct Watcher {
    counter: Address<Counter>,
    boss: Address<Boss>,
    told: flume::Sender<String>,
}

impl Actor for Watcher {
    fn started(&mut self, cx: &mut Context<Self>) {
        cx.watch(self.counter).expect("there is room");
        cx.watch(self.boss).expect("there is room");
        // Behind the watches, so they are there when it is answered.
        cx.ask(self.counter, Count)
            .then(|watcher, answer, _| watcher.tell(format!("{answer:?}")))
            .expect("there is room");
    }
}

impl Watcher {
    fn tell(&self, what: String) {
        self.told.send(what).expect("the test listens");
    }
}

impl Handler<Down> for Watcher {
    type Reply = ();
    fn handle(&mut self, down: Down, _: &mut Context<Self>) {
        self.tell(match down.reason {
            Reason::Escalated(escalation) => format!("escalated: {:?}", escalation.failure),
            reason => format!("{reason:?}"),
        });
    }
}

#[test]
fn a_child_of_the_real_server_is_made_anew_until_its_budget_is_spent_and_other_shards_hear_of_the_end() {
    let server = Local::with(|_| (), |server| server.at("/", |_: &Upgrade| Ok(super::harness::Echo)));
    let outside = server.handle.outside();
    let boss = outside.spawn_on(ShardId(0), Boss(None)).wait(PATIENCE).expect("there is a slot");
    let counter = outside.ask(boss, Child).wait().expect("it answers").expect("it has a child");
    let (told, hear) = flume::unbounded();
    let watcher = Watcher { counter, boss, told };
    outside.spawn_on(ShardId(1), watcher).wait(PATIENCE).expect("there is a slot");
    assert_eq!(hear.recv_timeout(PATIENCE).as_deref(), Ok("Ok(1)"));
    for _ in 0..20 {
        assert_eq!(outside.ask(counter, Crash).wait(), Err(AskError::Crashed));
        for counted in 1..3 {
            // Asked while there is nobody, and answered by the next.
            assert_eq!(outside.ask(counter, Count).wait(), Ok(counted));
        }
    }
    assert_eq!(hear.try_recv(), Err(flume::TryRecvError::Empty), "a restart is no end");
    assert_eq!(outside.ask(counter, Crash).wait(), Err(AskError::Crashed));
    let mut heard: Vec<_> =
        (0..2).map(|_| hear.recv_timeout(PATIENCE).expect("it is told in time")).collect();
    heard.sort();
    let why = r#"Panicked("on purpose")"#;
    assert_eq!(heard, [why.to_owned(), format!("escalated: {why}")]);
    assert_eq!(outside.ask(counter, Count).wait(), Err(AskError::Gone));
    let stats = server.handle.stats();
    assert_eq!((stats.restarts, stats.panics, stats.wakes_lost), (20, 21, 0), "{stats:?}");
}
