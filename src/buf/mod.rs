//! Memory that the kernel writes into, that moves through handlers and other shards, and that goes home by itself.
//!
//! - [`Pool`]: one a shard, made on the shard's thread. Receive blocks and outbound blocks, each with its own limit.
//! - [`Buf`]: a unique range of a block. Moves, is cut, grows a header in front; `Send`.
//! - [`ReceiveBlock`]: a whole block that the kernel fills, front to back, while its filled part is used already.
//! - [`Frozen`] and [`Shared`]: the same bytes for many readers. One ticket a shard, plain counting inside it.
//!
//! Inside: `limits` is what can be set and seen, `slab` maps memory, `class` is a list of blocks of one size, `block` is what they have in common.
//!
//! Who drops the last part of a block, on any thread, sends it home through [`crate::ring::returns`]. A slab is
//! unmapped only when all its blocks are home; else it is leaked and counted ([`leaked_slabs`]), since memory
//! that somebody may still write to must not be given to somebody else.
//!
//! Does not know: sockets, frames, who reads. Any other room uses buffers without unsafe code.
//!
//! A message comes from `shard::uring`, as part of a [`ReceiveBlock`], and leaves for `wire` as a [`Buf`].

mod block;
mod bytes;
mod class;
mod frozen;
mod limits;
mod pool;
mod receive;
mod slab;

pub(crate) use bytes::copy_few;
pub use bytes::{Buf, NoRoom};
pub use frozen::{Frozen, Shared, Tickets};
pub use limits::{ClassStats, Exhausted, PoolConfig, Stats};
pub use pool::Pool;
pub use receive::ReceiveBlock;
pub use slab::{Pages, leaked_slabs};
