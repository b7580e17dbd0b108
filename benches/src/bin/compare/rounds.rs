//! The rounds: each server under each load, one after the other, again and again.

use crate::contenders::{ALL, Contender};
use crate::machine;
use crate::server::{Server, load};
use corewire_bench::compare::cells::{Cell, Load, Mode};
use corewire_bench::compare::record::Sample;
use corewire_bench::compare::{FIRST_RIVAL, OURS};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// What all rounds have in common.
pub(crate) struct Plan {
    pub(crate) cells: Vec<Cell>,
    pub(crate) contenders: Vec<&'static Contender>,
    pub(crate) rounds: usize,
    pub(crate) seconds: f64,
    pub(crate) server_core: usize,
    pub(crate) load_core: usize,
    /// Where programs are.
    pub(crate) target: PathBuf,
    /// Where servers' complaints go.
    pub(crate) logs: PathBuf,
}

/// What has been measured, and the servers that it is measured on.
pub(crate) struct Rounds {
    plan: Plan,
    stop: Arc<AtomicBool>,
    servers: HashMap<(&'static str, Mode), Server>,
    /// For each cell at half of capacity.
    rates: HashMap<String, f64>,
    pub(crate) samples: Vec<Sample>,
}

impl Rounds {
    pub(crate) fn new(plan: Plan, stop: Arc<AtomicBool>) -> Self {
        Self { plan, stop, servers: HashMap::new(), rates: HashMap::new(), samples: Vec::new() }
    }

    /// Runs them all. `progress` hears what comes next, and the share that is done.
    pub(crate) fn run(&mut self, mut progress: impl FnMut(&str, f64)) {
        let cells = std::mem::take(&mut self.plan.cells);
        let steps = (self.plan.rounds * cells.len() * self.plan.contenders.len()) as f64;
        let mut step = 0.0;
        for round in 0..self.plan.rounds {
            for (at, cell) in cells.iter().enumerate() {
                for contender in turned(&self.plan.contenders, round + at) {
                    step += 1.0;
                    if contender.program(cell.mode(), &self.plan.target).is_none() {
                        continue;
                    }
                    let what = format!(
                        "round {}/{}, {}: {}",
                        round + 1,
                        self.plan.rounds,
                        cell.name,
                        contender.name
                    );
                    progress(&what, (step - 1.0) / steps);
                    let sample = self.sample(cell, round, contender);
                    if self.stop.load(Ordering::Relaxed) {
                        return;
                    }
                    self.samples.push(sample);
                }
            }
        }
    }

    fn sample(&mut self, cell: &Cell, round: usize, contender: &'static Contender) -> Sample {
        if matches!(cell.load, Load::Idle { .. }) {
            self.servers.remove(&(contender.name, cell.mode())); // what others have left there is not counted
        }
        let arguments = self.load_arguments(cell); // which may put load on others
        let (before, stolen_before) = (self.others_cpu(contender.name), self.stolen());
        let begun = Instant::now();
        let report = arguments.and_then(|arguments| self.load(contender, cell.mode(), &arguments));
        let others = self.others_cpu(contender.name).saturating_sub(before);
        let stolen = self.stolen().saturating_sub(stolen_before);
        let share = |time: Duration| (time.as_secs_f64() / begun.elapsed().as_secs_f64() * 1e4).round() / 1e4;
        let (report, failure) = match report {
            Ok(report) => (Some(report), None),
            Err(failure) => (None, Some(failure)),
        };
        Sample {
            cell: cell.key.clone(),
            round,
            server: contender.name.into(),
            report,
            failure,
            others_cpu_share: share(others),
            stolen_share: share(stolen),
        }
    }

    /// The load generator's flags for a cell, but for the server.
    fn load_arguments(&mut self, cell: &Cell) -> Result<Vec<String>, String> {
        Ok(match cell.load {
            Load::Closed { connections, size, in_flight } => {
                echo(connections, size, &["--in-flight", &in_flight.to_string()])
            }
            Load::Open { connections, size, rate } => echo(connections, size, &["--rate", &rate.to_string()]),
            Load::HalfOfCapacity { connections, size } => {
                let rate = self.half_of_capacity(&cell.key, connections, size)?;
                echo(connections, size, &["--rate", &rate.to_string()])
            }
            Load::OpenRoom { members, size, rate } => flags(&[
                "broadcast",
                "--connections",
                &members.to_string(),
                "--size",
                &size.to_string(),
                "--rate",
                &rate.to_string(),
            ]),
            Load::Room { members, size, outstanding } => flags(&[
                "broadcast",
                "--connections",
                &members.to_string(),
                "--size",
                &size.to_string(),
                "--outstanding",
                &outstanding.to_string(),
            ]),
            Load::Idle { from, to } => flags(&["idle", "--from", &from.to_string(), "--to", &to.to_string()]),
        })
    }

