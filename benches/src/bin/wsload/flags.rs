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
    /// In each room one sender; what it sends comes to all members
    ///
    /// What the server must do: who connects to /room/K is a member of room K, at the latest a little after its upgrade is
    /// answered. Each message of a member goes to all members of the room, to its sender too, as one message of the same
    /// kind, in order; and nothing else is sent. With --sender-path, who connects to that path is no member and hears
    /// nothing, and what it sends goes to the room all the same. Messages counted are deliveries; latency is from sender to
    /// member.
    Broadcast(Broadcast),
    /// Connections that do nothing: memory of the server and of the kernel for each, and CPU
    ///
    /// Opens --from connections, then up to --to; each echoes one message after it was opened. Memory is read before and
    /// after that, once it stands still; then the server's CPU is watched for --duration seconds. Needs --pid.
    Idle(Idle),
}

#[derive(Args)]
pub(crate) struct Echo {
    #[command(flatten)]
    pub(crate) common: Common,
    /// The path that is asked for; "/" unless the server's URL has one
    #[arg(long)]
    pub(crate) path: Option<String>,
    /// Connections
    #[arg(short, long, default_value_t = 50)]
    pub(crate) connections: usize,
    /// Seconds before those that count
    #[arg(short, long, default_value_t = 0.5)]
    pub(crate) warmup: f64,
    /// Messages that each connection keeps in flight: the next is sent when one comes back
    #[arg(short, long, default_value_t = 1, conflicts_with = "rate")]
    pub(crate) in_flight: usize,
    /// Messages a second, of all connections together, sent when they are due, whatever has come back
    ///
    /// Latency then counts from when a message was due: neither a server that stalls nor a late client hides waiting.
    #[arg(short, long)]
    pub(crate) rate: Option<f64>,
}

#[derive(Args)]
pub(crate) struct Broadcast {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Members of all rooms together, spread evenly
    #[arg(short, long, default_value_t = 500)]
    pub(crate) connections: usize,
    /// Rooms
    #[arg(short, long, default_value_t = 1)]
    pub(crate) rooms: usize,
    /// Messages of a room that have not come to all members: the next is sent when the oldest has
    #[arg(short, long, default_value_t = 1)]
    pub(crate) outstanding: usize,
    /// Messages a second of each room, sent when they are due, whatever has come (open loop); latency counts from then
    #[arg(long, conflicts_with = "outstanding")]
    pub(crate) rate: Option<f64>,
    /// Where members connect; {room} is the room's number, from 0
    #[arg(long, default_value = "/room/{room}")]
    pub(crate) room_path: String,
    /// Where a further connection for each room connects, which sends there; else a member of the room sends
    #[arg(long)]
    pub(crate) sender_path: Option<String>,
    /// Seconds before those that count
    #[arg(short, long, default_value_t = 0.5)]
    pub(crate) warmup: f64,
}

#[derive(Args)]
pub(crate) struct Idle {
    #[command(flatten)]
    pub(crate) common: Common,
    /// The path that is asked for; "/" unless the server's URL has one
    #[arg(long)]
    pub(crate) path: Option<String>,
    /// Connections at the first measurement
    #[arg(long, default_value_t = 2_000)]
    pub(crate) from: usize,
    /// Connections at the second
    #[arg(long, default_value_t = 10_000)]
    pub(crate) to: usize,
}

/// Flags of all modes.
#[derive(Args)]
pub(crate) struct Common {
    /// The server: HOST:PORT, or ws://HOST:PORT/PATH
    #[arg(default_value = "127.0.0.1:9001")]
    pub(crate) server: String,
    /// Bytes of a message
    #[arg(short, long, default_value_t = 20)]
    pub(crate) size: usize,
    /// Messages are text (UTF-8, not all of it ASCII); else binary
    #[arg(long)]
    pub(crate) text: bool,
    /// Seconds that count
    #[arg(short, long, default_value_t = 5.0)]
    pub(crate) duration: f64,
    /// Seconds to wait for what is still in flight at the end, and for members to hear their room
    #[arg(long, default_value_t = 5.0)]
    pub(crate) patience: f64,
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
        refuse(self.connections == 0, "--connections must be at least 1")?;
        refuse(!(0.0..=SECONDS_MAX).contains(&self.warmup), "--warmup must not be negative")?;
        refuse(!(1..=IN_FLIGHT_MAX).contains(&self.in_flight), "--in-flight must be from 1 to 16777216")?;
        refuse(self.rate.is_some_and(|rate| !(rate > 0.0 && rate <= 1e9)), "--rate must be positive")
    }
}

impl Broadcast {
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.common.check()?;
        refuse(self.rooms == 0, "--rooms must be at least 1")?;
        refuse(
            self.connections < self.rooms,
            "--connections must be at least --rooms: each room has a member",
        )?;
        refuse(!(1..=IN_FLIGHT_MAX).contains(&self.outstanding), "--outstanding must be from 1 to 16777216")?;
        refuse(
            self.rate.is_some_and(|rate| !(rate > 0.0 && rate <= 1e6)),
            "--rate must be positive, up to 1000000",
        )?;
        let nowhere = |path: &String| self.rooms > 1 && !path.contains(ROOM);
        refuse(nowhere(&self.room_path), "--room-path must contain {room} if there are several")?;
        refuse(
            self.sender_path.as_ref().is_some_and(nowhere),
            "--sender-path must contain {room} if there are several",
        )?;
        refuse(!(0.0..=SECONDS_MAX).contains(&self.warmup), "--warmup must not be negative")
    }
}

impl Idle {
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.common.check()?;
        refuse(self.from == 0 || self.to <= self.from, "--from must be at least 1, and --to more than that")?;
        refuse(self.common.pid.is_none(), "idle needs --pid: it measures that process")
    }
}

impl Common {
    pub(crate) fn check(&self) -> Result<(), Error> {
        refuse(self.size > SIZE_MAX, "--size must be at most 256 MiB")?;
        refuse(!(self.duration > 0.0 && self.duration <= SECONDS_MAX), "--duration must be positive")?;
        refuse(!(0.0..=SECONDS_MAX).contains(&self.patience), "--patience must not be negative")?;
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
        Ok((Target { address, host: host.into() }, path))
    }
}

pub(crate) fn refuse(wrong: bool, why: &str) -> Result<(), Error> {
    if wrong { Err(Error::Flags(why.into())) } else { Ok(()) }
}

/// In a path, the room's number.
pub(crate) const ROOM: &str = "{room}";
const SIZE_MAX: usize = 256 << 20;
const IN_FLIGHT_MAX: usize = 1 << 24;
/// A day.
const SECONDS_MAX: f64 = 86_400.0;
