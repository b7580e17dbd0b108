//! Blocks of one size: slabs that grow, and a list of what is at home.

use super::block::{FreeList, Header, Kind};
use super::slab::Slab;
use crate::ring::returns::ReturnStack;
use std::io;
use std::ptr::NonNull;

pub(super) struct Class {
    kind: Kind,
    pub(super) block_bytes: u32,
    slabs: Vec<Slab>,
    free: FreeList,
    /// Room in all slabs, in blocks.
    pub(super) room: u32,
    /// Blocks made so far: what can have been touched.
    pub(super) made: u32,
    pub(super) out: u32,
}

impl Class {
    pub(super) fn new(kind: Kind, block_bytes: u32) -> Self {
        // Each slab is as large as all before it, so this is room for all: a new one takes pages, and nothing else.
        let slabs = Vec::with_capacity(SLABS);
        Self { kind, block_bytes, slabs, free: FreeList::new(), room: 0, made: 0, out: 0 }
    }

    pub(super) fn add(&mut self, slab: Slab, blocks: u32) {
        self.slabs.push(slab);
        self.room += blocks;
    }

    /// Another slab, as large as all before it: few mappings, and no more than twice what was needed.
    pub(super) fn grow(&mut self, quota_bytes: usize, huge: bool) -> io::Result<()> {
        let blocks_max = (quota_bytes / self.block_bytes as usize).max(1) as u64;
        let blocks = u64::from(self.room)
            .max(u64::from(SLAB_BYTES_MIN / self.block_bytes).max(1))
            .min(blocks_max.saturating_sub(u64::from(self.room)).max(1))
            .min(u64::from(SLAB_BYTES_MAX / self.block_bytes));
        let blocks = blocks as u32; // at most SLAB_BYTES_MAX / 64
        let huge = huge && self.block_bytes >= HUGE_BLOCK_BYTES_MIN;
        let (slab, _) = Slab::new(self.block_bytes, blocks, huge)?;
        self.add(slab, blocks);
        Ok(())
    }

    /// A block that is at home.
    #[inline]
    pub(super) fn reuse(&mut self) -> Option<NonNull<Header>> {
        let header = self.free.pop()?;
        self.out += 1;
        Some(header)
    }

    /// A block that was never used, if the slabs have one.
    pub(super) fn make(&mut self, home: NonNull<ReturnStack>) -> Option<NonNull<Header>> {
        let header = self.slabs.last_mut()?.make(self.kind, home)?;
        self.made += 1;
        self.out += 1;
        Some(header)
    }

    /// # Safety
    /// The block is of this class, was out, and nobody holds it.
    #[inline]
    pub(super) unsafe fn put(&mut self, header: NonNull<Header>) {
        debug_assert!(self.out > 0, "a block came home twice");
        self.out -= 1;
        // SAFETY: nobody holds it; our slabs live as long as the list.
        unsafe { self.free.push(header) };
    }
}

impl Drop for Class {
    fn drop(&mut self) {
        if self.out > 0 {
            self.slabs.drain(..).for_each(Slab::leak);
        }
    }
}

const SLAB_BYTES_MIN: u32 = 256 << 10;
const SLAB_BYTES_MAX: u32 = 1 << 30;
/// Below this a huge page would hold too many blocks to be worth what it costs when only one of them is used.
const HUGE_BLOCK_BYTES_MIN: u32 = 256 << 10;

const SLABS: usize = 16;
