//! Every message comes back once and in order, whatever the kernel and the network do.

use corewire::prelude::*;
use corewire::sim::{self, Client, Fault, Faults, Heard, World};
use std::cell::Cell;
use std::time::Duration;

pub(super) struct Echo;
impl Session for Echo {
    fn message(&mut self, message: Message, cx: &mut Context<Self>) -> Result<(), Close> {
        Ok(cx.client().send(message)?)
    }
}

/// An echo that now and then wants to hear nothing for a while.
pub(super) struct Talk {
    heard: u32,
}

/// Enough of a rest.
struct GoOn;

impl Talk {
    pub(super) fn new() -> Self {
        Self { heard: 0 }
    }
}

impl Session for Talk {
    fn message(&mut self, message: Message, cx: &mut Context<Self>) -> Result<(), Close> {
        self.heard += 1;
        if self.heard.is_multiple_of(3) {
            cx.client().pause();
            let me = cx.address();
            cx.after(Duration::from_millis(5), me, GoOn).expect("a shard has timers left");
        }
        Ok(cx.client().send(message)?)
    }
}

impl Handler<GoOn> for Talk {
    type Reply = ();
    fn handle(&mut self, _: GoOn, cx: &mut Context<Self>) {
        cx.client().resume();
    }
}

#[test]
fn a_session_that_pauses_hears_everything_in_order() {
    sim::check(super::seeds(200), |world| {
        let faults = Faults::swarm(world.seed());
        check(world.at("/", |_: &Upgrade| Ok(Talk::new())), faults);
    });
}

#[test]
fn with_two_receive_blocks_nobody_starves() {
    sim::check(super::seeds(300), |world| {
        let faults =
            if world.seed().is_multiple_of(2) { Faults::none() } else { Faults::swarm(world.seed()) };
        let world = world.configure(|config| config.receive_bytes = 4096);
        check(world.at("/", |_: &Upgrade| Ok(Echo)), faults);
    });
}

#[test]
fn who_found_no_receive_block_waits_for_no_timer() {
    sim::check(super::seeds(300), |world| {
        let mut world = world.configure(|config| config.receive_bytes = 4096).at("/", |_: &Upgrade| Ok(Echo));
        let script = Client::at("/").wait(Duration::from_millis(10)).binary([7; 1500], 1);
        let clients: Vec<usize> = (0..5).map(|_| world.client(script.clone())).collect();
        world.run_for(11);
        for client in clients {
            assert_eq!(world.report(client).messages().count(), 1, "the echo is there within a millisecond");
        }
        world.shut_down();
    });
}

#[test]
fn without_faults_every_message_comes_back() {
    sim::check(super::seeds(20), |world| check_echo(world, Faults::none()));
}

#[test]
fn with_each_fault_alone_every_message_comes_back() {
    for fault in Fault::ALL {
        eprintln!("{fault:?}"); // seen if it fails
        let rate = if fault == Fault::Cut { 0.01 } else { 0.3 };
        let dealt = Cell::new(0);
        sim::check(super::seeds(20), |world| {
            let talk = world.at("/", |_: &Upgrade| Ok(Talk::new())); // it pauses, so bytes can come late
            dealt.set(dealt.get() + check(talk, Faults::none().with(fault, rate)));
        });
        // What clients do is in their scripts.
        let by_client = matches!(fault, Fault::SlowClient | Fault::StalledClient | Fault::RudeClient);
        assert!(by_client || dealt.get() > 20, "{fault:?} was dealt {} times: too few to tell", dealt.get());
    }
}

#[test]
fn with_any_faults_together_every_message_comes_back() {
    sim::check(super::seeds(1000), |world| {
        let faults = Faults::swarm(world.seed());
        check_echo(world, faults);
    });
}

fn check_echo(world: World, faults: Faults) {
    check(world.at("/", |_: &Upgrade| Ok(Echo)), faults);
}

/// Says how many faults the network and the kernel have dealt.
pub(super) fn check(world: World, faults: Faults) -> u64 {
    let shards = world.seed() as u16 % 4 + 1;
    let mut world = world.shards(shards).clients(10).faults(faults);
    // Who reads byte by byte is not heard for a while, and takes its time to the end.
    world = world.configure(|config| {
        config.rules.idle_timeout = Duration::from_secs(1800);
        config.rules.close_timeout = Duration::from_secs(600);
        // No ping comes to the rescue of who stands still, and queues are short enough to be ahead.
        config.rules.ping_interval = Duration::from_secs(7200);
        config.rules.send_queue_bytes_max = 410_000;
    });
    world.run_until_quiet(7_200_000);
    world.assert_echoed();
    let dealt = Fault::ALL.iter().map(|&fault| world.dealt(fault)).sum();
    world.shut_down();
    dealt
}

#[test]
fn the_closing_handshake_waits_for_no_timer() {
    let mut world = World::new(0).at("/", |_: &Upgrade| Ok(Echo));
    let ann = world.client(Client::at("/").text("hello").until_heard(1).close(1000));
    world.run_until_quiet(10);
    assert_eq!(world.report(ann).heard.last(), Some(&Heard::End));
    world.shut_down();
}

#[test]
fn large_messages_among_small_ones_come_back_whatever_goes_wrong() {
    sim::check(super::seeds(150), |world| {
        let seed = world.seed();
        let faults = if seed.is_multiple_of(3) { Faults::none() } else { Faults::swarm(seed) };
        // Scratch that is far smaller than messages, or about as large.
        let scratch_bytes = if seed.is_multiple_of(2) { 8 << 10 } else { 512 << 10 };
        let mut world = world.at("/", |_: &Upgrade| Ok(Talk::new())).faults(faults).configure(|config| {
            config.scratch_bytes = scratch_bytes;
            config.rules.idle_timeout = Duration::from_secs(1800);
            config.rules.close_timeout = Duration::from_secs(600);
            config.rules.ping_interval = Duration::from_secs(7200);
        });
        for n in 0..6 {
            let mut script = Client::at("/").expects_echo();
            for at in 0..24u8 {
                let bytes = [20, 8_191, 20, 16_384, 70_000, 20, 100_000][(usize::from(at) + n) % 7];
                script = script.binary(vec![at; bytes], 1 + n % 3);
            }
            world.client(script.close(1000));
        }
        world.run_until_quiet(7_200_000);
        world.assert_echoed();
        world.shut_down();
    });
}
