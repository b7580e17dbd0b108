//! What a run has shown: a table for people, JSON for programs. What was not measured is null.

use crate::broadcast::Broadcast;
use crate::idle::Idle;
use crate::meter::Totals;
use crate::process::Process;
use hdrhistogram::Histogram;
use serde::Serialize;
use std::fmt;

/// The same fields for all modes, and some of each mode's own.
#[derive(Serialize)]
pub(crate) struct Report {
    pub(crate) mode: &'static str,
    pub(crate) server: Server,
    pub(crate) connections: usize,
    pub(crate) size_bytes: usize,
    /// On each connection, or in each room.
    pub(crate) in_flight: Option<usize>,
    /// That was asked for, of all connections together.
    pub(crate) rate_per_s: Option<f64>,
    /// That counted.
    pub(crate) duration_s: f64,
    /// Replies, or deliveries.
    pub(crate) messages: u64,
    pub(crate) messages_per_s: Option<f64>,
    pub(crate) latency_us: Option<Latency>,
    /// How late this process was to send what was due, p99.
    pub(crate) sender_late_us: Option<f64>,
    /// What had not come back when waiting was given up; counted in the latency as long as it had waited.
    pub(crate) unanswered: Option<u64>,
    pub(crate) client: Client,
    pub(crate) broadcast: Option<Broadcast>,
    pub(crate) idle: Option<Idle>,
}

#[derive(Serialize)]
pub(crate) struct Server {
    pub(crate) address: String,
    pub(crate) pid: Option<u32>,
    pub(crate) cpu_us_per_message: Option<f64>,
    /// Of one core.
    pub(crate) cpu_share: Option<f64>,
    pub(crate) rss_bytes: Option<u64>,
    pub(crate) threads: Option<Vec<ServerThread>>,
}

#[derive(Serialize)]
pub(crate) struct ServerThread {
    pub(crate) name: String,
    pub(crate) cpu_us_per_message: Option<f64>,
    /// Of one core.
    pub(crate) cpu_share: f64,
}

#[derive(Serialize)]
pub(crate) struct Latency {
    pub(crate) p50: f64,
    pub(crate) p90: f64,
    pub(crate) p99: f64,
    pub(crate) p99_9: f64,
    pub(crate) max: f64,
}

#[derive(Serialize)]
pub(crate) struct Client {
    /// Of one core, busy; what is spun away while waiting does not count.
    pub(crate) cpu_share: f64,
    /// This process, and not the server, decides the rate or the latency.
    pub(crate) is_limit: bool,
}

impl Server {
    /// `messages`: what the CPU time is divided by.
    pub(crate) fn new(
        address: String,
        process: Option<(Process, u64)>,
        totals: &Totals,
        messages: u64,
    ) -> Self {
        let threads = totals.threads.as_deref();
        let nanos = threads.map(|threads| threads.iter().map(|thread| thread.nanos).sum::<u64>());
        let each = |nanos: u64| (messages > 0).then(|| rounded(nanos as f64 / 1e3 / messages as f64));
        Self {
            address,
            pid: process.map(|(process, _)| process.pid()),
            cpu_us_per_message: nanos.and_then(each),
            cpu_share: nanos.map(|nanos| share(nanos as f64 / 1e9 / totals.seconds)),
            rss_bytes: process.map(|(_, rss_bytes)| rss_bytes),
            threads: threads.map(|threads| {
                let thread = |thread: &crate::process::Thread| ServerThread {
                    name: thread.name.clone(),
                    cpu_us_per_message: each(thread.nanos),
                    cpu_share: share(thread.nanos as f64 / 1e9 / totals.seconds),
                };
                threads.iter().map(thread).collect()
            }),
        }
    }
}

impl Latency {
    pub(crate) fn new(latency: &Histogram<u64>) -> Option<Self> {
        let micros = |quantile| rounded(latency.value_at_quantile(quantile) as f64 / 1e3);
        (!latency.is_empty()).then(|| Self {
            p50: micros(0.5),
            p90: micros(0.9),
            p99: micros(0.99),
            p99_9: micros(0.999),
            max: rounded(latency.max() as f64 / 1e3),
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} on {}: {} connections × {} B",
            self.mode, self.server.address, self.connections, self.size_bytes
        )?;
        if let Some(in_flight) = self.in_flight {
            write!(f, ", {in_flight} in flight")?;
        }
        if let Some(rate) = self.rate_per_s {
            write!(f, ", {rate} messages/s due")?;
        }
        writeln!(f, ", {:.1} s", self.duration_s)?;
        if let Some(rate) = self.messages_per_s {
            writeln!(f, "  messages     {:>12.0} /s ({} in all)", rate, self.messages)?;
        }
        if let Some(broadcast) = &self.broadcast {
            broadcast.fmt(f)?;
        }
        if let Some(idle) = &self.idle {
            idle.fmt(f)?;
        }
        if let Some(latency) = &self.latency_us {
            writeln!(f, "  latency µs            p50       p90       p99     p99.9       max")?;
            let Latency { p50, p90, p99, p99_9, max } = latency;
            writeln!(f, "              {p50:>11.1} {p90:>9.1} {p99:>9.1} {p99_9:>9.1} {max:>9.1}")?;
        }
        if let Some(late) = self.sender_late_us {
            writeln!(f, "  sender late  {late:>12.1} µs (p99), included in the latency")?;
        }
        if let Some(unanswered @ 1..) = self.unanswered {
            writeln!(f, "  unanswered   {unanswered:>12}")?;
        }
        self.server.fmt(f)?;
        let share = self.client.cpu_share * 100.0;
        write!(f, "  client CPU   {share:>12.1} % of a core")?;
        if self.client.is_limit {
            write!(
                f,
                ": the client is the limit here; compare the server's CPU a message, not rates or latencies"
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let (Some(pid), Some(share)) = (self.pid, self.cpu_share) {
            writeln!(f, "  server CPU   {:>12.2} % of a core (process {pid})", share * 100.0)?;
        }
        if let Some(micros) = self.cpu_us_per_message {
            writeln!(f, "               {micros:>12.3} µs a message")?;
        }
        for thread in
            self.threads.iter().flatten().filter(|_| self.threads.as_ref().is_some_and(|all| all.len() > 1))
        {
            if let Some(micros) = thread.cpu_us_per_message {
                writeln!(f, "               {micros:>12.3} µs a message on {}", thread.name)?;
            }
        }
        if let Some(rss) = self.rss_bytes {
            writeln!(f, "  server RSS   {:>12.1} MiB", rss as f64 / f64::from(1 << 20))?;
        }
        Ok(())
    }
}

/// To three digits after the point.
pub(crate) fn rounded(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

/// To a ten thousandth of a percent.
pub(crate) fn share(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}
