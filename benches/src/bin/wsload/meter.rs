//! What is counted, between the end of the warm-up and the end of the run.

use crate::error::Error;
use crate::process::{CpuTimes, Process, Thread, own_cpu_nanos};
use hdrhistogram::Histogram;

/// Counts one run.
pub(crate) struct Meter {
    server: Option<Process>,
    pub(crate) latency: Histogram<u64>,
    /// Messages that came within the time that counts.
    pub(crate) messages: u64,
    /// Nanoseconds that this process was awake with nothing to do.
    pub(crate) idle_nanos: u64,
    begun: Reading,
    ended: Reading,
}

#[derive(Default)]
struct Reading {
    at: u64,
    server: CpuTimes,
    own_nanos: u64,
    idle_nanos: u64,
}

/// What the time that counts has come to.
pub(crate) struct Totals {
    pub(crate) seconds: f64,
    /// The server's threads that did anything, with what they used; none if nobody looked.
    pub(crate) threads: Option<Vec<Thread>>,
    /// The share of a core that this process was busy.
    pub(crate) own_share: f64,
}

impl Meter {
    pub(crate) fn new(server: Option<Process>) -> Result<Self, Error> {
        Ok(Self {
            server,
            latency: histogram()?,
            messages: 0,
            idle_nanos: 0,
            begun: Reading::default(),
            ended: Reading::default(),
        })
    }

    /// The warm-up is over: what was counted so far does not count. `clock` is read last.
    pub(crate) fn begin(&mut self, clock: impl FnOnce() -> u64) -> Result<u64, Error> {
        self.latency.reset();
        self.messages = 0;
        self.begun = self.read(clock)?;
        Ok(self.begun.at)
    }

    /// The time that counts is over.
    pub(crate) fn end(&mut self, clock: impl FnOnce() -> u64) -> Result<(), Error> {
        self.ended = self.read(clock)?;
        Ok(())
    }

    /// `count` messages took so long.
    #[inline]
    pub(crate) fn record(&mut self, nanos: u64, count: u32) {
        self.latency.saturating_record_n(nanos.max(1), u64::from(count));
    }

    pub(crate) fn totals(&self) -> Totals {
        let nanos = (self.ended.at - self.begun.at) as f64;
        let busy = (self.ended.own_nanos - self.begun.own_nanos)
            .saturating_sub(self.ended.idle_nanos - self.begun.idle_nanos);
        Totals {
            seconds: nanos / 1e9,
            threads: self.server.is_some().then(|| self.ended.server.since(&self.begun.server)),
            own_share: busy as f64 / nanos,
        }
    }

    fn read(&self, clock: impl FnOnce() -> u64) -> Result<Reading, Error> {
        let server = self.server.map(Process::cpu_times).transpose()?.unwrap_or_default();
        Ok(Reading { server, own_nanos: own_cpu_nanos(), idle_nanos: self.idle_nanos, at: clock() })
    }
}

/// From a nanosecond to an hour, to three digits.
pub(crate) fn histogram() -> Result<Histogram<u64>, Error> {
    Histogram::new_with_bounds(1, 3_600_000_000_000, 3).map_err(|error| Error::Machine(error.to_string()))
}
