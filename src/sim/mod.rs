//! The same rooms in a made-up world: the whole server, single-threaded, deterministic from a seed, in virtual time.
//!
//! What runs here is what runs in production, down to the last line above [`Driver`](crate::shard::Driver): shards,
//! lanes, doorbells, actors, connections, sessions. Only the kernel, the network and the clients are made up, and they
//! do what one would rather not see: see [`Fault`].
//!
//! - [`World`]: shards, clients, chance, and what must hold at the end; [`check`] runs many of them
//! - [`Client`], [`Heard`], [`Report`]: scripts, and what became of them
//! - [`Fault`], [`Faults`]: what goes wrong, and how often
//! - `crowd`, `living`: clients that are made up, and a client at work
//! - `begun`: what can happen next, and that one thing of it happens
//! - `driver`, `bulk`, `net`: the made-up kernel and network; `workers`: the made-up threads of the worker pool
//! - [`Treadmill`]: what a server costs without its kernel
//!
//! One source of chance decides which shard turns, which piece of a stream arrives, which client acts. Time passes only
//! when nobody can do anything. A shard that sleeps turns again when a completion is ready, when its doorbell was rung,
//! or when a timer of its own is due; there is no watchdog that would hide a lost wake-up.
//!
//! Does not know: sockets, threads, the time of day (but for the treadmill, which has real threads).
//!
//! A message comes from a [`Client`] and leaves for `shard`, as if it came from `shard::uring`.

mod begun;
mod bulk;
mod client;
mod crowd;
mod driver;
mod fault;
mod living;
mod net;
mod treadmill;
mod workers;
mod world;

pub use client::{Client, Heard, Report};
pub use fault::{Fault, Faults};
pub use treadmill::{Pace, Treadmill};
pub use world::World;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// Runs `scenario` in the worlds of `seeds`. If it panics in one, says with which seed to see it again; with `SEED=n` in
/// the environment only that world is run.
///
/// ```
/// use corewire::prelude::*;
/// use corewire::sim::{self, Faults};
///
/// struct Echo;
/// impl Session for Echo {
///     fn message(&mut self, message: Message, cx: &mut Context<Self>) -> Result<(), Close> {
///         Ok(cx.client().send(message)?)
///     }
/// }
///
/// sim::check(0..3, |world| {
///     let seed = world.seed();
///     let mut world = world.shards(2).at("/", |_: &Upgrade| Ok(Echo)).clients(5).faults(Faults::swarm(seed));
///     world.run_until_quiet(120_000);
///     world.assert_echoed();
///     world.shut_down();
/// });
/// ```
///
/// # Panics
/// As the scenario does.
pub fn check(seeds: impl IntoIterator<Item = u64>, scenario: impl Fn(World)) {
    let only = std::env::var("SEED").ok().map(|seed| seed.parse().expect("SEED is a number"));
    let seeds: Box<dyn Iterator<Item = u64>> = match only {
        Some(seed) => Box::new(std::iter::once(seed)),
        None => Box::new(seeds.into_iter()),
    };
    for seed in seeds {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| scenario(World::new(seed)))) {
            eprintln!("replay with SEED={seed}");
            resume_unwind(panic);
        }
    }
}
