//! Tests as users write them: actors without clients, clients that lose their connection and come back, many worlds.

use corewire::prelude::*;
use corewire::sim::{self, Client, Fault, Faults, Heard};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::time::Duration;

struct Adder(u64);
struct Add(u64);
struct Vanish;

impl Actor for Adder {}
impl Handler<Add> for Adder {
    type Reply = u64;
    fn handle(&mut self, Add(n): Add, _: &mut Context<Self>) -> u64 {
        self.0 += n;
        self.0
    }
}
impl Handler<Vanish> for Adder {
    type Reply = ();
    fn handle(&mut self, _: Vanish, cx: &mut Context<Self>) {
        cx.stop();
    }
}

#[test]
fn an_actor_is_tested_without_clients() {
    sim::check(100, |world| {
        let seed = world.seed();
        let mut world = world.shards(3).faults(Faults::swarm(seed));
        let adder = world.spawn(Adder(0));
        let other = world.spawn(Adder(100));
        for n in 1..=4 {
            world.send(adder, Add(n)).expect("there is room");
        }
        assert_eq!((world.ask(adder, Add(0)), world.ask(other, Add(1))), (Ok(10), Ok(101)));
        world.send(adder, Vanish).expect("there is room");
        assert_eq!(world.ask(adder, Add(1)), Err(AskError::Gone));
        world.shut_down();
    });
}

#[test]
fn the_seed_that_fails_is_the_one_that_is_named_and_the_others_after_it_do_not_run() {
    let ran = Mutex::new(Vec::new());
    let checked = catch_unwind(AssertUnwindSafe(|| {
        sim::check(1_000, |world| {
            ran.lock().unwrap().push(world.seed());
            if world.seed() == 3 {
                std::panic::resume_unwind(Box::new("on purpose"));
            }
        });
    }));
    assert_eq!(checked.unwrap_err().downcast_ref(), Some(&"on purpose"));
    assert_eq!(*ran.lock().unwrap(), [0, 1, 2, 3]);
}

/// Says the numbers up to ten, from where its client left off.
#[derive(Default)]
struct Feed {
    next: u32,
}

#[derive(Clone)]
struct Tick;

impl Session for Feed {
    fn message(&mut self, message: Message, cx: &mut Context<Self>) -> Result<(), Close> {
        let since = message.as_text().and_then(|text| text.strip_prefix("since ")?.parse().ok());
        self.next = since.ok_or_else(|| Close::new(1008, "since what?"))?;
        let me = cx.address();
        cx.every(Duration::from_millis(7), me, Tick)?;
        Ok(())
    }
}

impl Handler<Tick> for Feed {
    type Reply = ();
    fn handle(&mut self, _: Tick, cx: &mut Context<Self>) {
        if self.next < 10 && cx.client().send_text(&self.next.to_string()).is_ok() {
            self.next += 1;
        }
    }
}

fn numbers() -> Vec<Heard> {
    (0..10).map(|n| Heard::Text(n.to_string())).collect()
}

#[test]
fn a_client_that_is_cut_comes_back_and_hears_everything_once_and_in_order() {
    let came_back = Mutex::new(0);
    sim::check(super::seeds(200), |world| {
        let seed = world.seed();
        let faults = Faults::swarm(seed).with(Fault::Cut, 0.1).with(Fault::RudeClient, 0.0);
        let mut world = world.shards(2).at("/", |_: &Upgrade| Ok(Feed::default())).faults(faults);
        let clients: Vec<usize> = (0..5)
            .map(|_| {
                let first = Client::at("/").text("since 0").until_heard(10).close(1000);
                let again = |report: &sim::Report| {
                    let heard = report.messages().count();
                    Client::at("/").text(&format!("since {heard}")).until_heard(10).close(1000)
                };
                world.client(first.comes_back(1000, Duration::from_millis(50), again))
            })
            .collect();
        world.run_until_quiet(600_000);
        for client in clients {
            let report = world.report(client);
            let heard: Vec<Heard> = report.messages().cloned().collect();
            assert_eq!(heard, numbers(), "{report:?}");
            *came_back.lock().unwrap() += u32::from(report.connections > 1);
        }
        world.shut_down();
    });
    let came_back = came_back.into_inner().unwrap();
    assert!(came_back > 300, "only {came_back} clients were cut and came back, too few to tell");
}

#[test]
fn a_client_is_cut_where_its_script_says_and_comes_back_so_often_and_no_more() {
    let mut world = sim::World::new(1).at("/", |_: &Upgrade| Ok(Feed::default()));
    let again = |report: &sim::Report| {
        let heard = report.messages().count();
        Client::at("/").text(&format!("since {heard}")).until_heard(heard + 2).cut()
    };
    let client = Client::at("/").text("since 0").until_heard(2).cut();
    let client = world.client(client.comes_back(2, Duration::from_millis(1), again));
    world.run_until_quiet(60_000);
    let report = world.report(client);
    let texts: Vec<Heard> = report.messages().cloned().collect();
    assert_eq!((&texts[..], report.connections, report.cut), (&numbers()[..6], 3, true));
    assert_eq!(report.heard.iter().filter(|heard| **heard == Heard::Reset).count(), 3);
    world.shut_down();
}
