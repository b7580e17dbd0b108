//! Who is running right now, for the watchdog: a shard that does not come round is seen, and the actor that keeps
//! it is named.

use crate::sync::{Arc, AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// What one shard tells the watchdog. Written by the shard with plain stores, read by the watchdog.
#[derive(Debug, Default)]
#[repr(align(128))] // stored to for every message: a cache line of its own
pub(crate) struct Heartbeat {
    turns: AtomicU64,
    sleeping: AtomicBool,
    /// Index into `kinds` plus one of the actor type that is running; 0 for none.
    running: AtomicU32,
    kinds: Mutex<Vec<&'static str>>,
    stuck: AtomicBool,
    stalls: AtomicU64,
    last: Mutex<Option<&'static str>>,
}

impl Heartbeat {
    /// The shard has one more kind of actors, of the next number. Takes a lock: once a type, not once a message.
    pub(crate) fn add_kind(&self, name: &'static str) {
        self.kinds.lock().unwrap_or_else(PoisonError::into_inner).push(name);
    }

    /// A turn begins.
    pub(crate) fn beat(&self) {
        // One writer: a load and a store cost less than an add that locks.
        self.turns.store(self.turns.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    /// The shard goes to sleep, or wakes.
    pub(crate) fn set_sleeping(&self, sleeping: bool) {
        self.sleeping.store(sleeping, Ordering::Relaxed);
    }

    /// An actor of this kind runs. Says who did before: an actor that starts another goes on after it.
    pub(crate) fn run(&self, kind: u16) -> u32 {
        let before = self.running.load(Ordering::Relaxed);
        self.running.store(u32::from(kind) + 1, Ordering::Relaxed);
        before
    }

    /// It does no more; who did before goes on.
    pub(crate) fn rest(&self, before: u32) {
        self.running.store(before, Ordering::Relaxed);
    }

    /// Whether the shard has not come round for longer than allowed.
    pub(crate) fn is_stuck(&self) -> bool {
        self.stuck.load(Ordering::Relaxed)
    }

    /// How often that has been.
    pub(crate) fn stalls(&self) -> u64 {
        self.stalls.load(Ordering::Relaxed)
    }

    /// Who kept the shard the last time.
    pub(crate) fn last_stall(&self) -> Option<&'static str> {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn running_name(&self) -> &'static str {
        let running = self.running.load(Ordering::Relaxed) as usize;
        let kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        running.checked_sub(1).and_then(|kind| kinds.get(kind).copied()).unwrap_or("no actor (the driver)")
    }
}

/// Looks at the shards every `turn_max` and logs those that are in the same turn as the last time. While all of them
/// sleep it looks ever less often, down to once in [`REST_FACTOR`] times that: each look wakes a core. Ends when `stop`,
/// which waits as long as it is told, says so.
pub(crate) fn watch(shards: &[Arc<Heartbeat>], turn_max: Duration, stop: impl Fn(Duration) -> bool) {
    // The turn in which each was awake at the last look.
    let mut seen: Vec<Option<u64>> = shards.iter().map(|_| None).collect();
    let mut pause = turn_max;
    while !stop(pause) {
        for (shard, (heartbeat, seen)) in shards.iter().zip(&mut seen).enumerate() {
            let turns = heartbeat.turns.load(Ordering::Relaxed);
            let awake = (!heartbeat.sleeping.load(Ordering::Relaxed)).then_some(turns);
            let stuck = awake.is_some() && awake == *seen;
            if stuck && !heartbeat.is_stuck() {
                let actor = heartbeat.running_name();
                *heartbeat.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(actor);
                heartbeat.stalls.fetch_add(1, Ordering::Release);
                tracing::warn!(
                    shard,
                    actor,
                    turn_max_ms = turn_max.as_millis() as u64,
                    "a turn takes too long: this actor keeps its shard; move slow work off it"
                );
            } else if !stuck && heartbeat.is_stuck() {
                tracing::info!(shard, "the shard goes on");
            }
            heartbeat.stuck.store(stuck, Ordering::Relaxed);
            *seen = awake;
        }
        let all_sleep = seen.iter().all(Option::is_none);
        pause = if all_sleep { (pause * 2).min(turn_max * REST_FACTOR) } else { turn_max };
    }
}

const REST_FACTOR: u32 = 10;
