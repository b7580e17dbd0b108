//! What a pool may have, what it has, and why it has nothing to give.

use std::{error, fmt, io};

/// Limits of a pool, fixed at start.
///
/// ```
/// use corewire::buf::{Exhausted, Pool, PoolConfig};
///
/// let config = PoolConfig { receive_blocks: 1, outbound_bytes_max: 128, ..PoolConfig::default() };
/// let mut pool = Pool::new(&config)?;
/// let held = (pool.take_receive().unwrap(), pool.take(100).unwrap());
/// assert!(pool.take_receive().is_none());
/// let why = pool.take(1).unwrap_err(); // an answer, not an allocation
/// assert!(matches!(why, Exhausted::Quota { out_bytes: 128, limit_bytes: 128, .. }));
/// println!("{why}; {:?}", pool.stats());
/// # drop(held);
/// # Ok::<_, std::io::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolConfig {
    /// Receive blocks: how many the kernel and those who read can hold at once. At most 32,768. Default 16.
    pub receive_blocks: u32,
    /// Their size: a power of two, 2 KiB to 1 MiB. Default 64 KiB.
    pub receive_block_bytes: u32,
    /// Scratch blocks: what large messages are read into, one at a time; more than one because a message that is kept
    /// keeps its block. At most 256. Default 4.
    pub scratch_blocks: u32,
    /// Their size: a power of two, 2 KiB to 1 MiB. Default 1 MiB.
    pub scratch_block_bytes: u32,
    /// Bytes of all blocks that [`Pool::take`](super::Pool::take) has out at once, counted by block size. At most
    /// 128 GiB. Default 64 MiB. Memory that a block size has once used stays with that size until the pool is
    /// dropped (see [`ClassStats::blocks`]), so a load whose sizes change over time can come to more than this.
    pub outbound_bytes_max: usize,
    /// Look for huge pages for receive blocks and for blocks of 256 KiB or more. Default false: they cost
    /// 2 MiB at the first touch, and saved nothing that could be measured.
    pub huge_pages: bool,
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self {
            receive_blocks: 16,
            receive_block_bytes: 64 << 10,
            scratch_blocks: 4,
            scratch_block_bytes: 1 << 20,
            outbound_bytes_max: 64 << 20,
            huge_pages: false,
        }
    }
}

impl PoolConfig {
    pub(super) fn check(&self) -> io::Result<()> {
        let sizes = [
            ("receive_block_bytes", self.receive_block_bytes),
            ("scratch_block_bytes", self.scratch_block_bytes),
        ];
        for (name, block_bytes) in sizes {
            if !block_bytes.is_power_of_two() || !(2 << 10..=1 << 20).contains(&block_bytes) {
                let what = format!("{name} {block_bytes}: a power of two from 2 KiB to 1 MiB");
                return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
            }
        }
        let counts = [
            ("receive_blocks", self.receive_blocks, RECEIVE_BLOCKS_MAX),
            ("scratch_blocks", self.scratch_blocks, SCRATCH_BLOCKS_MAX),
        ];
        for (name, blocks, blocks_max) in counts {
            if blocks > blocks_max {
                let what = format!("{name} {blocks}: at most {blocks_max}");
                return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
            }
        }
        if self.outbound_bytes_max > OUTBOUND_BYTES_MAX {
            let what = format!("outbound_bytes_max {}: at most 128 GiB", self.outbound_bytes_max);
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
        Ok(())
    }
}

/// Why there is no block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Exhausted {
    /// Too much is out. Try again when something came home, or shed.
    Quota {
        /// What was asked for.
        asked_bytes: usize,
        /// What is out, counted by block size.
        out_bytes: usize,
        /// [`PoolConfig::outbound_bytes_max`].
        limit_bytes: usize,
    },
    /// No block is ever that large.
    TooLarge {
        /// What was asked for.
        asked_bytes: usize,
        /// The largest block.
        limit_bytes: usize,
    },
    /// The kernel gave no memory.
    Memory {
        /// What was asked for.
        asked_bytes: usize,
        /// What the kernel said.
        error: io::ErrorKind,
    },
}

impl fmt::Display for Exhausted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Quota { asked_bytes, out_bytes, limit_bytes } => {
                write!(f, "no block of {asked_bytes} bytes: {out_bytes} of {limit_bytes} are out")
            }
            Self::TooLarge { asked_bytes, limit_bytes } => {
                write!(f, "no block of {asked_bytes} bytes: the largest has {limit_bytes}")
            }
            Self::Memory { asked_bytes, error } => write!(f, "no block of {asked_bytes} bytes: {error}"),
        }
    }
}

impl error::Error for Exhausted {}

/// Figures of a pool. Blocks count as out until [`Pool::reclaim`](super::Pool::reclaim) has taken them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stats {
    /// Outbound blocks by size, 64 B to 1 MiB.
    pub classes: [ClassStats; CLASSES],
    /// Receive blocks.
    pub receive: ClassStats,
    /// Scratch blocks.
    pub scratch: ClassStats,
    /// Outbound blocks over 1 MiB.
    pub large_out: u32,
    /// Bytes of all outbound blocks that are out; what the quota limits.
    pub outbound_bytes_out: usize,
    /// Payloads that [`Pool::keep`](super::Pool::keep) copied.
    pub copied_payloads: u64,
    /// [`leaked_slabs`](super::leaked_slabs), of the whole process.
    pub leaked_slabs: usize,
}

impl Stats {
    /// Blocks of all kinds that are out. Zero: everything is home.
    pub fn blocks_out(&self) -> u32 {
        self.large_out
            + self.receive.out
            + self.scratch.out
            + self.classes.iter().map(|class| class.out).sum::<u32>()
    }
}

/// Figures of one block size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClassStats {
    /// The size.
    pub block_bytes: u32,
    /// Blocks ever used, so what memory this size can have cost.
    pub blocks: u32,
    /// Of these, how many are out.
    pub out: u32,
}

/// Outbound block sizes: 64 B to 1 MiB.
pub(super) const CLASSES: usize = 15;
/// A buffer ring has no more entries, and a block's index is 16 bits.
const RECEIVE_BLOCKS_MAX: u32 = 32_768;
/// Far more than is of use: one is read into at a time.
const SCRATCH_BLOCKS_MAX: u32 = 256;
/// Blocks are counted in 32 bits.
const OUTBOUND_BYTES_MAX: usize = 128 << 30;
