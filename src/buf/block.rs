//! What every block has: a header, apart from its bytes, that says who holds it and where it goes then.

use crate::ring::returns::{ReturnStack, Tag};
use std::cell::Cell;
use std::ptr::{self, NonNull};

/// A cache line of its own: holders on different cores count in it.
///
/// Valid from the first time its block is handed out until its slab is unmapped, which waits until every block is
/// home. So whoever holds a reference (see [`Tag`]) may read all of it, and the block's bytes exist. Written once,
/// before anybody else knows of it, except for the tag and `next_free`.
#[repr(C, align(64))]
pub(super) struct Header {
    /// First, so that the tag's address is the header's.
    tag: Tag,
    pub(super) base: NonNull<u8>,
    /// The pool's return stack. Lives as long as any of its blocks is out.
    pub(super) home: NonNull<ReturnStack>,
    pub(super) bytes: u32,
    /// Which block of its slab.
    pub(super) index: u32,
    pub(super) kind: Kind,
    /// The link of the free list. Only the pool uses it, and only while the block is at home.
    next_free: Cell<*mut Header>,
}

/// Where a block belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Receive,
    /// Received into as well, by a read of ours.
    Scratch,
    /// Of this size class.
    Class(u8),
    /// In a mapping of its own.
    Large,
}

impl Header {
    pub(super) fn new(
        kind: Kind,
        index: u32,
        base: NonNull<u8>,
        bytes: u32,
        home: NonNull<ReturnStack>,
    ) -> Self {
        Self { tag: Tag::new(0), base, home, bytes, index, kind, next_free: Cell::new(ptr::null_mut()) }
    }

    pub(super) fn tag(&self) -> &Tag {
        &self.tag
    }
}

/// Gives up `held` references; the last holder sends the block home.
///
/// # Safety
/// The caller holds that many references to the block and does not use them again.
#[inline]
pub(super) unsafe fn release(header: NonNull<Header>, held: u32) {
    // SAFETY: the caller holds a reference, so the header is valid.
    let home = unsafe { header.as_ref() }.home;
    // SAFETY: the home stack lives while any of its blocks is out, and this one is.
    let stack = unsafe { home.as_ref() };
    // SAFETY: the tag is the header's first field, so this is its address. The references are the caller's. Header
    // and stack stay until the block is home: the pool frees them only when it has taken every block back.
    unsafe { Tag::release(header.cast(), held, stack) };
}

/// Blocks at home, the one that came last first: its bytes are likeliest to be in the cache.
pub(super) struct FreeList {
    top: *mut Header,
}

impl FreeList {
    pub(super) const fn new() -> Self {
        Self { top: ptr::null_mut() }
    }

    /// # Safety
    /// The header is valid as long as it is in the list; nobody holds its block, and it is in no list.
    #[inline]
    pub(super) unsafe fn push(&mut self, header: NonNull<Header>) {
        // SAFETY: valid, and nobody else has access.
        unsafe { header.as_ref() }.next_free.set(self.top);
        self.top = header.as_ptr();
    }

    #[inline]
    pub(super) fn pop(&mut self) -> Option<NonNull<Header>> {
        let header = NonNull::new(self.top)?;
        // SAFETY: what is in the list is valid, and nobody else has access.
        self.top = unsafe { header.as_ref() }.next_free.get();
        Some(header)
    }
}

const _: () = assert!(size_of::<Header>() == 64);
