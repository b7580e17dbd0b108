//! Shards with much to do have some of their connections move to the one with the least.
//!
//! Each shard looks at itself, once an interval and only while it is awake: what its thread took of its core, how many
//! connections it has, and whether the watchdog has called it stuck. What it finds it shows to the others. The one that has more
//! to do than all others by the threshold gives away half of the difference, and then rests for two intervals, until what came of
//! it can be seen.
//!
//! Which connections make the work is seen by samples: which of them had something to be done, every now and then.
//!
//! Does not know: how a connection moves.

use super::shared::{Shared, Shown};
use crate::actor::local::Local;
use crate::shard::{ShardId, Slot, Time};
use std::time::Duration;

/// When shards have connections move to others: [`Config::rebalance`](super::Config::rebalance). Only those of sessions that may
/// ([`Session::MIGRATION`](crate::connection::Session::MIGRATION)).
///
/// ```
/// use corewire::server::{Config, Rebalance};
/// use std::time::Duration;
///
/// let mut config = Config::default();
/// config.rebalance = Some(Rebalance { interval: Duration::from_secs(5), ..Rebalance::default() });
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rebalance {
    /// How often a shard looks at itself.
    pub interval: Duration,
    /// By so much of a core must it have more to do than the idlest, in thousandths. One that was stuck in this interval
    /// ([`Config::turn_max`](super::Config::turn_max)) counts as having a whole core's work. Who spins
    /// ([`Config::busy_poll`](super::Config::busy_poll)) always has.
    pub busy_gap_permille: u32,
    /// If not that, by so many connections more than the one with the fewest, in hundredths of those.
    pub connections_gap_percent: u32,
    /// And by at least so many.
    pub connections_gap_min: u32,
}

impl Default for Rebalance {
    /// Every second; 200 thousandths; 25 %, and 64 connections.
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(1),
            busy_gap_permille: 200,
            connections_gap_percent: 25,
            connections_gap_min: 64,
        }
    }
}

/// What a shard has to do, as far as it has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ShardLoad {
    /// Connections, those on their way to it included.
    pub connections: u32,
    /// What its thread took of a core in its last interval, in thousandths; 0 for one that sleeps, and where nobody looks
    /// ([`Config::rebalance`](super::Config::rebalance) is `None`).
    pub busy_permille: u32,
    /// Bytes that came and went in that interval, a second.
    pub bytes_per_second: u64,
}

/// One shard's.
#[derive(Debug)]
pub(super) struct Balancer {
    rules: Option<Rebalance>,
    last: Option<Look>,
    /// Not before.
    rests_until: Time,
    /// How many times all shards were told to balance.
    told: u32,
    samples: Samples,
}

/// What a shard saw when it last looked.
#[derive(Debug, Clone, Copy)]
struct Look {
    at: Time,
    cpu: Duration,
    bytes: u64,
    stalls: u64,
}

/// Which connections had something to be done.
#[derive(Debug, Default)]
struct Samples {
    /// The last ones.
    slots: Vec<Slot>,
    next: usize,
    /// How many go by before the next is noted.
    skip: u8,
    rng: Option<fastrand::Rng>,
}

impl Samples {
    #[inline]
    fn see(&mut self, slot: Slot) {
        match self.skip.checked_sub(1) {
            Some(left) => self.skip = left,
            None => self.note(slot),
        }
    }

    #[cold]
    fn note(&mut self, slot: Slot) {
        // As chance wants it, so that no rhythm hides anybody.
        self.skip = self.rng.as_mut().map_or(0, |rng| rng.u8(0..2 * SAMPLE_EVERY));
        if self.slots.len() < SAMPLES {
            self.slots.push(slot);
        } else {
            self.slots[self.next % SAMPLES] = slot;
            self.next += 1;
        }
    }

    /// Who makes as much of the work as `share` says, in thousandths, but nobody who makes more than that: it would be too
    /// much there.
    fn take(&mut self, share: u32) -> Vec<Slot> {
        let all = self.slots.len() as u32;
        let mut slots = std::mem::take(&mut self.slots);
        self.next = 0;
        slots.sort_unstable();
        let mut weights: Vec<(u32, Slot)> =
            slots.chunk_by(|a, b| a == b).map(|run| (run.len() as u32, run[0])).collect();
        weights.sort_unstable_by(|a, b| b.cmp(a));
        let mut left = all * share / 1000;
        let mut chosen = Vec::new();
        for (weight, slot) in weights {
            if weight <= left {
                left -= weight;
                chosen.push(slot);
            }
        }
        chosen
    }
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
enum Plan {
    Nothing,
    /// So much of the work, in thousandths.
    Work {
        share: u32,
        to: ShardId,
    },
    /// So many connections.
    Connections {
        count: u32,
        to: ShardId,
    },
}

impl Balancer {
    pub(super) fn new(rules: Option<Rebalance>, seed: u64) -> Self {
        let samples = Samples { rng: Some(fastrand::Rng::with_seed(seed)), ..Samples::default() };
        Self { rules, last: None, rests_until: Time::ZERO, told: 0, samples }
    }

    /// A connection has something to be done.
    #[inline]
    pub(super) fn see(&mut self, slot: Slot) {
        if self.rules.is_some() {
            self.samples.see(slot);
        }
    }

