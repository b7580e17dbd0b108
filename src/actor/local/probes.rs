//! Looking at a shard: what it tells of itself, probes of its actors, and handlers that are timed now and then.

use super::Local;
use super::tallies::Tallies;
use crate::actor::address::{ActorId, SendError};
use crate::actor::ask::Callback;
use crate::actor::crash;
use crate::actor::histogram::Histogram;
use crate::actor::pending::Pending;
use crate::actor::reply::Asker;
use crate::actor::stats::{HandlerStats, ShardStats, Snapshot};
use crate::ring::parcel::Parcel;
use crate::ring::typed::Typed;
use crate::shard::{ShardId, Stopwatch, Time};
use std::borrow::Cow;
use std::time::Duration;

/// What is looked at.
#[derive(Default)]
pub(super) struct Probes {
    entries: Vec<Probe>,
    handlers: Vec<HandlerStats>,
    pub(super) tallies: Tallies,
    /// Messages until the next that is timed.
    until_sample: u32,
    pub(super) stopwatch: Stopwatch,
    /// Looks at all shards that began here and have not come back.
    looks: u32,
}

struct Probe {
    name: Cow<'static, str>,
    owner: ActorId,
    read: Read,
}

type Read = Box<dyn Fn(Typed<'_>) -> i64>;

impl Local {
    /// From now on, handlers are timed.
    pub(crate) fn set_stopwatch(&mut self, stopwatch: Stopwatch) {
        self.probes.stopwatch = stopwatch;
    }

    /// Whether what happens next is to be timed.
    #[inline]
    pub(crate) fn is_sample_due(&mut self) -> bool {
        let left = &mut self.probes.until_sample;
        *left = left.checked_sub(1).unwrap_or(SAMPLE_EVERY - 1);
        *left == 0
    }

    /// How many there are until the one before that.
    #[inline]
    pub(super) fn until_sample(&self) -> u32 {
        self.probes.until_sample.saturating_sub(1)
    }

    /// So many of them have been.
    #[inline]
    pub(super) fn pass_to_sample(&mut self, passed: u32) {
        self.probes.until_sample = self.probes.until_sample.saturating_sub(passed);
    }

    /// It begins now. None where no clock goes.
    #[cold]
    pub(crate) fn begin_sample(&self) -> Option<Time> {
        self.probes.stopwatch.read()
    }

    /// It is done.
    #[cold]
    pub(crate) fn end_sample(&mut self, began: Time, actor: &'static str, message: &'static str, depth: u32) {
        let Probes { handlers, stopwatch, .. } = &mut self.probes;
        let Some(now) = stopwatch.read() else { return };
        let known = handlers.iter().position(|known| known.actor == actor && known.message == message);
        let handler = known.unwrap_or_else(|| {
            let (time, depth) = (Histogram::default(), Histogram::default());
            handlers.push(HandlerStats { actor, message, time, depth });
            handlers.len() - 1
        });
        handlers[handler].time.add(now.since(began).as_nanos() as u64);
        handlers[handler].depth.add(depth.into());
    }

    /// Adds a probe, or replaces the actor's of that name. False if there is no room.
    pub(crate) fn add_probe(&mut self, name: Cow<'static, str>, owner: ActorId, read: Read) -> bool {
        let mut entries = std::mem::take(&mut self.probes.entries);
        let same = entries.iter().position(|probe| probe.owner == owner && probe.name == name);
        let mut left = Vec::new();
        if let Some(same) = same {
            left.push(entries.swap_remove(same));
        } else if entries.len() >= self.bounds.probes_max as usize {
            left = entries.extract_if(.., |probe| !self.lives(probe.owner)).collect();
        }
        let fits = entries.len() < self.bounds.probes_max as usize;
        let probe = Probe { name, owner, read };
        if fits {
            entries.push(probe)
        } else {
            left.push(probe)
        }
        self.probes.entries = entries;
        left.into_iter().for_each(|probe| self.discard(probe.read));
        fits
    }

    /// Asks all shards. Bounded by [`LOOKS_MAX`] a shard, so that they do not pile up before one that does not come round.
    pub(crate) fn ask_all(
        &mut self,
        from: ActorId,
        within: Duration,
        callback: Callback,
    ) -> Result<(), SendError<()>> {
        if self.asks.is_full() || self.probes.looks >= LOOKS_MAX {
            self.discard(callback);
            return Err(SendError::Full(()));
        }
        let ask = self.asks.insert(Pending { asker: from, callback }, Some(self.now + within));
        self.counters.asks += 1;
        self.probes.looks += 1;
        let asker = Asker { who: from, ask };
        // Even to this shard by an errand: whoever asks is running, and could not be looked at.
        self.tell(ShardId(0), move |local| local.go_round(asker, Vec::new()));
        Ok(())
    }

    /// Looks at this shard, and goes on to the next.
    fn go_round(&mut self, asker: Asker, mut seen: Vec<ShardStats>) {
        seen.push(self.look());
        let next = seen.len() as u16;
        if next < self.mesh.shards() {
            self.tell(ShardId(next), move |local| local.go_round(asker, seen));
        } else {
            self.tell(asker.who.shard, move |local| {
                local.probes.looks -= 1;
                local.answered(asker, Ok(Parcel::new(Snapshot { shards: seen })));
            });
        }
    }

    fn look(&mut self) -> ShardStats {
        let mut probes: Vec<(Cow<'static, str>, i64)> = vec![
            ("active_connections".into(), self.connections().into()),
            ("messages_processed".into(), self.counters.messages_in as i64),
        ];
        probes.extend(self.probes.tallies.iter().map(|(name, count)| (name.into(), count as i64)));
        self.read_probes(&mut probes);
        self.pool.reclaim(); // what is on its way home is not in use
        let counters = self.counters;
        ShardStats {
            memory_bytes: self.pool.stats().outbound_bytes_out as u64,
            actors: self.actors() as u64,
            connections: self.connections().into(),
            waiting: self.mail.len().into(),
            handled: counters.handled,
            refused: counters.refused,
            returned: counters.returned,
            dropped: counters.dropped,
            panics: counters.panics,
            restarts: counters.restarts,
            messages_in: counters.messages_in,
            messages_out: counters.messages_out,
            asks: self.asks.len() as u64,
            tasks: self.tasks() as u64,
            handlers: self.probes.handlers.clone(),
            probes,
        }
    }

    /// Reads the probes of those who live; the others' are dropped.
    fn read_probes(&mut self, values: &mut Vec<(Cow<'static, str>, i64)>) {
        let mut kept = Vec::new();
        for probe in std::mem::take(&mut self.probes.entries) {
            let Some(actor) = self.actor_at(probe.owner) else {
                self.discard(probe.read);
                continue;
            };
            // The actor is only looked at, so it need not end if that panics.
            match crash::caught(|| (probe.read)(actor)) {
                Some(value) => {
                    values.push((probe.name.clone(), value));
                    kept.push(probe);
                }
                None => {
                    self.counters.panics += 1;
                    tracing::error!(probe = %probe.name, actor = ?probe.owner, "a probe panicked; it is not read again");
                    self.discard(probe.read);
                }
            }
        }
        self.probes.entries = kept;
    }

    /// For the end.
    pub(super) fn forget_probes(&mut self) {
        for probe in std::mem::take(&mut self.probes.entries) {
            self.discard(probe.read);
        }
    }
}

/// One message in so many is timed. A prime, so that it keeps no step with actors that take turns.
const SAMPLE_EVERY: u32 = 251;
/// So many looks at all shards from one shard are under way at most.
const LOOKS_MAX: u32 = 64;
