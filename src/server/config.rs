//! Everything that has a limit, in one place.

use super::balance::Rebalance;
use super::placement::Placement;
use crate::actor::local::{Bounds, SLOT_BYTES};
use crate::actor::{ASKS_MAX, NAME_BYTES_MAX};
use crate::buf::PoolConfig;
use crate::connection::Rules;
use crate::connection::link::LINK_BYTES;
use crate::shard::uring::driver::SOCKET_BYTES;
use crate::shard::{Pace, SLEEP_MAX};
use crate::topology::Policy;
use std::fmt;
use std::time::Duration;

/// What a server is made of. Every figure is a bound, and full is an answer.
///
/// ```
/// use corewire::server::Config;
/// use std::time::Duration;
///
/// let mut config = Config::default();
/// config.workers = 2; // --workers
/// config.connections_max = 50_000;
/// config.rules.idle_timeout = Duration::from_secs(30);
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// How many shards; 0 is one a physical core, as far as cores are granted (`--workers`).
    pub workers: u32,
    /// Only cores of this NUMA node; all nodes if `None` (`--numa`).
    pub numa: Option<u32>,
    /// Whether each shard is bound to its core. Tests run more shards than there are cores, unpinned.
    pub pin: bool,
    /// Completions that a shard handles before it sends what they caused (`--batch`).
    pub batch: u32,
    /// Submission entries of a shard's ring (`--ring`); completions are eight times as many.
    pub ring: u32,
    /// How long a shard looks for work before it sleeps (`--busy-poll`).
    pub busy_poll: Duration,
    /// Connections of all shards; one more is answered 503 (`--max-connections`). 0 is as many as files may be open.
    pub connections_max: u32,
    /// Connections of one shard (`--max-clients-per-shard`). One that is full gets no more; when all are, one more is answered
    /// 503. 0 is no such bound.
    pub clients_per_shard_max: u32,
    /// How the shard of a new connection is chosen (`--placement`).
    pub placement: Placement,
    /// Whether shards with much to do have connections move to others, and when (`--rebalance`); `None`: only when told to
    /// ([`Handle::rebalance`](super::Handle::rebalance)).
    pub rebalance: Option<Rebalance>,
    /// Actors on one shard besides connections.
    pub actors_max: u32,
    /// Messages that wait for one actor.
    pub mailbox_slots: u32,
    /// Messages that wait on one shard.
    pub mail_slots: u32,
    /// Messages on their way from one shard to another; there are N×(N−1) such lanes, each with a way back.
    pub lane_slots: usize,
    /// Timers with a message, of one shard.
    pub timers_max: u32,
    /// Futures and streams that actors of one shard have begun.
    pub tasks_max: u32,
    /// Messages and other words from other threads that wait for one shard.
    pub outside_slots: u32,
    /// Questions and jobs of one shard's actors that wait for their answers; at most 1,048,576.
    pub asks_max: u32,
    /// Debug probes that actors of one shard have registered.
    pub probes_max: u32,
    /// Watches and links that one shard's actors have made; others may have as many on them.
    pub watches_max: u32,
    /// Names that one shard decides about, of up to 255 bytes; which shard that is, chance decides. All shards know all.
    pub names_max: u32,
    /// Groups that one shard's actors are in, each actor and group counted. All shards know all.
    pub memberships_max: u32,
    /// Threads for what would keep a shard ([`Context::work`](crate::actor::Context::work)); 0 is one a CPU that the shards
    /// leave, as far as CPUs are granted (`--pool`).
    pub pool_threads: u32,
    /// Jobs of all shards that wait for one of those.
    pub pool_slots: u32,
    /// What each connection may do.
    pub rules: Rules,
    /// Bytes of one shard that wait to be sent, or to be read, or are part of a message that is not complete.
    pub outbound_bytes_max: usize,
    /// Bytes that the kernel may receive into, of one shard.
    pub receive_bytes: usize,
    /// Bytes that large messages are read into, of one shard, in blocks of up to 1 MiB: one is used at a time, the others
    /// while a session keeps messages. None is touched before a large message comes.
    pub scratch_bytes: usize,
    /// What the kernel may hold of what one client sends, once it sends large messages: its memory, not ours, and taken only
    /// as bytes come. 0 leaves it to the kernel, which begins with 64 KiB and learns. Default 2 MiB.
    pub receive_window_bytes: u32,
    /// Whether to look for huge pages. They cost 2 MiB at the first touch, and saved nothing that could be measured.
    pub huge_pages: bool,
    /// Whether the kernel fills a receive block piece by piece where it can (Linux 6.12). Else every receive takes a
    /// small block of its own, as on older kernels.
    pub receive_incremental: bool,
    /// From SIGTERM to the end, for clients to answer our close.
    pub drain_timeout: Duration,
    /// A turn of twice this is logged, with the name of the actor that kept the shard. While all shards sleep they are
    /// looked at less often: of the first turn after a rest this is sure only from eleven times this.
    pub turn_max: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            workers: 0,
            numa: None,
            pin: true,
            batch: 32,
            ring: 1024,
            busy_poll: Duration::ZERO,
            connections_max: 0,
            clients_per_shard_max: 0,
            placement: Placement::default(),
            rebalance: None,
            actors_max: 1_000_000,
            mailbox_slots: 1024,
            mail_slots: 65_536,
            lane_slots: 1024,
            timers_max: 65_536,
            tasks_max: 65_536,
            outside_slots: 4096,
            asks_max: 65_536,
            probes_max: 1024,
            watches_max: 65_536,
            names_max: 16_384,
            memberships_max: 65_536,
            pool_threads: 0,
            pool_slots: 1024,
            rules: Rules::default(),
            outbound_bytes_max: 256 << 20,
            receive_bytes: 4 << 20,
            scratch_bytes: 4 << 20,
            receive_window_bytes: 2 << 20,
            huge_pages: false,
            receive_incremental: true,
            drain_timeout: Duration::from_secs(10),
            turn_max: Duration::from_millis(100),
        }
    }
}

