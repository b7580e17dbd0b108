//! The ring of buffers that the kernel receives into.
//!
//! With incremental consumption (Linux 6.12) the kernel fills a block front to back, piece by piece, for whichever
//! connections have data; before that, every receive takes a block of its own, so blocks are small.

use crate::buf::{Buf, Pool, ReceiveBlock};
use crate::sync::{AtomicU16, Ordering};
use io_uring::types::BufRingEntry;
use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::io;

/// Blocks lent to the kernel, in the order in which it will fill them.
pub(super) struct ReceiveRing {
    entries: *mut BufRingEntry,
    layout: Layout,
    mask: u16,
    tail: u16,
    /// What the kernel has, by the block's index.
    lent: Box<[Option<ReceiveBlock>]>,
    lent_count: u16,
    /// How many blocks the kernel is to have. Few, so that they stay in the cache and little memory is ever touched;
    /// more once it has run out.
    lent_target: u16,
    ran_out: bool,
    incremental: bool,
}

/// How many blocks the kernel has to begin with, and at most, if it fills them piece by piece. The rest of the pool is for
/// what is being read, and for sessions that keep messages.
const LENT_FEW: u16 = 8;
const LENT_MANY: u16 = 16;
pub(super) const GROUP: u16 = 0;

impl ReceiveRing {
    /// Registers an empty ring with room for as many blocks as the pool has.
    pub(super) fn register(ring: &io_uring::IoUring, blocks: u16, incremental: bool) -> io::Result<Self> {
        let slots = blocks.min(SLOTS_MAX).next_power_of_two();
        let bytes = usize::from(slots) * size_of::<BufRingEntry>();
        let layout = Layout::from_size_align(bytes, 4096).map_err(io::Error::other)?;
        // SAFETY: the layout has a size above zero: there is at least one slot.
        let entries: *mut BufRingEntry = unsafe { alloc_zeroed(layout) }.cast();
        if entries.is_null() {
            handle_alloc_error(layout);
        }
        let this = Self {
            entries,
            layout,
            mask: slots - 1,
            tail: 0,
            lent: (0..blocks).map(|_| None).collect(),
            lent_count: 0,
            lent_target: if incremental { LENT_FEW.min(blocks.div_ceil(2)) } else { lent_max(blocks, false) },
            ran_out: false,
            incremental,
        };
        let flags = if incremental { IOU_PBUF_RING_INC } else { 0 };
        // SAFETY: `entries` is page-aligned, holds `slots` zeroed entries and is freed only in `Drop`, which the
        // driver runs after it has unregistered the group or closed the ring.
        unsafe { ring.submitter().register_buf_ring_with_flags(entries as u64, slots, GROUP, flags)? };
        Ok(this)
    }

    /// Lends the kernel what the pool has, up to what it needs. Returns whether anything was lent.
    pub(super) fn refill(&mut self, pool: &mut Pool) -> bool {
        if std::mem::take(&mut self.ran_out) {
            let lent_max = lent_max(self.lent.len() as u16, self.incremental);
            self.lent_target = self.lent_target.saturating_mul(2).min(lent_max);
        }
        let mut any = false;
        while self.lent_count < self.lent_target
            && let Some(block) = pool.take_receive()
        {
            self.lend(block);
            any = true;
        }
        if any {
            // SAFETY: `entries` points to the first entry of a live ring.
            let tail = unsafe { BufRingEntry::tail(self.entries) };
            // SAFETY: the kernel reads this u16 as the ring's tail and never writes it; it is 2-aligned, and we write
            // it only here. Release: the entries written before are seen before the tail.
            let tail = unsafe { AtomicU16::from_ptr(tail.cast_mut()) };
            tail.store(self.tail, Ordering::Release);
        }
        any
    }

    /// The kernel ran out of blocks: from now on it has more.
    pub(super) fn ran_out(&mut self) {
        self.ran_out = true;
    }

    /// How many receives the lent blocks are likely to serve.
    pub(super) fn receives(&self) -> usize {
        usize::from(self.lent_count) * if self.incremental { RECEIVES_A_BLOCK } else { 1 }
    }

    /// The `bytes` that the kernel says it has written into block `index`. `more`: it will go on filling this block.
    /// With no bytes, only the block's end is noted.
    pub(super) fn filled(&mut self, index: u16, bytes: usize, more: bool) -> Option<Buf> {
        let more = more && self.incremental;
        let entry = self.lent.get_mut(usize::from(index)).expect("the kernel names a block that we lent it");
        let block = entry.as_mut().expect("the kernel names a block that it has");
        let filled = block.filled();
        if more {
            // SAFETY: the completion says that the kernel has written the next `bytes` bytes of this block; it goes on
            // behind them.
            return (bytes > 0).then(|| unsafe { block.carve(filled, bytes) });
        }
        self.lent_count -= 1;
        let block = entry.take().expect("it is there: see above");
        // SAFETY: as above, and the kernel is done with the block.
        (bytes > 0).then(|| unsafe { block.finish(bytes) })
    }

    fn lend(&mut self, mut block: ReceiveBlock) {
        let at = usize::from(self.tail & self.mask);
        // SAFETY: `at` is below the number of entries.
        let entry = unsafe { self.entries.add(at) };
        // SAFETY: the entry was zeroed when it was made, and the kernel does not read it before the tail passes it. Only
        // addr, len and bid are written: the first entry's reserved field is the ring's tail.
        let entry = unsafe { &mut *entry };
        entry.set_addr(block.as_mut_ptr() as u64);
        entry.set_len(block.len() as u32);
        entry.set_bid(block.index());
        self.tail = self.tail.wrapping_add(1);
        let index = usize::from(block.index());
        self.lent[index] = Some(block);
        self.lent_count += 1;
    }

    /// Gives up what the kernel might still write into. For the end of a ring with requests in flight.
    pub(super) fn leak(&mut self) {
        std::mem::take(&mut self.lent).into_iter().for_each(std::mem::forget);
        self.entries = std::ptr::null_mut();
    }
}

impl Drop for ReceiveRing {
    fn drop(&mut self) {
        if !self.entries.is_null() {
            // SAFETY: allocated in `register` with this layout; the driver has unregistered the group before.
            unsafe { dealloc(self.entries.cast(), self.layout) };
        }
    }
}

/// How many of the pool's blocks the kernel may have. Never all: those who read have some too.
fn lent_max(blocks: u16, incremental: bool) -> u16 {
    let half = blocks.div_ceil(2);
    if incremental { half.min(LENT_MANY) } else { half.min(SLOTS_MAX) }
}

/// A guess: most receives are small.
const RECEIVES_A_BLOCK: usize = 16;

/// What the kernel allows in one ring.
const SLOTS_MAX: u16 = 1 << 15;

/// `IOU_PBUF_RING_INC` of linux/io_uring.h.
pub(super) const IOU_PBUF_RING_INC: u16 = 2;
