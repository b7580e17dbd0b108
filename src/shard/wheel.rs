//! The timer wheel: who is due when.
//!
//! One slot a millisecond, a round of about four seconds; what is due later stays in its slot for more rounds. After
//! Varghese and Lauck, "Hashed and Hierarchical Timing Wheels" (1987), scheme 6. Alarms are links in a table that their
//! owner's number indexes: 16 bytes each, none of them left over, and nothing is allocated to set one again.

use super::Time;
use std::cell::Cell;

/// An alarm for each of many numbered owners, one at most: setting it again moves it.
///
/// ```
/// use corewire::shard::{Time, Wheel};
/// use std::time::Duration;
///
/// let at = |seconds| Time::ZERO + Duration::from_secs(seconds);
/// let mut wheel = Wheel::new();
/// wheel.set(7, at(10));
/// wheel.set(3, at(5));
/// wheel.set(7, at(20)); // instead of 10
/// wheel.expire(at(15));
/// assert_eq!((wheel.pop(), wheel.pop()), (Some(3), None));
/// assert_eq!(wheel.next(), Some(at(20)));
/// wheel.clear(7);
/// assert!(wheel.is_empty());
/// ```
#[derive(Debug)]
pub struct Wheel {
    /// By number.
    alarms: Vec<Alarm>,
    slots: Box<[Slot]>,
    /// One bit a slot: does it hold anything?
    occupied: [u64; SLOTS / 64],
    /// What has come out of its slot and waits for [`Self::pop`].
    rung: u32,
    /// Everything due at or before this millisecond is in no slot.
    expired_ms: u64,
    /// Nothing in a slot is due before this millisecond; `UNKNOWN` until somebody asks. A turn that comes before it touches
    /// no slot, of which there are more than a cache holds.
    soonest_ms: Cell<u64>,
    len: usize,
}

/// A link in the ring of its slot, or of those that have rung; or in none.
#[derive(Debug, Clone, Copy)]
struct Alarm {
    next: u32,
    prev: u32,
    due_ms: u64,
}

/// What a number takes, whether its alarm is set or not.
pub(crate) const ALARM_BYTES: usize = size_of::<Alarm>();

/// Alarms due in the same millisecond of one round or another.
#[derive(Debug, Clone, Copy)]
struct Slot {
    first: u32,
    /// None is due in a round before this one.
    round: u32,
}

impl Wheel {
    /// An empty wheel at the beginning of the world. Takes 32 KiB.
    pub fn new() -> Self {
        Self {
            alarms: Vec::new(),
            slots: vec![Slot { first: NONE, round: 0 }; SLOTS].into(),
            occupied: [0; SLOTS / 64],
            rung: NONE,
            expired_ms: 0,
            soonest_ms: Cell::new(u64::MAX),
            len: 0,
        }
    }

    /// Has the alarm of `number` ring at `due`, and no more when it was to ring before. It comes out after the first
    /// [`Self::expire`] at or after `due`, which is rounded up to a millisecond; what is due already comes out a
    /// millisecond later. The table is as long as the largest number.
    pub fn set(&mut self, number: u32, due: Time) {
        self.clear(number);
        if self.alarms.len() <= number as usize {
            self.alarms.resize(number as usize + 1, Alarm { next: NONE, prev: NONE, due_ms: 0 });
        }
        let due_ms = due.as_nanos().div_ceil(1_000_000).max(self.expired_ms + 1);
        self.alarms[number as usize].due_ms = due_ms;
        self.soonest_ms.set(self.soonest_ms.get().min(due_ms));
        self.len += 1;
        let index = slot_of(due_ms);
        let slot = &mut self.slots[index];
        let round = round_of(due_ms);
        slot.round = if slot.first == NONE { round } else { slot.round.min(round) };
        self.occupied[index / 64] |= 1 << (index % 64);
        append(&mut self.alarms, &mut slot.first, number);
    }

    /// Takes the alarm of `number` back, also between [`Self::expire`] and [`Self::pop`]. False if there is none.
    pub fn clear(&mut self, number: u32) -> bool {
        let Some(due_ms) = self.due_ms(number) else { return false };
        self.len -= 1;
        if due_ms <= self.expired_ms {
            unlink(&mut self.alarms, &mut self.rung, number);
        } else {
            self.unslot(slot_of(due_ms), number);
        }
        true
    }

    /// When the alarm of `number` is to ring, to the millisecond; or was, if it has rung and was not taken yet.
    pub fn due(&self, number: u32) -> Option<Time> {
        self.due_ms(number).map(time)
    }

    /// Has every alarm ring that is due at `now`. They come out of [`Self::pop`] in order of time to the millisecond (if
    /// the last call was less than a round ago), and in the order in which they were set within one.
    #[inline]
    pub fn expire(&mut self, now: Time) {
        let now_ms = now.as_millis();
        if now_ms >= self.soonest_ms.get() {
            self.go_round(now_ms);
        }
        self.expired_ms = self.expired_ms.max(now_ms);
    }