    /// Whether this shard is to look at itself now.
    #[inline]
    pub(super) fn is_due(&self, now: Time, shared: &Shared) -> bool {
        let interval_over = match (&self.rules, &self.last) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(rules), Some(last)) => now.since(last.at) >= rules.interval,
        };
        interval_over || self.told != shared.balance_asked()
    }

    /// Looks, shows what it sees, and has connections move if that is too much. `cpu`: what this thread has taken of its core.
    #[inline(never)]
    pub(super) fn look(&mut self, cpu: Duration, shared: &Shared, local: &mut Local) {
        let (me, now) = (local.mesh.me(), local.now());
        let told = std::mem::replace(&mut self.told, shared.balance_asked()) != self.told;
        let bytes = local.counters.bytes_in + local.counters.bytes_out;
        let stalls = local.heartbeat.stalls();
        let look = Look { at: now, cpu, bytes, stalls };
        let is_over =
            self.rules.is_some_and(|rules| self.last.is_none_or(|last| now.since(last.at) >= rules.interval));
        let mut was_stuck = false;
        if let Some(rules) = self.rules.filter(|_| is_over)
            && let Some(last) = self.last.replace(look)
        {
            let passed = now.since(last.at).as_secs_f64();
            let busy = cpu.saturating_sub(last.cpu).as_secs_f64() / passed;
            let bytes_per_second = ((bytes - last.bytes) as f64 / passed) as u64;
            was_stuck = stalls > last.stalls;
            let busy_permille = if was_stuck { 1000 } else { (busy * 1000.0) as u32 };
            // Who sleeps does not look, and shows nothing: so it says until when this is true.
            let until = now + rules.interval * 2;
            shared.show(me, Shown { busy_permille, bytes_per_second, until });
        }
        let rules = match self.rules {
            Some(rules) if is_over && now >= self.rests_until => Some(rules),
            _ => None,
        };
        let plan = match (told, rules) {
            // By command, whatever the threshold.
            (true, rules) => {
                let gap = Rebalance {
                    busy_gap_permille: rules.map_or(u32::MAX, |rules| rules.busy_gap_permille),
                    connections_gap_percent: 0,
                    connections_gap_min: 2,
                    ..Rebalance::default()
                };
                plan(me, &gap, now, shared)
            }
            (false, Some(rules)) => plan(me, &rules, now, shared),
            (false, None) => Plan::Nothing,
        };
        let asked = match plan {
            Plan::Nothing => return,
            Plan::Work { share, to } => {
                let slots = self.samples.take(share);
                let asked = slots.into_iter().filter(|&slot| local.ask_connection_to_move(slot, to)).count();
                if asked == 0 {
                    return; // nobody there who may
                }
                tracing::info!(
                    shard = me.0,
                    to = to.0,
                    connections = asked,
                    share_permille = share,
                    was_stuck,
                    "a shard has more to do than others: some of its busy connections move"
                );
                asked
            }
            Plan::Connections { count, to } => {
                let asked = local
                    .slots()
                    .filter(|&slot| local.ask_connection_to_move(slot, to))
                    .take(count as usize)
                    .count();
                if asked == 0 {
                    return;
                }
                tracing::info!(
                    shard = me.0,
                    to = to.0,
                    connections = asked,
                    "a shard has more connections than others: some of them move"
                );
                asked
            }
        };
        if let Some(rules) = self.rules.filter(|_| asked > 0) {
            self.rests_until = now + rules.interval * 2;
        }
    }
}

/// Whether this shard has more to do than all others, and by enough; and what it gives to whom.
fn plan(me: ShardId, rules: &Rebalance, now: Time, shared: &Shared) -> Plan {
    let loads = shared.loads(now);
    let mine = loads[usize::from(me.0)];
    let others =
        || (0..).map(ShardId).zip(&loads).filter(|(shard, _)| *shard != me && !shared.is_stuck(*shard));
    let Some((idlest, least)) = others().min_by_key(|(_, load)| (load.busy_permille, load.connections))
    else {
        return Plan::Nothing;
    };
    // Of two with as much to do one gives, so that both do not give to the same.
    let is_busiest = others().all(|(shard, load)| (load.busy_permille, shard) < (mine.busy_permille, me));
    let gap = mine.busy_permille.saturating_sub(least.busy_permille);
    if is_busiest && gap > 0 && gap >= rules.busy_gap_permille {
        return Plan::Work { share: gap / 2 * 1000 / mine.busy_permille, to: idlest };
    }
    let Some((emptiest, fewest)) = others().min_by_key(|(_, load)| (load.connections, load.busy_permille))
    else {
        return Plan::Nothing;
    };
    let is_fullest = others().all(|(shard, load)| (load.connections, shard) < (mine.connections, me));
    let gap = mine.connections.saturating_sub(fewest.connections);
    let gap_min = (u64::from(fewest.connections) * u64::from(rules.connections_gap_percent) / 100) as u32;
    if is_fullest
        && gap >= gap_min.max(rules.connections_gap_min)
        && fewest.busy_permille <= mine.busy_permille + 100
    {
        return Plan::Connections { count: (gap / 2).min(MOVED_AT_ONCE), to: emptiest };
    }
    Plan::Nothing
}

/// One in so many is noted.
const SAMPLE_EVERY: u8 = 8;
/// So many are remembered.
const SAMPLES: usize = 1024;
/// Connections that one look has move, at most.
const MOVED_AT_ONCE: u32 = 4096;
