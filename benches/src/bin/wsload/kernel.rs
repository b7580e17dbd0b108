//! What the kernel keeps for sockets: memory that no process's RSS shows.
//!
//! `/proc/slabinfo` tells each cache of kernel objects, by name (root may read it; else `/proc/meminfo` has their sum), and
//! `/proc/net/sockstat` the pages of bytes under way. Both are the whole machine's: with a server on the same machine they
//! count both ends of a connection, and what others do meanwhile.

use crate::report::rounded;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs;

/// Kernel memory at one moment.
pub(crate) struct KernelMemory {
    source: &'static str,
    /// Bytes by cache.
    caches: BTreeMap<String, u64>,
    /// Bytes under way in TCP sockets' queues.
    tcp: u64,
}

/// Kernel memory by connection.
#[derive(Serialize)]
pub(crate) struct KernelSlope {
    /// Where it was read.
    pub(crate) source: &'static str,
    /// Kernel objects.
    pub(crate) bytes_per_connection: f64,
    /// Bytes in sockets' queues.
    pub(crate) tcp_queue_bytes_per_connection: f64,
    /// The caches that grew most.
    pub(crate) caches: Vec<CacheSlope>,
}

#[derive(Serialize)]
pub(crate) struct CacheSlope {
    pub(crate) name: String,
    pub(crate) bytes_per_connection: f64,
}

impl KernelMemory {
    /// As it is now; nothing if the kernel does not tell.
    pub(crate) fn read() -> Option<Self> {
        let page_bytes = rustix::param::page_size() as u64;
        let sockstat = fs::read_to_string("/proc/net/sockstat").ok()?;
        let pages = sockstat
            .lines()
            .find(|line| line.starts_with("TCP:"))?
            .rsplit(' ')
            .next()?
            .parse::<u64>()
            .ok()?;
        let tcp = pages * page_bytes;
        if let Ok(slabinfo) = fs::read_to_string("/proc/slabinfo") {
            let caches = slabinfo.lines().filter_map(|line| cache(line, page_bytes)).collect();
            return Some(Self { source: "/proc/slabinfo", caches, tcp });
        }
        let meminfo = fs::read_to_string("/proc/meminfo").ok()?;
        let slab = meminfo.lines().find_map(|line| line.strip_prefix("Slab:"))?;
        let kib = slab.split_whitespace().next()?.parse::<u64>().ok()?;
        Some(Self { source: "/proc/meminfo, Slab", caches: BTreeMap::from([("all".into(), kib << 10)]), tcp })
    }

    /// What `connections` more connections than `before` have taken, each.
    pub(crate) fn slope(&self, before: &Self, connections: usize) -> KernelSlope {
        let each = |now: u64, then: u64| rounded((now as f64 - then as f64) / connections as f64);
        let mut caches: Vec<_> = (self.caches.iter())
            .map(|(name, bytes)| CacheSlope {
                name: name.clone(),
                bytes_per_connection: each(*bytes, before.caches.get(name).copied().unwrap_or(0)),
            })
            .collect();
        caches.sort_by(|one, other| other.bytes_per_connection.total_cmp(&one.bytes_per_connection));
        caches.retain(|cache| cache.bytes_per_connection >= SHOWN_BYTES_MIN);
        KernelSlope {
            source: self.source,
            bytes_per_connection: each(self.caches.values().sum(), before.caches.values().sum()),
            tcp_queue_bytes_per_connection: each(self.tcp, before.tcp),
            caches,
        }
    }
}

/// A line of slabinfo: name, active objects, objects, bytes and pages of each slab …, `slabdata`, active slabs, slabs.
fn cache(line: &str, page_bytes: u64) -> Option<(String, u64)> {
    let fields: Vec<_> = line.split_whitespace().collect();
    let pages_per_slab: u64 = fields.get(5)?.parse().ok()?;
    let slabs: u64 = fields.iter().skip_while(|field| **field != "slabdata").nth(2)?.parse().ok()?;
    Some((fields[0].into(), slabs * pages_per_slab * page_bytes))
}

/// Caches that grow by less a connection are not named.
const SHOWN_BYTES_MIN: f64 = 32.0;
