//! Every message comes back once and in order, whatever the kernel and the network do.

use corewire::prelude::*;
use corewire::sim::{self, Client, Fault, Faults, Heard, World};

pub(super) struct Echo;
impl Session for Echo {
    fn message(&mut self, message: Message, cx: &mut Context<Self>) -> Result<(), Close> {
        Ok(cx.client().send(message)?)
    }
}

#[test]
fn without_faults_every_message_comes_back() {
    sim::check(0..20, |world| check_echo(world, Faults::none()));
}

#[test]
fn with_each_fault_alone_every_message_comes_back() {
    for fault in Fault::ALL {
        eprintln!("{fault:?}"); // seen if it fails
        let rate = if fault == Fault::Cut { 0.01 } else { 0.3 };
        sim::check(0..20, |world| check_echo(world, Faults::none().with(fault, rate)));
    }
}

#[test]
fn with_any_faults_together_every_message_comes_back() {
    sim::check(seeds(), |world| {
        let faults = Faults::swarm(world.seed());
        check_echo(world, faults);
    });
}

/// 1,000 seeds, or as many as `SEEDS` says.
fn seeds() -> std::ops::Range<u64> {
    0..std::env::var("SEEDS").map_or(1000, |seeds| seeds.parse().expect("SEEDS is a number"))
}

fn check_echo(world: World, faults: Faults) {
    let shards = world.seed() as u16 % 4 + 1;
    let mut world = world.shards(shards).at("/", |_: &Upgrade| Ok(Echo)).clients(10).faults(faults);
    world.run_until_quiet(300_000);
    world.assert_echoed();
    world.shut_down();
}

#[test]
fn the_closing_handshake_waits_for_no_timer() {
    let mut world = sim::World::new(0).at("/", |_: &Upgrade| Ok(Echo));
    let ann = world.client(Client::at("/").text("hello").until_heard(1).close(1000));
    world.run_until_quiet(10);
    assert_eq!(world.report(ann).heard.last(), Some(&Heard::End));
    world.shut_down();
}
