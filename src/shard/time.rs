//! The shard's clock.
//!
//! Time is a number that the driver reads once a turn, so a handler that asks twice in one turn gets the
//! same answer, and a simulator can make it up.

use std::ops::Add;
use std::time::{Duration, Instant};

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

/// The earlier of two times that may never come.
pub(crate) fn earlier(a: Option<Time>, b: Option<Time>) -> Option<Time> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// A clock that goes on during a turn, for what is measured and decides nothing. In the simulator it stands still, and
/// nothing is measured.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Stopwatch(Option<Instant>);

impl Stopwatch {
    /// One that began at `epoch`.
    pub(crate) fn from(epoch: Instant) -> Self {
        Self(Some(epoch))
    }

    pub(crate) fn read(self) -> Option<Time> {
        self.0.map(|epoch| Time::ZERO + epoch.elapsed())
    }
}
