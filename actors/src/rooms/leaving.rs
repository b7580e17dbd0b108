//! Sessions that have ended and are still to be taken out of their rooms: some a turn, so that ten thousand who go at once
//! do not keep the shard.

use corewire::actor::ActorId;
use corewire::shard::Time;
use std::collections::VecDeque;
use std::time::Duration;

/// Those, and whether there are unusually many.
#[derive(Debug)]
pub(super) struct Leaving {
    who: VecDeque<ActorId>,
    /// How many more may be taken out in this turn.
    left: u32,
    /// When the present burst began, and how many it is so far.
    began: Time,
    burst: u32,
}

impl Default for Leaving {
    fn default() -> Self {
        Self { who: VecDeque::new(), left: PER_TURN, began: Time::ZERO, burst: 0 }
    }
}

impl Leaving {
    pub(super) fn add(&mut self, who: ActorId, now: Time) {
        self.who.push_back(who);
        if now.since(self.began) >= BURST {
            self.began = now;
            self.burst = 0;
        }
        self.burst += 1;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.who.is_empty()
    }

    /// Those to take out now.
    pub(super) fn next_few(&mut self) -> Vec<ActorId> {
        let count = self.who.len().min(self.left as usize);
        self.left -= count as u32;
        self.who.drain(..count).collect()
    }

    /// A new turn has begun.
    pub(super) fn next_turn(&mut self) {
        self.left = PER_TURN;
    }

    /// If all are gone, and they were many: how many. Told once.
    pub(super) fn burst_ended(&mut self, _: Time) -> Option<u32> {
        let is_one = self.who.is_empty() && self.burst >= BURST_MIN;
        is_one.then(|| std::mem::take(&mut self.burst))
    }
}

/// So many are taken out a turn.
const PER_TURN: u32 = 256;
/// So many within this time are a burst.
const BURST_MIN: u32 = 1000;
const BURST: Duration = Duration::from_secs(1);
