//! Connections that do nothing: the server's memory for each, the kernel's, and the CPU that they cost all the same.
//!
//! A slope between two counts, since what a server has before anybody comes is no connection's. Each step waits until
//! the server's memory stands still.

use crate::clients::{Clients, quiet};
use crate::clock::{nanos, until};
use crate::error::{Error, Fault};
use crate::kernel::{KernelMemory, KernelSlope};
use crate::messages::Messages;
use crate::meter::Meter;
use crate::opening::Target;
use crate::process::Process;
use crate::report::rounded;
use serde::Serialize;
use std::fmt;

/// What only this mode tells.
#[derive(Serialize)]
pub(crate) struct Idle {
    pub(crate) from: usize,
    pub(crate) to: usize,
    /// Before the first connection.
    pub(crate) base_rss_bytes: u64,
    pub(crate) rss_bytes: RssSteps,
    /// Of the server's RSS, between the two counts.
    pub(crate) rss_bytes_per_connection: Slope,
    /// Null where the kernel does not tell.
    pub(crate) kernel: Option<KernelSlope>,
}

/// The server's RSS, in the order of the steps.
#[derive(Serialize)]
pub(crate) struct RssSteps {
    pub(crate) from_opened: u64,
    pub(crate) from_echoed: u64,
    /// Here the first `from` have echoed, and the others not.
    pub(crate) to_opened: u64,
    pub(crate) to_echoed: u64,
}

#[derive(Serialize)]
pub(crate) struct Slope {
    pub(crate) before_echo: f64,
    pub(crate) after_echo: f64,
}

/// Where to connect, and how many times.
pub(crate) struct Plan<'a> {
    pub(crate) target: &'a Target,
    pub(crate) path: &'a str,
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) ramp: f64,
    pub(crate) duration_s: f64,
    pub(crate) patience_s: f64,
}

/// Opens, echoes and measures twice, and then watches the server's CPU for a while.
pub(crate) fn run(
    clients: &mut Clients,
    messages: &Messages,
    plan: &Plan<'_>,
    server: Process,
    meter: &mut Meter,
) -> Result<Idle, Error> {
    let &Plan { target, path, from, to, ramp, duration_s, patience_s } = plan;
    let base_rss_bytes = server.rss_bytes()?;
    clients.open(target, |_| path.into(), from, ramp, messages)?;
    let from_opened = settled_rss(clients, messages, server)?;
    echo_once(clients, messages, 0, patience_s)?;
    let from_echoed = settled_rss(clients, messages, server)?;
    let kernel_before = KernelMemory::read();
    clients.open(target, |_| path.into(), to, ramp, messages)?;
    let to_opened = settled_rss(clients, messages, server)?;
    echo_once(clients, messages, from, patience_s)?;
    let to_echoed = settled_rss(clients, messages, server)?;
    let kernel =
        KernelMemory::read().zip(kernel_before).map(|(after, before)| after.slope(&before, to - from));

    let clock = clients.clock;
    let begun = meter.begin(|| clock.now())?;
    clients.show("resting", begun + nanos(duration_s));
    rest(clients, messages, begun + nanos(duration_s))?;
    meter.end(|| clock.now())?;
    let slope = |after: u64| rounded((after as f64 - from_echoed as f64) / (to - from) as f64);
    Ok(Idle {
        from,
        to,
        base_rss_bytes,
        rss_bytes_per_connection: Slope { before_echo: slope(to_opened), after_echo: slope(to_echoed) },
        rss_bytes: RssSteps { from_opened, from_echoed, to_opened, to_echoed },
        kernel,
    })
}

/// One message on each connection from `first` on, a few at a time, so that no burst is what is measured.
fn echo_once(clients: &mut Clients, messages: &Messages, first: usize, patience_s: f64) -> Result<(), Error> {
    let clock = clients.clock;
    let (mut next, mut answered, count) = (first, first, clients.connections.len());
    let mut last_answer = clock.now();
    while answered < count {
        while next < count && next - answered < ECHOES_AT_ONCE {
            let connection = &mut clients.connections[next];
            connection.begin(next, messages);
            connection.queue(messages, clock.now(), 1);
            connection.flush(messages).map_err(|fault| Error::Server { connection: next, fault })?;
            next += 1;
        }
        let before = answered;
        clients.turn(until(0, WAIT_NANOS_MAX, WAIT_NANOS_MAX), |connections, index, buffer| {
            let connection = &mut connections[index];
            let waited = connection.unanswered();
            let more = quiet(connection, index, messages, buffer)?;
            answered += (waited - connection.unanswered()) as usize;
            Ok(more)
        })?;
        let now = clock.now();
        if answered > before {
            last_answer = now;
        } else if now > last_answer + nanos(patience_s) {
            let late = clients.connections.iter().position(|connection| connection.unanswered() > 0);
            let fault = Fault::Unanswered { messages: 1, seconds: patience_s };
            return Err(Error::Server { connection: late.unwrap_or(first), fault });
        }
    }
    Ok(())
}

/// The server's RSS once it stands still.
fn settled_rss(clients: &mut Clients, messages: &Messages, server: Process) -> Result<u64, Error> {
    let clock = clients.clock;
    let patience = clock.now() + nanos(SETTLE_S_MAX);
    clients.show("settling", patience);
    let (mut rss, mut still) = (server.rss_bytes()?, 0);
    while still < STILL_COUNT && clock.now() < patience {
        rest(clients, messages, clock.now() + nanos(SETTLE_STEP_S))?;
        let now = server.rss_bytes()?;
        still = if now == rss { still + 1 } else { 0 };
        rss = now;
    }
    Ok(rss)
}

/// Does nothing but answer pings until `end`.
fn rest(clients: &mut Clients, messages: &Messages, end: u64) -> Result<(), Error> {
    let clock = clients.clock;
    loop {
        let now = clock.now();
        if now >= end {
            return Ok(());
        }
        clients.turn(until(now, end, nanos(1.0)), |connections, index, buffer| {
            quiet(&mut connections[index], index, messages, buffer)
        })?;
    }
}

impl fmt::Display for Idle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Slope { before_echo, after_echo } = &self.rss_bytes_per_connection;
        let base = self.base_rss_bytes as f64 / f64::from(1 << 20);
        writeln!(f, "  base RSS     {base:>12.1} MiB, before the first connection")?;
        writeln!(f, "  RSS slope    {after_echo:>12.0} B a connection ({} to {})", self.from, self.to)?;
        writeln!(f, "               {before_echo:>12.0} B before it has echoed")?;
        let Some(kernel) = &self.kernel else { return Ok(()) };
        let both = kernel.bytes_per_connection;
        writeln!(
            f,
            "  kernel       {both:>12.0} B a connection, both ends if they are here ({})",
            kernel.source
        )?;
        for cache in &kernel.caches {
            writeln!(f, "               {:>12.0} B {}", cache.bytes_per_connection, cache.name)?;
        }
        let queued = kernel.tcp_queue_bytes_per_connection;
        writeln!(f, "               {queued:>12.0} B in TCP's queues (/proc/net/sockstat)")
    }
}

const ECHOES_AT_ONCE: usize = 64;
const WAIT_NANOS_MAX: u64 = 50_000_000;
/// Memory that was the same so many times, so far apart, stands still.
const STILL_COUNT: usize = 3;
const SETTLE_STEP_S: f64 = 0.1;
/// Memory that never stands still is taken as it is then.
const SETTLE_S_MAX: f64 = 5.0;
