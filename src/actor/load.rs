//! How many actors each shard has, for whoever looks for the one with the fewest.

use crate::shard::ShardId;
use crate::sync::{Arc, AtomicU32, Ordering};

/// Of all shards of a server. What is on its way counts already, so that a burst does not follow one stale figure.
#[derive(Clone)]
pub(crate) struct Loads(Arc<[Load]>);

/// Of one. A cache line of its own: other shards write it.
#[derive(Default)]
#[repr(align(128))]
struct Load(AtomicU32);

impl Loads {
    pub(crate) fn new(shards: u16) -> Self {
        Self((0..shards).map(|_| Load::default()).collect())
    }

    pub(crate) fn get(&self, shard: ShardId) -> u32 {
        self.0[usize::from(shard.0)].0.load(Ordering::Relaxed)
    }

    /// So many more; wraps, so that fewer is a number too.
    pub(crate) fn add(&self, shard: ShardId, more: u32) {
        self.0[usize::from(shard.0)].0.fetch_add(more, Ordering::Relaxed);
    }
}
