//! What can be asked for.

use crate::error::Error;
use crate::opening::Target;
use clap::{Args, Parser, Subcommand};
use std::net::ToSocketAddrs;

/// Load for a WebSocket server, and what it costs the server
///
/// One thread, so that the client's own limit is plain; it is told when the client, and not the server, decides the result.
/// Every byte that comes back is checked. Exit status: 1 the server's fault, 2 wrong flags, 3 this machine.
#[derive(Parser)]
#[command(version, name = "wsload")]
pub(crate) struct Flags {
    #[command(subcommand)]
    pub(crate) mode: Mode,
}

#[derive(Subcommand)]
pub(crate) enum Mode {
    /// Every message comes back to its sender: closed loop, or open loop with --rate
    ///
    /// The server must send every message back as one message of the same kind, in order.
    Echo(Echo),
}

#[derive(Args)]
pub(crate) struct Echo {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Messages that each connection keeps in flight: the next is sent when one comes back
    #[arg(short, long, default_value_t = 1, conflicts_with = "rate")]
    pub(crate) in_flight: usize,
    /// Messages a second, of all connections together, sent when they are due, whatever has come back
    ///
    /// Latency then counts from when a message was due: neither a server that stalls nor a late client hides waiting.
    #[arg(short, long)]
    pub(crate) rate: Option<f64>,
}

/// Flags of all modes.
#[derive(Args)]
pub(crate) struct Common {
    /// The server: HOST:PORT, or ws://HOST:PORT/PATH
    #[arg(default_value = "127.0.0.1:9001")]
    pub(crate) server: String,
    /// The path that is asked for; "/" unless the server's URL has one
    #[arg(long)]
    pub(crate) path: Option<String>,
    /// Connections
    #[arg(short, long, default_value_t = 50)]
    pub(crate) connections: usize,
    /// Bytes of a message
    #[arg(short, long, default_value_t = 20)]
    pub(crate) size: usize,
    /// Messages are text (UTF-8, not all of it ASCII); else binary
    #[arg(long)]
    pub(crate) text: bool,
    /// Seconds that count
    #[arg(short, long, default_value_t = 5.0)]
    pub(crate) duration: f64,
    /// Seconds before that
    #[arg(short, long, default_value_t = 0.5)]
    pub(crate) warmup: f64,
    /// Connections opened a second; 0 is as fast as can be
    #[arg(long, default_value_t = 0.0)]
    pub(crate) ramp: f64,
    /// The server's process, on this machine: its CPU time and memory are read from /proc
    #[arg(short, long)]
    pub(crate) pid: Option<u32>,
    /// The core that the client is bound to
    #[arg(long)]
    pub(crate) pin: Option<usize>,
    /// Let this session's processes go before other sessions' (writes -20 to /proc/self/autogroup)
    #[arg(long)]
    pub(crate) autogroup: bool,
    /// One JSON object instead of the table; what was not measured is null
    #[arg(long)]
    pub(crate) json: bool,
}

impl Echo {
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.common.check()?;
        refuse(self.in_flight == 0, "--in-flight must be at least 1")?;
        refuse(self.rate.is_some_and(|rate| !(rate > 0.0 && rate <= 1e9)), "--rate must be positive")
    }
}

impl Common {
    pub(crate) fn check(&self) -> Result<(), Error> {
        refuse(self.connections == 0, "--connections must be at least 1")?;
        refuse(self.size > SIZE_MAX, "--size must be at most 1 GiB")?;
        refuse(!(self.duration > 0.0 && self.duration <= SECONDS_MAX), "--duration must be positive")?;
        refuse(!(0.0..=SECONDS_MAX).contains(&self.warmup), "--warmup must not be negative")?;
        refuse(!(0.0..=1e9).contains(&self.ramp), "--ramp must not be negative")
    }

    /// Where connections go, and the path there.
    pub(crate) fn target(&self) -> Result<(Target, String), Error> {
        let wrong = |why: &str| Error::Flags(format!("the server `{}`: {why}", self.server));
        if self.server.starts_with("wss://") {
            return Err(wrong("TLS is not spoken here"));
        }
        let rest = self.server.strip_prefix("ws://").unwrap_or(&self.server);
        let (host, path) =
            rest.split_once('/').map_or((rest, "/".into()), |(host, path)| (host, format!("/{path}")));
        let mut addresses = host.to_socket_addrs().map_err(|error| wrong(&error.to_string()))?;
        let address = addresses.next().ok_or_else(|| wrong("it has no address"))?;
        Ok((Target { address, host: host.into() }, self.path.clone().unwrap_or(path)))
    }
}

pub(crate) fn refuse(wrong: bool, why: &str) -> Result<(), Error> {
    if wrong { Err(Error::Flags(why.into())) } else { Ok(()) }
}

const SIZE_MAX: usize = 1 << 30;
/// A day.
const SECONDS_MAX: f64 = 86_400.0;
