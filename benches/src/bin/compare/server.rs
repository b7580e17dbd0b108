//! Processes: servers that run until they are dropped, and the load generator, which is waited for.
//!
//! All of them end with this process, even if it is killed (`setpriv --pdeathsig`).

use serde_json::Value;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

/// A server that listens.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Server {
    /// Starts `program` on a core and a port that nobody else has, and waits until it says that it listens.
    pub(crate) fn start(
        program: &Path,
        arguments: impl Fn(u16) -> Vec<String>,
        core: usize,
        log: &Path,
    ) -> Result<Self, String> {
        let address = free_address().map_err(|error| format!("there is no free port: {error}"))?;
        let wrong = |error: std::io::Error| format!("{} cannot be started: {error}", program.display());
        let stderr = File::create(log).map_err(wrong)?;
        let child = dependent(core)
            .arg(program)
            .args(arguments(address.port()))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .map_err(wrong)?;
        let mut server = Self { child, address };
        let Some(stdout) = server.child.stdout.take() else { return Err("its output cannot be read".into()) };
        let (ready, listens) = mpsc::channel();
        std::thread::spawn(move || {
            // Read to the end: what it tells later must not block it.
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if line.contains("listening on") {
                    let _ = ready.send(()); // nobody waits for the second time
                }
            }
        });
        let waited = listens.recv_timeout(START_MAX);
        waited.map(|()| server).map_err(|_| {
            let said = fs::read_to_string(log).unwrap_or_default();
            format!(
                "{} does not listen: {}",
                program.display(),
                said.lines().last().unwrap_or("it says nothing")
            )
        })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// CPU time of all its threads so far.
    pub(crate) fn cpu(&self) -> Duration {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.pid()));
        let nanos = tasks.into_iter().flatten().flatten().filter_map(|task| {
            let schedstat = fs::read_to_string(task.path().join("schedstat")).ok()?; // a thread may end meanwhile
            schedstat.split(' ').next()?.parse::<u64>().ok()
        });
        Duration::from_nanos(nanos.sum())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill(); // it has ended already if this fails
        let _ = self.child.wait();
    }
}

/// Runs the load generator and parses what it prints; ends it after `limit`, or once `stop` is set.
pub(crate) fn load(
    loader: &Path,
    arguments: &[String],
    core: usize,
    limit: Duration,
    stop: &AtomicBool,
) -> Result<Value, String> {
    let wrong = |error: std::io::Error| format!("{} cannot be started: {error}", loader.display());
    let mut child = dependent(core)
        .arg(loader)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(wrong)?;
    let (told, telling) = mpsc::channel();
    for (is_report, stream) in [
        (true, child.stdout.take().map(|stream| Box::new(stream) as Box<dyn Read + Send>)),
        (false, child.stderr.take().map(|stream| Box::new(stream) as Box<dyn Read + Send>)),
    ] {
        let told = told.clone();
        std::thread::spawn(move || {
            let mut text = String::new();
            let _ = stream.map(|mut stream| stream.read_to_string(&mut text)); // what came until then will do
            let _ = told.send((is_report, text)); // nobody listens if time was up
        });
    }
    let (mut report, mut complaint, mut missing) = (String::new(), String::new(), 2);
    let end = Instant::now() + limit;
    while missing > 0 {
        match telling.recv_timeout(Duration::from_millis(100)) {
            Ok((true, text)) => (report, missing) = (text, missing - 1),
            Ok((false, text)) => (complaint, missing) = (text, missing - 1),
            Err(RecvTimeoutError::Timeout) if Instant::now() < end && !stop.load(Ordering::Relaxed) => {}
            Err(_) => {
                let _ = child.kill(); // it has ended already if this fails
                let _ = child.wait();
                return Err(format!("no report within {} s", limit.as_secs()));
            }
        }
    }
    let status = child.wait().map_err(wrong)?;
    if !status.success() {
        return Err(complaint.lines().last().map_or_else(|| status.to_string(), str::to_owned));
    }
    serde_json::from_str(&report).map_err(|error| format!("the report is not JSON: {error}"))
}

/// A command on a core that ends with this process; what it runs is its first argument.
fn dependent(core: usize) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "taskset", "-c", &core.to_string()]);
    command
}

/// The port is free again when this returns, and the kernel does not give it to the next who asks.
fn free_address() -> std::io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

const START_MAX: Duration = Duration::from_secs(10);
