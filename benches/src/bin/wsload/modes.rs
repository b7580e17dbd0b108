//! From flags to a report, mode by mode.

use crate::broadcast::{self, Broadcast};
use crate::clients::Clients;
use crate::clock::Spans;
use crate::error::Error;
use crate::flags;
use crate::idle::{self, Plan};
use crate::messages::Messages;
use crate::meter::Meter;
use crate::process::Process;
use crate::progress::Progress;
use crate::report::{Client, Latency, Report, Server, rounded, share};
use crate::rooms::Rooms;
use crate::{closed, machine, open};

pub(crate) fn echo(flags: &flags::Echo) -> Result<Report, Error> {
    flags.check()?;
    let common = &flags.common;
    let (target, path) = common.target()?;
    let path = flags.path.as_ref().unwrap_or(&path);
    let server = prepare(common, flags.connections)?;
    let messages = Messages::new(common.size, common.text);
    let mut clients = Clients::new(&messages, Progress::new(!common.json))?;
    clients.open(&target, |_| path.clone(), flags.connections, common.ramp, &messages)?;
    let mut meter = Meter::new(server)?;
    let spans = Spans { warmup_s: flags.warmup, duration_s: common.duration, patience_s: common.patience };
    let open = match flags.rate {
        Some(rate) => Some(open::run(&mut clients, &messages, rate, spans, &mut meter)?),
        None => {
            closed::run(&mut clients, &messages, flags.in_flight, spans, &mut meter)?;
            None
        }
    };
    let report = report("echo", common, target.host, server, &meter, clients, &messages)?;
    let late_us = open.as_ref().map(|open| rounded(open.late.value_at_quantile(0.99) as f64 / 1e3));
    let is_limit = report.client.is_limit || late_us.is_some_and(|late_us| late_us > LATE_US_MAX);
    Ok(Report {
        connections: flags.connections,
        in_flight: flags.rate.is_none().then_some(flags.in_flight),
        rate_per_s: flags.rate,
        sender_late_us: late_us,
        unanswered: open.map(|open| open.unanswered),
        client: Client { is_limit, ..report.client },
        ..report
    })
}

pub(crate) fn broadcast(flags: &flags::Broadcast) -> Result<Report, Error> {
    flags.check()?;
    let common = &flags.common;
    let (target, _) = common.target()?;
    // In an open loop what is outstanding has no bound but the memory that is told of here.
    let outstanding = if flags.rate.is_some() { OPEN_OUTSTANDING_MAX } else { flags.outstanding };
    let mut rooms = Rooms::new(flags.rooms, flags.connections, outstanding, flags.sender_path.is_none());
    let connections = flags.connections + if flags.sender_path.is_some() { flags.rooms } else { 0 };
    let server = prepare(common, connections)?;
    let messages = Messages::new(common.size, common.text);
    let mut clients = Clients::new(&messages, Progress::new(!common.json))?;
    let path = |index| {
        let sends_only = flags.sender_path.as_ref().filter(|_| !rooms.is_member(index));
        sends_only.unwrap_or(&flags.room_path).replace(flags::ROOM, &rooms.room_of(index).to_string())
    };
    clients.open(&target, path, connections, common.ramp, &messages)?;
    let mut meter = Meter::new(server)?;
    let spans = Spans { warmup_s: flags.warmup, duration_s: common.duration, patience_s: common.patience };
    let published = broadcast::run(&mut clients, &messages, &mut rooms, flags.rate, spans, &mut meter)?;
    let report = report("broadcast", common, target.host, server, &meter, clients, &messages)?;
    Ok(Report {
        connections,
        in_flight: flags.rate.is_none().then_some(flags.outstanding),
        rate_per_s: flags.rate,
        broadcast: Some(Broadcast::new(&rooms, published, meter.totals().seconds)),
        ..report
    })
}

pub(crate) fn idle(flags: &flags::Idle) -> Result<Report, Error> {
    flags.check()?;
    let common = &flags.common;
    let (target, path) = common.target()?;
    let path = flags.path.as_ref().unwrap_or(&path);
    let server = prepare(common, flags.to)?
        .ok_or_else(|| Error::Flags("idle needs --pid: it measures that process".into()))?;
    let messages = Messages::new(common.size, common.text);
    let mut clients = Clients::new(&messages, Progress::new(!common.json))?;
    let mut meter = Meter::new(Some(server))?;
    let plan = Plan {
        target: &target,
        path,
        from: flags.from,
        to: flags.to,
        ramp: common.ramp,
        duration_s: common.duration,
        patience_s: common.patience,
    };
    let idle = idle::run(&mut clients, &messages, &plan, server, &mut meter)?;
    let report = report("idle", common, target.host.clone(), Some(server), &meter, clients, &messages)?;
    Ok(Report { connections: flags.to, messages_per_s: None, idle: Some(idle), ..report })
}

/// Messages of a room that have not come to all its members, in an open loop: one more waits, and its latency grows.
const OPEN_OUTSTANDING_MAX: usize = 1 << 16;

/// Makes the machine ready, and finds the server's process.
fn prepare(common: &flags::Common, connections: usize) -> Result<Option<Process>, Error> {
    machine::allow_files(connections)?;
    if common.autogroup {
        machine::favour_autogroup()?;
    }
    if let Some(core) = common.pin {
        machine::pin(core)?;
    }
    common.pid.map(Process::new).transpose()
}

/// What all modes tell alike.
fn report(
    mode: &'static str,
    common: &flags::Common,
    host: String,
    server: Option<Process>,
    meter: &Meter,
    clients: Clients,
    messages: &Messages,
) -> Result<Report, Error> {
    let rss = server.map(|server| server.rss_bytes().map(|bytes| (server, bytes))).transpose()?;
    let connections = clients.connections.len();
    clients.close(messages);
    let totals = meter.totals();
    Ok(Report {
        mode,
        server: Server::new(host, rss, &totals, meter.messages),
        connections,
        size_bytes: common.size,
        in_flight: None,
        rate_per_s: None,
        duration_s: rounded(totals.seconds),
        messages: meter.messages,
        messages_per_s: Some(rounded(meter.messages as f64 / totals.seconds)),
        latency_us: Latency::new(&meter.latency),
        sender_late_us: None,
        unanswered: None,
        client: Client { cpu_share: share(totals.own_share), is_limit: totals.own_share > BUSY_SHARE },
        broadcast: None,
        idle: None,
    })
}

/// From here on the client has no time left.
const BUSY_SHARE: f64 = 0.95;
/// A sender that is later than this shows in the latencies.
const LATE_US_MAX: f64 = 50.0;