/// Sizes to begin with. Each is [`Config::default`] but for three figures:
///
/// | | `small` | `medium` | `high` |
/// | --- | --- | --- | --- |
/// | clients a shard ([`Self::clients_per_shard_max`]) | 1,000 | 2,000 | 5,000 |
/// | messages that wait for one session ([`Self::mailbox_slots`]) | 256 | 512 | 1,024 |
/// | silence before a ping ([`Rules::ping_interval`]) | 60 s | 30 s | 15 s |
///
/// [`Rules::idle_timeout`] is two and a half times the last, so that one lost ping closes nobody. The more clients there are,
/// the sooner those are found who have gone without a word, and the more a shard pings: 17, 67 and 333 times a second if all
/// are silent. How many shards there are is [`Self::workers`]', and the machine's.
impl Config {
    /// A few thousand clients in all.
    pub fn small() -> Self {
        Self::sized(1000, 256, Duration::from_secs(60))
    }

    /// Tens of thousands.
    pub fn medium() -> Self {
        Self::sized(2000, 512, Duration::from_secs(30))
    }

    /// Hundreds of thousands, on many cores.
    pub fn high() -> Self {
        Self::sized(5000, 1024, Duration::from_secs(15))
    }

    fn sized(clients_per_shard_max: u32, mailbox_slots: u32, ping_interval: Duration) -> Self {
        let rules = Rules { ping_interval, idle_timeout: ping_interval.mul_f64(2.5), ..Rules::default() };
        Self { clients_per_shard_max, mailbox_slots, rules, ..Self::default() }
    }
}

impl Config {
    pub(crate) fn policy(&self) -> Policy {
        Policy { workers: self.workers, numa: self.numa, pin: self.pin }
    }

    pub(crate) fn pace(&self) -> Pace {
        Pace { events_max: self.batch.max(1) as usize, busy_poll: self.busy_poll, sleep_max: SLEEP_MAX }
    }

    pub(crate) fn bounds(&self) -> Bounds {
        Bounds {
            actors_max: self.actors_max.saturating_add(self.connections_max),
            mailbox_slots: self.mailbox_slots,
            mail_slots: self.mail_slots,
            timers_max: self.timers_max,
            tasks_max: self.tasks_max,
            asks_max: self.asks_max,
            probes_max: self.probes_max,
            watches_max: self.watches_max,
            names_max: self.names_max,
            memberships_max: self.memberships_max,
        }
    }

