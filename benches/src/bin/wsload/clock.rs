//! The run's clock: nanoseconds since it began.

use std::time::{Duration, Instant};

#[derive(Clone, Copy)]
pub(crate) struct Clock(Instant);

impl Clock {
    pub(crate) fn new() -> Self {
        Self(Instant::now())
    }

    #[inline]
    pub(crate) fn now(self) -> u64 {
        self.0.elapsed().as_nanos() as u64
    }
}

/// How long a run's parts take, in seconds.
#[derive(Clone, Copy)]
pub(crate) struct Spans {
    /// Not counted.
    pub(crate) warmup_s: f64,
    pub(crate) duration_s: f64,
    /// For what is still to come at the end.
    pub(crate) patience_s: f64,
}

/// Seconds as nanoseconds.
pub(crate) fn nanos(seconds: f64) -> u64 {
    (seconds * 1e9) as u64
}

/// From `now` until `then`, at most `max_nanos`.
pub(crate) fn until(now: u64, then: u64, max_nanos: u64) -> Duration {
    Duration::from_nanos(then.saturating_sub(now).min(max_nanos))
}
