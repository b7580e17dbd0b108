//! Where and when a run took place.

use corewire_bench::compare::record::Run;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// What is known before the first round.
pub(crate) fn describe(repository: &Path) -> Run {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown CPU");
    let virtual_machine = if cpuinfo.contains(" hypervisor") { " of a virtual machine" } else { "" };
    let congestion = fs::read_to_string("/proc/sys/net/ipv4/tcp_congestion_control").unwrap_or_default();
    let dirty = !told(repository, "git", &["status", "--porcelain", "--untracked-files=no"]).is_empty();
    Run {
        date: told(repository, "date", &["-u", "+%Y-%m-%d %H:%M UTC"]),
        git_commit: told(repository, "git", &["rev-parse", "--short", "HEAD"]) + if dirty { "+" } else { "" },
        kernel: told(repository, "uname", &["-sr"]),
        cpu: format!("{} × {}{virtual_machine}", cores, model.trim_start_matches(['\t', ' ', ':'])),
        congestion_control: format!("TCP with {}", congestion.trim()),
        rustc: told(repository, "rustc", &["--version"]),
        ..Run::default()
    }
}

/// What a command prints, without the end of the line; nothing if it fails.
fn told(directory: &Path, command: &str, arguments: &[&str]) -> String {
    let output = Command::new(command).args(arguments).current_dir(directory).output();
    let output = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    output.unwrap_or_default()
}

/// The time that a hypervisor gave to others though these cores had something to do, so far.
pub(crate) fn stolen(cores: &[usize]) -> Duration {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let ticks = cores.iter().filter_map(|core| {
        let line = stat.lines().find_map(|line| line.strip_prefix(&format!("cpu{core} ")))?;
        line.split_whitespace().nth(7)?.parse::<u64>().ok() // user nice system idle iowait irq softirq steal
    });
    Duration::from_secs_f64(ticks.sum::<u64>() as f64 / rustix::param::clock_ticks_per_second() as f64)
}

/// Children may open as many files as this machine allows, and go before other sessions' processes where that is
/// permitted.
pub(crate) fn prepare() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }); // fewer files: a cell says so
    let _ = fs::write("/proc/self/autogroup", "-20"); // only root may
}