    /// Half of the messages a second that the slower one of ours and the first rival answers; the same in all rounds.
    fn half_of_capacity(&mut self, key: &str, connections: usize, size: usize) -> Result<f64, String> {
        if let Some(rate) = self.rates.get(key) {
            return Ok(*rate);
        }
        let mut capacity = f64::INFINITY;
        for name in [OURS, FIRST_RIVAL] {
            let Some(contender) = ALL.iter().find(|contender| contender.name == name) else { continue };
            if contender.program(Mode::Echo, &self.plan.target).is_some() {
                let report =
                    self.load(contender, Mode::Echo, &echo(connections, size, &["--in-flight", "1"]))?;
                let rate = report.pointer("/messages_per_s").and_then(serde_json::Value::as_f64);
                capacity = capacity.min(rate.unwrap_or(f64::INFINITY));
            }
        }
        if !capacity.is_finite() {
            return Err("nobody's capacity is known".into());
        }
        let rate = (capacity / 2e3).round() * 1e3;
        self.rates.insert(key.into(), rate);
        Ok(rate)
    }

    /// One run of the load generator on a server that is alive, while the others are idle.
    fn load(
        &mut self,
        contender: &'static Contender,
        mode: Mode,
        arguments: &[String],
    ) -> Result<serde_json::Value, String> {
        self.start(contender, mode)?;
        self.settle();
        let server = self.servers.get(&(contender.name, mode)).ok_or("it has ended")?;
        let Plan { mut seconds, load_core, .. } = self.plan;
        let mut arguments = arguments.to_vec();
        arguments.insert(1, server.address.to_string());
        if arguments[0] == "idle" {
            seconds = (seconds * IDLE_FACTOR).max(1.0);
        } else {
            arguments.extend(["--warmup".to_owned(), (seconds * WARMUP_SHARE).max(0.2).to_string()]);
        }
        for (flag, value) in [
            ("--duration", seconds.to_string()),
            ("--pid", server.pid().to_string()),
            ("--pin", load_core.to_string()),
        ] {
            arguments.extend([flag.to_owned(), value]);
        }
        arguments.push("--json".into());
        let limit = Duration::from_secs_f64(seconds * 1.5) + LOAD_EXTRA;
        load(&self.plan.target.join("release/wsload"), &arguments, load_core, limit, &self.stop)
    }

    /// Starts a server, unless it is there and alive.
    fn start(&mut self, contender: &'static Contender, mode: Mode) -> Result<(), String> {
        let key = (contender.name, mode);
        if self.servers.get_mut(&key).is_some_and(Server::is_alive) {
            return Ok(());
        }
        let program = contender.program(mode, &self.plan.target).ok_or("it cannot do this")?;
        let log = self.plan.logs.join(format!("{}.log", contender.name));
        let server = Server::start(
            &program.file(&self.plan.target),
            |port| program.arguments(port),
            self.plan.server_core,
            &log,
        )?;
        self.servers.insert(key, server);
        Ok(())
    }

    /// Waits until no server has anything left to do from the load before; not for ever.
    fn settle(&self) {
        let end = Instant::now() + SETTLE_MAX;
        let cpu = || self.servers.values().map(Server::cpu).sum::<Duration>();
        let mut before = cpu();
        loop {
            std::thread::sleep(SETTLE_STEP);
            let now = cpu();
            if now - before < SETTLE_STEP / 50 || Instant::now() > end {
                return;
            }
            before = now;
        }
    }

    /// What the hypervisor has taken of both cores so far.
    fn stolen(&self) -> Duration {
        machine::stolen(&[self.plan.server_core, self.plan.load_core])
    }

    fn others_cpu(&self, name: &str) -> Duration {
        self.servers.iter().filter(|((other, _), _)| *other != name).map(|(_, server)| server.cpu()).sum()
    }
}

/// Who goes first changes, since whoever comes after a heavy load may find a warmer or a slower machine.
fn turned<'a>(contenders: &[&'a Contender], by: usize) -> Vec<&'a Contender> {
    let mut turned = contenders.to_vec();
    turned.rotate_left(by % contenders.len());
    turned
}

fn echo(connections: usize, size: usize, more: &[&str]) -> Vec<String> {
    let mut echo = flags(&["echo", "--connections", &connections.to_string(), "--size", &size.to_string()]);
    echo.extend(flags(more));
    echo
}

fn flags(flags: &[&str]) -> Vec<String> {
    flags.iter().map(|flag| (*flag).to_owned()).collect()
}

/// A thousandth of a core is not to be seen in a short time.
const IDLE_FACTOR: f64 = 2.0;
/// Of the seconds that count.
const WARMUP_SHARE: f64 = 0.2;
/// For opening and closing connections, and for what comes late.
const LOAD_EXTRA: Duration = Duration::from_secs(40);
const SETTLE_STEP: Duration = Duration::from_millis(20);
const SETTLE_MAX: Duration = Duration::from_secs(3);