    #[inline(never)] // once an alarm, and `expire` is asked every turn
    fn go_round(&mut self, now_ms: u64) {
        self.soonest_ms.set(UNKNOWN);
        // After a long sleep one round visits every slot: going round twice would find nothing new.
        let mut tick_ms = (self.expired_ms + 1).max(now_ms.saturating_sub(SLOTS as u64 - 1));
        while tick_ms <= now_ms {
            let index = slot_of(tick_ms);
            let empty = (self.occupied[index / 64] >> (index % 64)).trailing_zeros() as u64;
            if empty > 0 {
                tick_ms += empty.min(64 - index as u64 % 64); // the rest of this word
                continue;
            }
            if self.first_ms(index) <= now_ms {
                self.sweep(index, now_ms);
            }
            tick_ms += 1;
        }
    }

    /// Takes the next alarm that has rung.
    pub fn pop(&mut self) -> Option<u32> {
        if self.rung == NONE {
            return None;
        }
        let number = self.rung;
        unlink(&mut self.alarms, &mut self.rung, number);
        self.len -= 1;
        Some(number)
    }

    /// Whether [`Self::pop`] would find one.
    pub fn has_rung(&self) -> bool {
        self.rung != NONE
    }

    /// When the first alarm is due, or a little before: where alarms were taken back it may name the time of one of those,
    /// once. The first to ask after one has rung looks at every slot that holds something, until it finds one of this round.
    #[inline]
    pub fn next(&self) -> Option<Time> {
        if self.rung != NONE {
            return Some(time(self.expired_ms));
        }
        if self.soonest_ms.get() == UNKNOWN {
            self.soonest_ms.set(self.find_soonest());
        }
        (self.len > 0).then(|| time(self.soonest_ms.get()))
    }

    #[inline(never)]
    fn find_soonest(&self) -> u64 {
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
                let index = word * 64 + bits.trailing_zeros() as usize;
                bits &= bits - 1;
                first_ms = first_ms.min(self.first_ms(index));
                if first_ms <= round_end_ms && slot_of(first_ms) == index {
                    return first_ms; // slots come in order of time
                }
            }
        }
        first_ms
    }

    /// How many alarms are set, those included that have rung and were not taken.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn due_ms(&self, number: u32) -> Option<u64> {
        self.alarms.get(number as usize).filter(|alarm| alarm.next != NONE).map(|alarm| alarm.due_ms)
    }

    /// No alarm of this slot, which holds some, is due before.
    fn first_ms(&self, index: usize) -> u64 {
        u64::from(self.slots[index].round) * SLOTS as u64 + index as u64
    }

    /// Moves what is due at `now_ms` from its slot to those that have rung.
    fn sweep(&mut self, index: usize, now_ms: u64) {
        let mut at = self.slots[index].first;
        let last = self.alarms[at as usize].prev;
        let mut round = u32::MAX;
        loop {
            let Alarm { next, due_ms, .. } = self.alarms[at as usize];
            if due_ms <= now_ms {
                self.unslot(index, at);
                append(&mut self.alarms, &mut self.rung, at);
            } else {
                round = round.min(round_of(due_ms));
            }
            if at == last {
                break;
            }
            at = next;
        }
        self.slots[index].round = round;
    }

    fn unslot(&mut self, index: usize, number: u32) {
        let first = &mut self.slots[index].first;
        unlink(&mut self.alarms, first, number);
        if *first == NONE {
            self.occupied[index / 64] &= !(1 << (index % 64));
        }
    }
}

impl Default for Wheel {
    fn default() -> Self {
        Self::new()
    }
}

/// Adds to the end of the ring that begins with `first`.
fn append(alarms: &mut [Alarm], first: &mut u32, number: u32) {
    let (next, prev) = match *first {
        NONE => {
            *first = number;
            (number, number)
        }
        first => (first, alarms[first as usize].prev),
    };
    let alarm = &mut alarms[number as usize];
    (alarm.next, alarm.prev) = (next, prev);
    alarms[prev as usize].next = number;
    alarms[next as usize].prev = number;
}

fn unlink(alarms: &mut [Alarm], first: &mut u32, number: u32) {
    let Alarm { next, prev, .. } = alarms[number as usize];
    alarms[prev as usize].next = next;
    alarms[next as usize].prev = prev;
    if *first == number {
        *first = if next == number { NONE } else { next };
    }
    alarms[number as usize].next = NONE; // in no ring
}

fn time(ms: u64) -> Time {
    Time::from_nanos(ms.saturating_mul(1_000_000))
}

fn slot_of(ms: u64) -> usize {
    ms as usize & (SLOTS - 1)
}

/// The last for what is due in 500 years: then this is not the round, but not a later one.
fn round_of(ms: u64) -> u32 {
    u32::try_from(ms / SLOTS as u64).unwrap_or(u32::MAX)
}

const NONE: u32 = u32::MAX;
/// Less than any millisecond that an alarm may have.
const UNKNOWN: u64 = 0;
const SLOTS: usize = 4096;
const _: () = assert!(SLOTS.is_power_of_two()); // a slot is found by mask
