//! `wsload`: load for any WebSocket server, and what it costs the server.
//!
//! In reading order:
//! - [`flags`]: what can be asked for; [`error`]: whose fault it was; [`report`]: what is told
//! - [`machine`], [`process`]: what is asked of the machine, and what it knows of the server
//! - [`messages`], [`replies`], [`odd`]: what is sent, and whether it comes back byte for byte
//! - [`opening`], [`connection`], [`clients`]: sockets, and the one thread's epoll around them
//! - [`clock`], [`meter`]: time, and what is counted
//! - [`closed`], [`open`]: the loops of `echo`
//!
//! benches/README.md tells how to use it.

mod clients;
mod clock;
mod closed;
mod connection;
mod error;
mod flags;
mod machine;
mod messages;
mod meter;
mod odd;
mod open;
mod opening;
mod process;
mod replies;
mod report;

use clap::Parser;
use clients::Clients;
use error::Error;
use flags::{Common, Echo, Flags, Mode};
use messages::Messages;
use meter::Meter;
use process::Process;
use report::{Client, Latency, Report, Server, rounded};
use std::process::ExitCode;

fn main() -> ExitCode {
    match run(&Flags::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("wsload: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

fn run(flags: &Flags) -> Result<(), Error> {
    let (report, common) = match &flags.mode {
        Mode::Echo(flags) => (echo(flags)?, &flags.common),
    };
    if common.json {
        let json = serde_json::to_string(&report).map_err(|error| Error::Machine(error.to_string()))?;
        println!("{json}");
    } else {
        println!("{report}");
    }
    Ok(())
}

fn echo(flags: &Echo) -> Result<Report, Error> {
    flags.check()?;
    let common = &flags.common;
    let (target, path) = common.target()?;
    let server = prepare(common, common.connections)?;
    let messages = Messages::new(common.size, common.text);
    let mut clients = Clients::new(&messages)?;
    clients.open(&target, |_| path.clone(), common.connections, common.ramp, &messages)?;
    let mut meter = Meter::new(server)?;
    let seconds = (common.warmup, common.duration);
    let open = match flags.rate {
        Some(rate) => Some(open::run(&mut clients, &messages, rate, seconds, &mut meter)?),
        None => {
            closed::run(&mut clients, &messages, flags.in_flight, seconds, &mut meter)?;
            None
        }
    };
    let rss = server.map(|server| server.rss_bytes().map(|bytes| (server, bytes))).transpose()?;
    clients.close(&messages);
    let totals = meter.totals();
    let late_us = open.as_ref().map(|open| rounded(open.late.value_at_quantile(0.99) as f64 / 1e3));
    Ok(Report {
        mode: "echo",
        server: Server::new(target.host, rss, &totals, meter.messages),
        connections: common.connections,
        size_bytes: common.size,
        in_flight: flags.rate.is_none().then_some(flags.in_flight),
        rate_per_s: flags.rate,
        duration_s: rounded(totals.seconds),
        messages: meter.messages,
        messages_per_s: Some(rounded(meter.messages as f64 / totals.seconds)),
        latency_us: Latency::new(&meter.latency),
        sender_late_us: late_us,
        unanswered: open.map(|open| open.unanswered),
        client: Client {
            cpu_share: rounded(totals.own_share),
            is_limit: totals.own_share > BUSY_SHARE || late_us.is_some_and(|late_us| late_us > LATE_US_MAX),
        },
    })
}

/// Makes the machine ready, and finds the server's process.
fn prepare(common: &Common, connections: usize) -> Result<Option<Process>, Error> {
    machine::allow_files(connections)?;
    if common.autogroup {
        machine::favour_autogroup()?;
    }
    if let Some(core) = common.pin {
        machine::pin(core)?;
    }
    common.pid.map(Process::new).transpose()
}

/// From here on the client has no time left.
const BUSY_SHARE: f64 = 0.95;
/// A sender that is later than this shows in the latencies.
const LATE_US_MAX: f64 = 50.0;
