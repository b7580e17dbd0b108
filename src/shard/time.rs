//! The shard's clock and its timer wheel.
//!
//! Time is a number that the driver reads once a turn, so a handler that asks twice in one turn gets the
//! same answer, and a simulator can make it up. The wheel has one slot a millisecond and goes round in
//! about four seconds; what is due later stays in its slot for more rounds. After Varghese and Lauck,
//! "Hashed and Hierarchical Timing Wheels" (1987), scheme 6.

use std::ops::Add;
use std::time::Duration;

/// Nanoseconds since the world began: the start of the process, or of a simulation.
///
/// ```
/// use corewire::shard::Time;
/// use std::time::Duration;
///
/// let later = Time::ZERO + Duration::from_millis(5);
/// assert_eq!(later.since(Time::ZERO), Duration::from_millis(5));
/// assert_eq!(Time::ZERO.since(later), Duration::ZERO); // never negative
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(u64);

impl Time {
    /// The beginning of the world.
    pub const ZERO: Self = Self(0);

    /// The moment `nanos` nanoseconds after the beginning.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the beginning.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Whole milliseconds since the beginning.
    pub const fn as_millis(self) -> u64 {
        self.0 / 1_000_000
    }

    /// How long ago `earlier` was; zero if it is still to come.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Time {
    type Output = Self;
    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }
}

/// What is due when. A key is whatever the owner needs to know what to do; there is no cancel: a key whose
/// reason has gone is ignored when it comes out.
///
/// ```
/// use corewire::shard::{Time, Wheel};
/// use std::time::Duration;
///
/// let mut wheel = Wheel::new();
/// wheel.schedule(Time::ZERO + Duration::from_secs(10), "ping");
/// let mut due = Vec::new();
/// wheel.expire(Time::ZERO + Duration::from_secs(9), &mut due);
/// assert!(due.is_empty());
/// wheel.expire(Time::ZERO + Duration::from_secs(11), &mut due);
/// assert_eq!(due, ["ping"]);
/// ```
#[derive(Debug)]
pub struct Wheel<K> {
    slots: Box<[Bucket<K>]>,
    /// One bit a slot: does it hold anything?
    occupied: [u64; SLOTS / 64],
    /// Everything due at or before this millisecond has come out.
    expired_ms: u64,
    len: usize,
}

/// What shares a slot: due in the same millisecond of one round or another.
#[derive(Debug)]
struct Bucket<K> {
    entries: Vec<Entry<K>>,
    /// The earliest; of no meaning while there is none.
    first_ms: u64,
}

#[derive(Debug)]
struct Entry<K> {
    due_ms: u64,
    key: K,
}

impl<K> Wheel<K> {
    /// An empty wheel at the beginning of the world. Takes 128 KiB.
    pub fn new() -> Self {
        Self {
            slots: (0..SLOTS).map(|_| Bucket { entries: Vec::new(), first_ms: 0 }).collect(),
            occupied: [0; SLOTS / 64],
            expired_ms: 0,
            len: 0,
        }
    }

    /// Puts `key` on the wheel. It comes out in the first [`Self::expire`] at or after `due`, which is rounded
    /// up to a millisecond; what is due already comes out a millisecond later.
    pub fn schedule(&mut self, due: Time, key: K) {
        let due_ms = due.as_nanos().div_ceil(1_000_000).max(self.expired_ms + 1);
        let slot = slot_of(due_ms);
        let bucket = &mut self.slots[slot];
        bucket.first_ms = if bucket.entries.is_empty() { due_ms } else { bucket.first_ms.min(due_ms) };
        bucket.entries.push(Entry { due_ms, key });
        self.occupied[slot / 64] |= 1 << (slot % 64);
        self.len += 1;
    }

    /// Moves every key that is due at `now` to `due`, in order of time to the millisecond.
    pub fn expire(&mut self, now: Time, due: &mut Vec<K>) {
        let now_ms = now.as_millis();
        if self.len == 0 {
            self.expired_ms = self.expired_ms.max(now_ms);
            return;
        }
        // After a long sleep one round visits every slot: going round twice would find nothing new.
        let first_ms = (self.expired_ms + 1).max(now_ms.saturating_sub(SLOTS as u64 - 1));
        for tick_ms in first_ms..=now_ms {
            let index = slot_of(tick_ms);
            if self.occupied[index / 64] & (1 << (index % 64)) == 0 {
                continue;
            }
            let Bucket { entries, first_ms } = &mut self.slots[index];
            if *first_ms > now_ms {
                continue; // of a later round
            }
            let before = entries.len();
            due.extend(entries.extract_if(.., |entry| entry.due_ms <= now_ms).map(|entry| entry.key));
            self.len -= before - entries.len();
            // What a burst has left behind in 4,096 slots would add up.
            if entries.len() < entries.capacity() / 4 {
                entries.shrink_to(KEPT.max(entries.len()));
            }
            match entries.iter().map(|entry| entry.due_ms).min() {
                Some(next_ms) => *first_ms = next_ms,
                None => self.occupied[index / 64] &= !(1 << (index % 64)),
            }
        }
        self.expired_ms = self.expired_ms.max(now_ms);
    }

    /// When the first key is due. Looks at every slot that holds something, until it finds one of this round.
    pub fn next(&self) -> Option<Time> {
        let start = slot_of(self.expired_ms + 1);
        let round_end_ms = self.expired_ms + SLOTS as u64;
        let mut first_ms = u64::MAX;
        for n in 0..=SLOTS / 64 {
            let word = (start / 64 + n) % (SLOTS / 64);
            let mut bits = self.occupied[word];
            if n == 0 {
                bits &= u64::MAX << (start % 64); // the rest of this word is the end of the round
            }
            while bits != 0 {
                let slot = word * 64 + bits.trailing_zeros() as usize;
                bits &= bits - 1;
                first_ms = first_ms.min(self.slots[slot].first_ms);
                if first_ms <= round_end_ms && slot_of(first_ms) == slot {
                    return Some(Time::from_nanos(first_ms * 1_000_000)); // slots come in order of time
                }
            }
        }
        (first_ms != u64::MAX).then(|| Time::from_nanos(first_ms * 1_000_000))
    }

    /// Takes off every key that `keep` says no to. Looks at all of them.
    pub fn retain(&mut self, mut keep: impl FnMut(&K) -> bool) {
        for (index, bucket) in self.slots.iter_mut().enumerate() {
            let before = bucket.entries.len();
            bucket.entries.retain(|entry| keep(&entry.key));
            self.len -= before - bucket.entries.len();
            match bucket.entries.iter().map(|entry| entry.due_ms).min() {
                Some(first_ms) => bucket.first_ms = first_ms,
                None => self.occupied[index / 64] &= !(1 << (index % 64)),
            }
        }
    }

    /// How many keys are on the wheel.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is on the wheel.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl<K> Default for Wheel<K> {
    fn default() -> Self {
        Self::new()
    }
}

fn slot_of(ms: u64) -> usize {
    ms as usize & (SLOTS - 1)
}

/// Keys that a slot has room for without asking for memory, once it has held as many.
const KEPT: usize = 8;
const SLOTS: usize = 4096;
const _: () = assert!(SLOTS.is_power_of_two()); // a slot is found by mask
