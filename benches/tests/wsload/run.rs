//! `wsload` as a process: its report, or its complaint.

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

/// What a run has come to.
pub(super) struct Run(Output);

/// Runs `wsload MODE SERVER FLAGS…`.
pub(super) fn wsload(mode: &str, server: &str, flags: &[&str]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wsload"));
    Run(command.arg(mode).arg(server).args(flags).output().expect("wsload can be run"))
}

/// Runs it with `--json`, while the kernel does not let it run for `pause`, once it has run for `before`.
#[track_caller]
pub(super) fn report_paused(
    mode: &str,
    server: &str,
    flags: &[&str],
    before: Duration,
    pause: Duration,
) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wsload"));
    command.arg(mode).arg(server).args(flags).arg("--json").stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().expect("wsload can be run");
    let pid = Pid::from_child(&child);
    std::thread::sleep(before);
    kill_process(pid, Signal::STOP).expect("it runs");
    std::thread::sleep(pause);
    kill_process(pid, Signal::CONT).expect("it is still there");
    Run(child.wait_with_output().expect("it is our child")).report()
}

/// Runs it with `--json`, and hopes for a report.
#[track_caller]
pub(super) fn report(mode: &str, server: &str, flags: &[&str]) -> Value {
    wsload(mode, server, &[flags, &["--json"]].concat()).report()
}

/// Runs it, and hopes for a complaint that says `what`, with this exit status. `…` in `what` stands for anything.
#[track_caller]
pub(super) fn check_complaint(mode: &str, server: &str, flags: &[&str], status: i32, what: &str) {
    let run = wsload(mode, server, flags);
    let complaint = run.complaint();
    let rest =
        what.split('…').try_fold(&*complaint, |rest, part| rest.split_once(part).map(|(_, rest)| rest));
    assert!(rest.is_some(), "it should say `{what}`, but says `{complaint}` and `{}`", run.table());
    assert_eq!(run.0.status.code(), Some(status), "{complaint}");
}

impl Run {
    #[track_caller]
    fn report(&self) -> Value {
        assert!(self.0.status.success(), "{}", self.complaint());
        serde_json::from_str(&self.table()).expect("one JSON object, and nothing besides")
    }

    pub(super) fn table(&self) -> String {
        String::from_utf8(self.0.stdout.clone()).expect("text")
    }

    pub(super) fn complaint(&self) -> String {
        String::from_utf8(self.0.stderr.clone()).expect("text")
    }
}

/// A number in a report, by its path: `latency_us.p50`.
#[track_caller]
pub(super) fn number(report: &Value, path: &str) -> f64 {
    let value = path.split('.').fold(report, |value, key| &value[key]);
    value.as_f64().unwrap_or_else(|| panic!("{path} is no number in {report}"))
}