    /// `incremental`: the kernel fills a block piece by piece, so few large ones do; else every receive takes one.
    pub(crate) fn pool(&self, incremental: bool) -> PoolConfig {
        let block_bytes = if incremental { 64 << 10 } else { 2 << 10 };
        let blocks = (self.receive_bytes / block_bytes).clamp(2, 32_768);
        let scratch_block_bytes = 1 << (self.scratch_bytes / 4).clamp(2 << 10, 1 << 20).ilog2();
        PoolConfig {
            scratch_blocks: (self.scratch_bytes / scratch_block_bytes).clamp(2, 256) as u32,
            scratch_block_bytes: scratch_block_bytes as u32,
            receive_blocks: blocks as u32,
            receive_block_bytes: block_bytes as u32,
            outbound_bytes_max: self.outbound_bytes_max,
            huge_pages: self.huge_pages,
        }
    }

    /// Settles how many connections there may be, where `open_files` files may be open.
    pub(crate) fn fit(&mut self, open_files: u64) {
        let ours = FILES_OF_OUR_OWN.min(open_files / 4);
        let room = (open_files - ours).clamp(1, 1 << 24) as u32;
        if self.connections_max == 0 {
            self.connections_max = room;
        } else if self.connections_max > room {
            tracing::warn!(
                open_files,
                connections_max = self.connections_max,
                "fewer files may be open than connections are allowed; raise it: `ulimit -n`"
            );
        }
    }

    /// What it all adds up to for `shards` shards.
    pub(crate) fn sum(&self, shards: u16) -> Sum {
        let shards = u64::from(shards);
        Sum {
            shards,
            receive_bytes: shards * (self.receive_bytes + self.scratch_bytes) as u64,
            outbound_bytes: shards * self.outbound_bytes_max as u64,
            lane_bytes: 2
                * shards
                * (shards - 1)
                * self.lane_slots.next_power_of_two() as u64
                * ENVELOPE_BYTES,
            mail_bytes: shards * u64::from(self.mail_slots) * ENVELOPE_BYTES,
            ask_bytes: shards * u64::from(self.asks_max) * ASK_BYTES,
            watch_bytes: shards * u64::from(self.watches_max) * WATCH_BYTES,
            fact_bytes: shards
                * (u64::from(self.names_max) * (NAME_BYTES + shards * NAME_COPY_BYTES)
                    + u64::from(self.memberships_max) * (MEMBERSHIP_BYTES + shards * MEMBER_COPY_BYTES)),
            connections: match self.clients_per_shard_max {
                0 => self.connections_max.into(),
                max => (shards * u64::from(max)).min(self.connections_max.into()),
            },
            pool_threads: self.pool_threads,
            pool_slots: self.pool_slots,
        }
    }

    /// What cannot be, and what to do about it.
    pub(crate) fn check(&self) -> Result<(), String> {
        let Self { ring, batch, outbound_bytes_max, rules, .. } = self;
        if !(2..=32_768).contains(ring) {
            return Err(format!("--ring {ring}: a ring has 2 to 32768 entries"));
        }
        if !(1..=65_536).contains(batch) {
            return Err(format!("--batch {batch}: a turn handles 1 to 65536 events"));
        }
        if rules.wire.message_bytes_max > MESSAGE_BYTES_MAX {
            return Err(format!(
                "--max-message {}: a message is put together in one block, and none is larger than 64 MiB",
                rules.wire.message_bytes_max
            ));
        }
        for (name, time) in [
            ("idle_timeout", rules.idle_timeout),
            ("ping_interval", rules.ping_interval),
            ("handshake_timeout", rules.handshake_timeout),
            ("close_timeout", rules.close_timeout),
        ] {
            if !(TIME_MIN..=TIME_MAX).contains(&time) {
                return Err(format!("{name} of {time:?}: expected a millisecond to 20 days"));
            }
        }
        if let Some(rebalance) = self.rebalance
            && !(TIME_MIN * 10..=TIME_MAX).contains(&rebalance.interval)
        {
            return Err(format!(
                "rebalance: interval of {:?}: expected 10 ms to 20 days",
                rebalance.interval
            ));
        }
        if self.turn_max < TIME_MIN {
            return Err(format!("turn_max of {:?}: expected a millisecond or more", self.turn_max));
        }
        if self.mailbox_slots == 0 || self.mail_slots == 0 || self.lane_slots == 0 {
            return Err(
                "mailbox_slots, mail_slots, lane_slots: none may be 0, or no message would arrive".into()
            );
        }
        if self.pool_slots == 0 {
            return Err("pool_slots: may not be 0, or no job would be taken".into());
        }
        if self.pool_threads > POOL_THREADS_MAX {
            return Err(format!("--pool {}: at most {POOL_THREADS_MAX} threads", self.pool_threads));
        }
        if self.asks_max > ASKS_MAX {
            return Err(format!("asks_max of {}: at most {ASKS_MAX}", self.asks_max));
        }
        if rules.send_queue_bytes_max < 4096 {
            return Err(format!(
                "send_queue_bytes_max of {}: below 4096, little more than one answer fits",
                rules.send_queue_bytes_max
            ));
        }
        if self.lane_slots > 1 << 20 {
            return Err(format!("lane_slots of {}: at most 1048576", self.lane_slots));
        }
        if rules.wire.message_bytes_max > *outbound_bytes_max as u64 / 2 {
            return Err(format!(
                "--max-message {}: one message could take more than half of a shard's memory ({outbound_bytes_max} \
                 bytes); lower it, or raise outbound_bytes_max",
                rules.wire.message_bytes_max
            ));
        }
        Ok(())
    }
}

