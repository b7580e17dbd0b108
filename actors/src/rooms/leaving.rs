//! Sessions that have ended and are still to be taken out of their rooms: some a turn, so that ten thousand who go at once
//! do not keep the shard.

use corewire::actor::ActorId;
use corewire::shard::Time;
use std::collections::VecDeque;
use std::time::Duration;

/// Those, and whether there are unusually many.
#[derive(Debug, Default)]
pub(super) struct Leaving {
    who: VecDeque<ActorId>,
    /// The last that has ended, and how many have before it, each within [`QUIET`] of the next.
    last_at: Time,
    burst: u32,
}

impl Leaving {
    /// Somebody has ended. True if it makes a burst of what has ended of late: once for each.
    pub(super) fn add(&mut self, who: ActorId, now: Time) -> bool {
        self.who.push_back(who);
        if now.since(self.last_at) >= QUIET {
            self.burst = 0;
        }
        self.last_at = now;
        self.burst = self.burst.saturating_add(1);
        self.burst == BURST_MIN
    }

    pub(super) fn len(&self) -> usize {
        self.who.len()
    }

    /// Those to take out in this turn.
    pub(super) fn next_few(&mut self) -> Vec<ActorId> {
        let count = self.who.len().min(PER_TURN);
        self.who.drain(..count).collect()
    }
}

/// So many are taken out a turn.
const PER_TURN: usize = 256;
/// So many are a burst.
const BURST_MIN: u32 = 1000;
/// So long after the last it is over.
const QUIET: Duration = Duration::from_millis(100);
