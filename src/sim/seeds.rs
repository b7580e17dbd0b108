//! Many worlds, one a seed; and the seed of the one that failed.

use super::world::World;
use std::ops::{Range, RangeInclusive};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// Which worlds [`check`] runs: so many, or those of a range.
pub trait Seeds {
    /// One after the other.
    fn seeds(self) -> impl Iterator<Item = u64>;
}

/// The first so many.
impl Seeds for u64 {
    fn seeds(self) -> impl Iterator<Item = u64> {
        0..self
    }
}

impl Seeds for Range<u64> {
    fn seeds(self) -> impl Iterator<Item = u64> {
        self
    }
}

impl Seeds for RangeInclusive<u64> {
    fn seeds(self) -> impl Iterator<Item = u64> {
        self
    }
}

/// Runs `scenario` in the worlds of `seeds`: so many, or a range. If it panics in one, says with which seed to see it again;
/// with `SEED=n` in the environment only that world is run.
///
/// An assertion that fails in a handler ends only its actor, as everywhere; [`World::shut_down`] fails because of it.
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
/// sim::check(3, |world| {
///     let seed = world.seed();
///     let mut world = world.shards(2).at("/", |_: &Upgrade| Ok(Echo)).clients(5).faults(Faults::swarm(seed));
///     world.run_until_quiet(120_000);
///     world.assert_echoed();
///     world.shut_down();
/// });
/// ```
///
/// # Panics
/// As the scenario does; and if `SEED` is set and no number.
pub fn check(seeds: impl Seeds, scenario: impl Fn(World)) {
    if let Ok(seed) = std::env::var("SEED") {
        return scenario(World::new(seed.parse().expect("SEED is a number")));
    }
    for seed in seeds.seeds() {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| scenario(World::new(seed)))) {
            eprintln!("replay with SEED={seed}");
            resume_unwind(panic);
        }
    }
}
