//! One core's world: a kernel to talk to, a clock, lanes to the other shards, and the order of a turn.
//!
//! A shard knows completions and slots; what lives in a slot is its [`Tenants`]' business.
//!
//! - [`driver`]: the kernel in completions; `uring` is the real one
//! - [`outgoing`]: what one connection has to send
//! - `bulk`: reading large messages, as far as it is the same for every driver
//! - [`mesh`]: lanes and doorbells between shards
//! - [`on_reactor`]: futures that need glommio
//! - [`time`]: the clock
//! - [`wheel`]: the timer wheel
//!
//! Does not know: WebSocket (but where a frame ends, in `outgoing`), actors, sessions.
//!
//! A message comes from `shard::uring` (or `sim`) and leaves for `actor`; on its way out it comes from
//! `connection` and leaves for the kernel.

pub(crate) mod bulk;
pub mod driver;
pub mod mesh;
pub mod outgoing;
mod reactor;
pub mod time;
#[expect(unsafe_code, reason = "what the kernel reads and writes must outlive the request")]
pub mod uring;
pub mod wheel;

pub use driver::{Completion, Driver, Reader, Reading, Sent, Slot, SocketEvent, SocketId};
pub use mesh::Mesh;
pub use outgoing::Outgoing;
pub use reactor::{OnReactor, on_reactor};
pub(crate) use time::Stopwatch;
pub use time::Time;
pub use wheel::Wheel;

use crate::buf::Pool;
use std::time::Duration;

/// A shard's number in its process, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardId(pub u16);

impl std::fmt::Display for ShardId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "shard {}", self.0)
    }
}

/// How much of each kind of work a turn does at most, and when it sleeps.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Completions a turn (`--batch`), and envelopes from each other shard.
    pub events_max: usize,
    /// How long to look for work before sleeping (`--busy-poll`).
    pub busy_poll: Duration,
    /// The longest sleep: [`SLEEP_MAX`], but where lost wake-ups are to be seen rather than survived.
    pub sleep_max: Duration,
}

/// Those who live on a shard: what the turn calls, in this order.
pub trait Tenants<D: Driver> {
    /// A new turn begins; this is its time.
    fn begin(&mut self, now: Time);
    /// Takes at most `max` envelopes from each other shard.
    fn lanes(&mut self, max: usize);
    /// Takes one completion, and reads from `driver` if that is what it says.
    fn completion(&mut self, completion: Completion<D::Socket>, driver: &mut D);
    /// Lets actors handle what is in their mailboxes, `max` messages at most.
    fn mail(&mut self, max: usize);
    /// Fires what is due.
    fn timers(&mut self);
    /// Queues what is to be sent and what else is to be done to sockets.
    fn flush(&mut self, driver: &mut D);
    /// Publishes the lanes and rings for those who sleep.
    fn publish(&mut self, driver: &mut D);
    /// What became of one send that was flushed.
    fn sent(&mut self, sent: Sent);
    /// Whether there is more to do at once.
    fn is_busy(&mut self) -> bool;
    /// When there will be more to do, if nothing happens before.
    fn next_timer(&self) -> Option<Time>;
    /// About to sleep: arms the doorbell. Returns false, with the bell disarmed, if something came in meanwhile.
    fn arm(&mut self) -> bool;
    /// Awake again. `unrung`: because its time was over, and nothing had completed.
    fn disarm(&mut self, unrung: bool);
    /// The shard's memory.
    fn pool(&mut self) -> &mut Pool;
}

/// What a turn did, and so what its runner may count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Something happened, or will at once.
    Busy,
    /// Nothing happened; it looked without sleeping.
    Spun,
    /// It slept.
    Slept,
}

/// The longest sleep. A lost wake-up would cost this much and no more; the tenants count those. Nothing else waits for
/// it: a shorter one only wakes a shard in vain.
pub const SLEEP_MAX: Duration = Duration::from_secs(1);

/// A shard: one driver and those who live on it.
#[derive(Debug)]
pub struct Shard<D, T> {
    /// The kernel.
    pub driver: D,
    /// Those who live here.
    pub tenants: T,
    pace: Pace,
    /// When there was last something to do.
    busy_at: Time,
}

impl<D: Driver, T: Tenants<D>> Shard<D, T> {
    /// A shard that has not turned yet.
    pub fn new(driver: D, tenants: T, pace: Pace) -> Self {
        let busy_at = driver.now();
        Self { driver, tenants, pace, busy_at }
    }

    /// One turn: lanes, completions, mailboxes, timers, flush, one enter.
    pub fn turn(&mut self) -> Turn {
        let (busy, until) = self.work();
        self.end(until);
        match (busy, until) {
            (_, Some(_)) => Turn::Slept,
            (true, None) => Turn::Busy,
            (false, None) => Turn::Spun,
        }
    }

    /// The rest of a turn: its enter, in which it sleeps if there is an `until`, and the answers to its sends.
    fn end(&mut self, until: Option<Time>) {
        self.driver.enter(self.tenants.pool(), until);
        self.settle(until);
    }

    /// A turn up to its enter: whether anything happened, and until when it may sleep. The simulator has other shards
    /// turn between this and [`Self::settle`], as they do while a real one sleeps.
    pub(crate) fn work(&mut self) -> (bool, Option<Time>) {
        let Self { driver, tenants, pace, .. } = self;
        let now = driver.now();
        tenants.begin(now);
        tenants.lanes(pace.events_max);
        let came = tenants.is_busy(); // from other shards and threads: it may be done with by the end of this turn
        let mut events = 0;
        // One at a time, since a completion may carry a block of the pool that the tenants hold.
        while events < pace.events_max {
            let mut next = None;
            if driver.poll(tenants.pool(), 1, &mut |completion| next = Some(completion)) == 0 {
                break;
            }
            events += 1;
            if let Some(completion) = next {
                tenants.completion(completion, driver);
            }
        }
        tenants.mail(pace.events_max * MAIL_PER_EVENT);
        tenants.timers();
        tenants.flush(driver);
        tenants.publish(driver);

        let more = tenants.is_busy() || driver.has_completions();
        let busy = events > 0 || came || more;
        if busy {
            self.busy_at = now;
        }
        let spinning = now.since(self.busy_at) < pace.busy_poll;
        let mut until = None;
        if !more && !spinning && tenants.arm() {
            let latest = now + pace.sleep_max;
            until = Some(tenants.next_timer().map_or(latest, |timer| timer.min(latest)));
        }
        (busy, until)
    }

    /// A turn's end, after its enter.
    pub(crate) fn settle(&mut self, slept: Option<Time>) {
        let Self { driver, tenants, .. } = self;
        if let Some(until) = slept {
            tenants.disarm(driver.is_over(until) && !driver.has_completions());
        }
        self.tell_sent();
    }

    /// What became of this turn's sends.
    fn tell_sent(&mut self) {
        while let Some(sent) = self.driver.next_sent() {
            self.tenants.sent(sent);
        }
    }
}

/// Messages between actors are cheaper than completions, so a turn handles more of them.
const MAIL_PER_EVENT: usize = 4;