/// The bounds of a whole server. Memory is taken when it is used.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sum {
    shards: u64,
    receive_bytes: u64,
    outbound_bytes: u64,
    lane_bytes: u64,
    mail_bytes: u64,
    ask_bytes: u64,
    watch_bytes: u64,
    fact_bytes: u64,
    connections: u64,
    pool_threads: u32,
    pool_slots: u32,
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = |bytes: u64| bytes.div_ceil(1 << 20);
        write!(
            f,
            "{} shards, at most {} connections; at most {} MiB received, {} MiB to be sent, {} MiB of lanes, {} MiB of mail, \
             {} MiB of questions, {} MiB of watches, {} MiB of names and groups; {} threads for jobs, {} of which may wait",
            self.shards,
            self.connections,
            mib(self.receive_bytes),
            mib(self.outbound_bytes),
            mib(self.lane_bytes),
            mib(self.mail_bytes),
            mib(self.ask_bytes),
            mib(self.watch_bytes),
            mib(self.fact_bytes),
            self.pool_threads,
            self.pool_slots
        )
    }
}

/// Rings, listening sockets, eventfds, logs, and what an application opens besides.
const FILES_OF_OUR_OWN: u64 = 128;
/// The largest block, without room for a header.
const MESSAGE_BYTES_MAX: u64 = (64 << 20) - 64;
const TIME_MIN: Duration = Duration::from_millis(1);
/// More would only wait for each other.
const POOL_THREADS_MAX: u32 = 4096;
/// Connections count milliseconds in 32 bits.
const TIME_MAX: Duration = Duration::from_secs(20 * 24 * 3600);
/// An envelope in a lane or a mailbox, with what links it.
const ENVELOPE_BYTES: u64 = 144;
/// A question that waits, and its answer on the way.
const ASK_BYTES: u64 = 64 + ENVELOPE_BYTES;
/// A watch on both sides: entries in three tables, and an errand under way.
const WATCH_BYTES: u64 = 256;
/// A name, which all copies share, with its entries at home and with its holder.
const NAME_BYTES: u64 = NAME_BYTES_MAX as u64 + 16 + 256;
/// An entry in a shard's copy, and an errand under way.
const NAME_COPY_BYTES: u64 = 96 + ENVELOPE_BYTES;
/// That an actor is in a group: the group's name, and two entries.
const MEMBERSHIP_BYTES: u64 = NAME_BYTES_MAX as u64 + 16 + 192;
/// A member in a shard's copy, and an errand under way.
const MEMBER_COPY_BYTES: u64 = 16 + ENVELOPE_BYTES;
const _: () = assert!(size_of::<crate::actor::envelope::Envelope>() <= ENVELOPE_BYTES as usize - 16);
/// What an idle connection takes, its session's own state not counted: 224 bytes.
const CONNECTION_BYTES: usize = SLOT_BYTES // a slot (48) and a place in the timer wheel (16)
    + SOCKET_BYTES // what the driver knows of its socket (16)
    + LINK_BYTES // a box with all that is neither needed by the moment nor shared (136)
    + 8; // what the allocator adds to a box
const _: () = assert!(CONNECTION_BYTES <= 240); // a million of them; tables grow by doubling, which is not in here
