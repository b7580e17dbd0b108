//! The demos' flags, alike in all of them.

use crate::sessions::SessionsConfig;
use clap::{Args, ValueEnum};
use corewire::server::{Config, Placement, Rebalance};
use std::time::Duration;

/// Flags of a server. Each can be set by an environment variable too, as its help says.
///
/// ```
/// use clap::Parser;
/// use corewire_actors::cli::ServerFlags;
///
/// #[derive(Parser)]
/// struct Flags {
///     #[command(flatten)]
///     server: ServerFlags,
/// }
/// let flags = Flags::parse_from(["demo", "--workers", "2", "--preset", "small", "--max-clients-per-shard", "100"]);
/// let config = flags.server.config();
/// assert_eq!((config.workers, config.clients_per_shard_max, config.mailbox_slots), (2, 100, 256));
/// ```
#[derive(Debug, Clone, Args)]
pub struct ServerFlags {
    /// Shards, each on a core of its own; 0 = one per physical core
    #[arg(long, env = "COREWIRE_WORKERS", default_value_t = 0)]
    pub workers: u32,
    /// Only cores of this NUMA node; -1 = all nodes
    #[arg(long, env = "COREWIRE_NUMA", default_value_t = -1, allow_negative_numbers = true, value_parser = clap::value_parser!(i64).range(-1..=i64::from(u32::MAX)))]
    pub numa: i64,
    /// Threads for blocking and heavy work; 0 = one per CPU that the shards leave
    #[arg(long, env = "COREWIRE_POOL", default_value_t = 0)]
    pub pool: u32,
    /// Completions a turn: more batches better, fewer answers sooner
    #[arg(long, env = "COREWIRE_BATCH", default_value_t = 32)]
    pub batch: u32,
    /// Entries of each shard's io_uring
    #[arg(long, env = "COREWIRE_RING", default_value_t = 1024)]
    pub ring: u32,
    /// Microseconds to look for work before sleeping
    #[arg(long, env = "COREWIRE_BUSY_POLL", default_value_t = 0, value_name = "US")]
    pub busy_poll: u64,
    /// Largest message, in bytes; a larger one closes its connection with 1009
    #[arg(long, env = "COREWIRE_MAX_MESSAGE", default_value_t = 16 << 20, value_name = "BYTES")]
    pub max_message: u64,
    /// Connections at once; one more is answered 503; 0 = as many as files may be open
    #[arg(long, env = "COREWIRE_MAX_CONNECTIONS", default_value_t = 0)]
    pub max_connections: u32,
    /// Connections of one shard; when all shards have as many, one more is answered 503; 0 = no such bound [default: 0, or
    /// the preset's]
    #[arg(long, env = "COREWIRE_MAX_CLIENTS_PER_SHARD")]
    pub max_clients_per_shard: Option<u32>,
    /// How the shard of a new connection is chosen
    #[arg(long, env = "COREWIRE_PLACEMENT", value_enum, default_value_t = PlacementFlag::LeastLoaded)]
    pub placement: PlacementFlag,
    /// Have connections move from shards with much to do to shards with little
    #[arg(long, env = "COREWIRE_REBALANCE")]
    pub rebalance: bool,
    /// Clients a shard, messages that may wait for one, and pings: small 1000, 256, 60 s; medium 2000, 512, 30 s; high 5000,
    /// 1024, 15 s
    #[arg(long, env = "COREWIRE_PRESET", value_enum)]
    pub preset: Option<Preset>,
    /// Seconds from the TCP connection to the whole request
    #[arg(long, env = "COREWIRE_HANDSHAKE_TIMEOUT", default_value_t = 10.0, value_name = "S", value_parser = seconds)]
    pub handshake_timeout: f64,
    /// Seconds of silence after which a client is closed with 1001; it is pinged before [default: 60, or the preset's]
    #[arg(long, env = "COREWIRE_IDLE_TIMEOUT", value_name = "S", value_parser = seconds)]
    pub idle_timeout: Option<f64>,
    /// Look for huge pages for large blocks
    #[arg(long, env = "COREWIRE_HUGE_PAGES")]
    pub huge_pages: bool,
    /// Let shards run on any core, more of them than there are cores if --workers says so; for tests
    #[arg(long, env = "COREWIRE_UNPINNED")]
    pub unpinned: bool,
    /// Log as JSON, one object a line
    #[arg(long, env = "COREWIRE_LOG_JSON")]
    pub log_json: bool,
}

impl ServerFlags {
    /// The configuration that these flags mean.
    pub fn config(&self) -> Config {
        let mut config = match self.preset {
            None => Config::default(),
            Some(Preset::Small) => Config::small(),
            Some(Preset::Medium) => Config::medium(),
            Some(Preset::High) => Config::high(),
        };
        config.workers = self.workers;
        config.numa = u32::try_from(self.numa).ok(); // -1 is all
        config.pin = !self.unpinned;
        config.pool_threads = self.pool;
        config.batch = self.batch;
        config.ring = self.ring;
        config.busy_poll = Duration::from_micros(self.busy_poll);
        config.huge_pages = self.huge_pages;
        config.connections_max = self.max_connections;
        if let Some(max) = self.max_clients_per_shard {
            config.clients_per_shard_max = max;
        }
        config.placement = match self.placement {
            PlacementFlag::LeastLoaded => Placement::LeastLoaded,
            PlacementFlag::RoundRobin => Placement::RoundRobin,
            PlacementFlag::UserHash => {
                Placement::UserHash { partitions: SessionsConfig::default().partitions }
            }
        };
        config.rebalance = self.rebalance.then(Rebalance::default);
        config.rules.wire.message_bytes_max = self.max_message;
        config.rules.wire.frame_bytes_max = self.max_message;
        config.rules.handshake_timeout = Duration::from_secs_f64(self.handshake_timeout);
        if let Some(idle_timeout) = self.idle_timeout {
            config.rules.idle_timeout = Duration::from_secs_f64(idle_timeout);
            config.rules.ping_interval = config.rules.idle_timeout.mul_f64(0.4);
        }
        config
    }

    /// Sets up logging: for people, or as JSON lines. `RUST_LOG` chooses what is logged, `info` if it is not set.
    pub fn log(&self) {
        let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into());
        let log =
            tracing_subscriber::fmt().with_env_filter(filter).with_target(false).with_writer(std::io::stderr);
        if self.log_json { log.json().init() } else { log.init() }
    }
}

/// How the shard of a new connection is chosen: [`Placement`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PlacementFlag {
    /// The less loaded of two
    LeastLoaded,
    /// One after the other
    RoundRobin,
    /// Near what is kept of the user, whom `?user=` names; for as many partitions as [`SessionsConfig`] has by default
    UserHash,
}

/// Sizes to begin with: [`Config::small`] and the others. Other flags go before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Preset {
    /// A few thousand clients
    Small,
    /// Tens of thousands
    Medium,
    /// Hundreds of thousands, on many cores
    High,
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.01..=1_000_000.0).contains(&seconds) => Ok(seconds),
        _ => Err("expected seconds, from 0.01 to 1000000, such as 10 or 0.5".into()),
    }
}
