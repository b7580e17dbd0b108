//! `compare`: corewire beside its rivals in one run; `make bench` runs it.
//!
//! In reading order: [`contenders`] are who can take part, [`server`] starts and ends processes, [`rounds`] measures, and
//! [`machine`] says where. What is measured, and what is made of it, is the library's part: `corewire_bench::compare`.

mod contenders;
mod machine;
mod rounds;
mod server;

use clap::Parser;
use corewire_bench::compare::cells::{self, Cell};
use corewire_bench::compare::record::Record;
use corewire_bench::compare::{judge, plot, table};
use regex::Regex;
use rounds::{Plan, Rounds};
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;
use std::{fs, io};

/// corewire beside its rivals: server CPU a message, latency and memory, as ratios of pairs from one run
///
/// All servers are up, each bound to one core, and take turns in each cell. Builds nothing: `make bench` does.
#[derive(Parser)]
#[command(version, name = "compare")]
struct Flags {
    /// Only cells whose key or name fits: 'echo/200x20', '16 KiB', '^open'
    #[arg(long)]
    only: Option<Regex>,
    /// Only these servers, by name
    #[arg(long, value_delimiter = ',')]
    servers: Vec<String>,
    /// Each server is measured so many times in each cell
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds of each measurement
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// The core of the servers
    #[arg(long, default_value_t = 0)]
    server_core: usize,
    /// The core of the load generator
    #[arg(long, default_value_t = 1)]
    load_core: usize,
    /// Where latest.json, table.md and the plots go
    #[arg(long, default_value = "target/compare")]
    out: PathBuf,
    /// Measure nothing: make the table and the plots of this latest.json again
    #[arg(long)]
    from: Option<PathBuf>,
    /// List the cells, and who can take part
    #[arg(long)]
    list: bool,
}

fn main() -> ExitCode {
    let flags = Flags::parse();
    match run(&flags) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("compare: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(flags: &Flags) -> Result<ExitCode, String> {
    let cells: Vec<_> = cells::all().into_iter().filter(|cell| is_wanted(flags, cell)).collect();
    if flags.list {
        cells.iter().for_each(|cell| println!("{:24} {}", cell.key, cell.name));
        contenders::ALL.iter().for_each(|contender| println!("{}", contender.name));
        return Ok(ExitCode::SUCCESS);
    }
    let (record, stopped) = match &flags.from {
        Some(file) => {
            let text = fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
            (serde_json::from_str(&text).map_err(|error| format!("{}: {error}", file.display()))?, false)
        }
        None => measure(flags, cells)?,
    };
    let rows = judge::rows(&record, &cells::all());
    let table = table::markdown(&record, &rows);
    println!("{table}");
    if stopped {
        eprintln!("compare: stopped; nothing is written");
        return Ok(ExitCode::from(130));
    }
    let write = |name: &str, text: String| {
        let file = flags.out.join(name);
        fs::write(&file, text).map_err(|error| format!("{}: {error}", file.display()))
    };
    fs::create_dir_all(&flags.out).map_err(|error| format!("{}: {error}", flags.out.display()))?;
    write("latest.json", record.to_json().map_err(|error| error.to_string())?)?;
    write("table.md", table)?;
    for (name, picture) in [("cpu.svg", plot::cpu_ratios(&rows)), ("latency.svg", plot::latencies(&rows))] {
        if let Some(picture) = picture {
            write(name, picture)?;
        }
    }
    eprintln!("compare: written to {}", flags.out.display());
    Ok(ExitCode::SUCCESS)
}

/// The record, and whether it was cut short.
fn measure(flags: &Flags, cells: Vec<Cell>) -> Result<(Record, bool), String> {
    let known = |name: &&String| !contenders::ALL.iter().any(|contender| contender.name == *name);
    if let Some(unknown) = flags.servers.iter().find(known) {
        return Err(format!("there is no server `{unknown}`; see --list"));
    }
    if cells.is_empty() || flags.rounds == 0 || !(flags.seconds > 0.0 && flags.seconds <= 600.0) {
        return Err("--only fits no cell, or --rounds or --seconds is not positive; see --list".into());
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    if flags.server_core == flags.load_core || flags.server_core.max(flags.load_core) >= cores {
        return Err(format!("servers and load need two different cores of this machine's {cores}"));
    }
    let target =
        target_directory().map_err(|error| format!("where this program lies is not known: {error}"))?;
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let logs = target.join("compare");
    fs::create_dir_all(&logs).map_err(|error| format!("{}: {error}", logs.display()))?;
    machine::prepare();
    let mut run = machine::describe(&repository);
    let asked = |name: &str| flags.servers.is_empty() || flags.servers.iter().any(|asked| asked == name);
    let all = contenders::ALL.iter().filter(|contender| asked(contender.name));
    let entrants: Vec<_> =
        all.map(|contender| (contender, contender.entrant(&target, &repository))).collect();
    (run.rounds, run.seconds) = (flags.rounds, flags.seconds);
    (run.server_core, run.load_core) = (flags.server_core, flags.load_core);
    run.servers = entrants.iter().map(|(_, entrant)| entrant.clone()).collect();
    let contenders: Vec<_> = entrants
        .iter()
        .filter(|(_, entrant)| entrant.skipped.is_none())
        .map(|(contender, _)| *contender)
        .collect();
    if contenders.is_empty() {
        return Err("no server is built: run make bench, or see --list".into());
    }

    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, stop.clone()).map_err(|error| error.to_string())?;
    }
    let plan = Plan {
        cells,
        contenders,
        rounds: flags.rounds,
        seconds: flags.seconds,
        server_core: flags.server_core,
        load_core: flags.load_core,
        target,
        logs,
    };
    let mut rounds = Rounds::new(plan, stop.clone());
    let begun = Instant::now();
    rounds.run(|what, done| tell(what, done, begun));
    eprintln!();
    let samples = std::mem::take(&mut rounds.samples);
    Ok((Record { run, samples }, stop.load(Ordering::Relaxed)))
}

fn is_wanted(flags: &Flags, cell: &Cell) -> bool {
    flags.only.as_ref().is_none_or(|only| only.is_match(&cell.key) || only.is_match(&cell.name))
}

/// One line that changes on a terminal, and a line each elsewhere.
fn tell(what: &str, done: f64, begun: Instant) {
    let elapsed = begun.elapsed().as_secs_f64();
    let left = if done > 0.02 { format!(", {:.0} s left", elapsed / done - elapsed) } else { String::new() };
    let line = format!("{what} ({:.0} %{left})", done * 100.0);
    let mut stderr = io::stderr();
    let _ = if stderr.is_terminal() { write!(stderr, "\r\x1b[K{line}") } else { writeln!(stderr, "{line}") };
}

/// Where this program and those beside it were built.
fn target_directory() -> io::Result<PathBuf> {
    let this = std::env::current_exe()?;
    let directory = this.parent().and_then(Path::parent);
    directory.map(Path::to_owned).ok_or_else(|| io::ErrorKind::NotFound.into())
}
