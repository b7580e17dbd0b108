//! What the shards of a server see of each other, besides lanes: how many connections each has, and how far the
//! server's end has come.

use super::balance::ShardLoad;
use crate::actor::Heartbeat;
use crate::actor::jobs::Jobs;
use crate::shard::{ShardId, Time};
use crate::sync::{Arc, AtomicU32, AtomicU64, Ordering};

/// One for all shards of a server.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) shards: Box<[Public]>,
    /// What waits for the worker pool.
    pub(crate) jobs: Jobs,
    /// A [`Phase`].
    phase: AtomicU32,
    /// How many times all were told to balance.
    balance_asked: AtomicU32,
    /// How many connections were placed in turn.
    turns: AtomicU32,
    /// How many shards have nobody left but services.
    emptied: AtomicU32,
    /// How many shards have nothing left.
    drained: AtomicU32,
    /// How many have dropped what messages on their way still kept.
    forgotten: AtomicU32,
}

/// What one shard shows to others. A cache line of its own: its figures change every turn.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Public {
    load: Load,
    work: Work,
    pub(crate) heartbeat: Arc<Heartbeat>,
    pub(crate) figures: [AtomicU64; FIGURES],
}

/// Connections that a shard has, and that were handed to it and have not arrived. Apart from the figures, since other
/// shards write it.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Load(AtomicU32);

/// What a shard has to do, as it says once an interval.
#[derive(Debug, Default)]
struct Work {
    busy_permille: AtomicU32,
    bytes_per_second: AtomicU64,
    /// Until when that is true, in nanoseconds of the shards' clock.
    until: AtomicU64,
}

/// What a shard shows of what it has to do.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shown {
    pub(super) busy_permille: u32,
    pub(super) bytes_per_second: u64,
    pub(super) until: Time,
}

/// How far the server's end has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
pub(crate) enum Phase {
    /// Serving.
    Running = 0,
    /// Accepting nothing, saying goodbye.
    Draining = 1,
    /// Out of patience.
    Cutting = 2,
}

impl Shared {
    pub(crate) fn new(shards: u16, jobs: Jobs) -> Arc<Self> {
        Arc::new(Self {
            jobs,
            shards: (0..shards).map(|_| Public::default()).collect(),
            phase: AtomicU32::new(Phase::Running as u32),
            balance_asked: AtomicU32::new(0),
            turns: AtomicU32::new(0),
            emptied: AtomicU32::new(0),
            drained: AtomicU32::new(0),
            forgotten: AtomicU32::new(0),
        })
    }

    fn public(&self, shard: ShardId) -> &Public {
        &self.shards[usize::from(shard.0)]
    }

    /// One more for `shard`, wherever it is now.
    pub(crate) fn add_connection(&self, shard: ShardId) {
        self.public(shard).load.0.fetch_add(1, Ordering::Relaxed);
    }

    /// The same, if it has fewer than `max`: whether it had. Never more, whoever claims at the same time.
    pub(crate) fn claim_connection(&self, shard: ShardId, max: u32) -> bool {
        let before = self.public(shard).load.0.fetch_add(1, Ordering::Relaxed);
        let claimed = before < max;
        if !claimed {
            self.remove_connections(shard, 1);
        }
        claimed
    }

    /// Whose turn it is, for whoever places connections one after the other: one more each time.
    pub(crate) fn next_turn(&self) -> u32 {
        self.turns.fetch_add(1, Ordering::Relaxed)
    }

    /// `gone` of the connections of `shard` have ended.
    pub(crate) fn remove_connections(&self, shard: ShardId, gone: u32) {
        self.public(shard).load.0.fetch_sub(gone, Ordering::Relaxed);
    }

    /// Connections of `shard`, those on their way to it included.
    pub(crate) fn load(&self, shard: ShardId) -> u32 {
        self.public(shard).load.0.load(Ordering::Relaxed)
    }

    /// Says what `shard` has to do.
    pub(super) fn show(&self, shard: ShardId, shown: Shown) {
        let Shown { busy_permille, bytes_per_second, until } = shown;
        let work = &self.public(shard).work;
        work.busy_permille.store(busy_permille, Ordering::Relaxed);
        work.bytes_per_second.store(bytes_per_second, Ordering::Relaxed);
        work.until.store(until.as_nanos(), Ordering::Relaxed);
    }

    /// What all shards have to do.
    pub(super) fn loads(&self, now: Time) -> Vec<ShardLoad> {
        let load = |public: &Public| {
            let holds = public.work.until.load(Ordering::Relaxed) >= now.as_nanos();
            ShardLoad {
                connections: public.load.0.load(Ordering::Relaxed),
                busy_permille: if holds { public.work.busy_permille.load(Ordering::Relaxed) } else { 0 },
                bytes_per_second: if holds {
                    public.work.bytes_per_second.load(Ordering::Relaxed)
                } else {
                    0
                },
            }
        };
        self.shards.iter().map(load).collect()
    }

    /// Has all shards balance, once. They must be woken.
    pub(crate) fn ask_to_balance(&self) {
        self.balance_asked.fetch_add(1, Ordering::Relaxed);
    }

    /// How many times that was asked.
    pub(super) fn balance_asked(&self) -> u32 {
        self.balance_asked.load(Ordering::Relaxed)
    }

    /// Connections of all shards.
    pub(crate) fn connections(&self) -> u64 {
        self.shards.iter().map(|shard| u64::from(shard.load.0.load(Ordering::Relaxed))).sum()
    }

    /// Whether the watchdog finds that `shard` does not come round.
    pub(crate) fn is_stuck(&self, shard: ShardId) -> bool {
        self.public(shard).heartbeat.is_stuck()
    }

    pub(crate) fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Running,
            1 => Phase::Draining,
            _ => Phase::Cutting,
        }
    }

    /// Goes on to `phase`; never back. Jobs that have not begun are told so, here. The shards must be woken.
    pub(crate) fn advance(&self, phase: Phase) {
        self.phase.fetch_max(phase as u32, Ordering::AcqRel);
        self.jobs.close();
    }

    /// This shard has nobody left but services.
    pub(crate) fn say_emptied(&self) {
        self.emptied.fetch_add(1, Ordering::AcqRel);
    }

    /// No shard has anybody left but services.
    pub(crate) fn all_emptied(&self) -> bool {
        self.emptied.load(Ordering::Acquire) as usize >= self.shards.len()
    }

    /// This shard has nothing left. Once all have said so, nobody can send to anybody any more.
    pub(crate) fn say_drained(&self) {
        self.drained.fetch_add(1, Ordering::AcqRel);
    }

    /// This shard's messages keep no memory any more, its own or others'.
    pub(crate) fn say_forgotten(&self) {
        self.forgotten.fetch_add(1, Ordering::AcqRel);
    }

    pub(crate) fn all_forgotten(&self) -> bool {
        self.forgotten.load(Ordering::Acquire) as usize >= self.shards.len()
    }

    pub(crate) fn all_drained(&self) -> bool {
        self.drained.load(Ordering::Acquire) as usize >= self.shards.len()
    }
}

/// How many figures a shard shows; see [`super::metrics`].
pub(crate) const FIGURES: usize = 22;
