//! How a block goes home: a count of who holds it, and a stack that takes it back.
//!
//! A block is held by any number of holders on any threads. Whoever lets go last pushes it on the stack of the
//! shard that owns its memory; that shard takes the whole stack with one swap. The link is inside the block's
//! own header, so the stack is never full and pushing never allocates. Taking everything at once leaves no
//! room for the ABA problem: nobody ever pops a single block off a stack that others push to.
//!
//! ```
//! use corewire::ring::returns::{ReturnStack, Tag};
//! use std::ptr::NonNull;
//!
//! let stack = ReturnStack::new();
//! let block = NonNull::from(Box::leak(Box::new(Tag::new(2)))); // two holders
//! // SAFETY: each call gives up one of the two; the tag lives until it is taken off the stack, below.
//! assert!(!unsafe { Tag::release(block, 1, &stack) });
//! assert!(unsafe { Tag::release(block, 1, &stack) }); // the last one: it is on its way
//! for home in stack.take_all() {
//!     // SAFETY: it came home, so nobody else holds it.
//!     drop(unsafe { Box::from_raw(home.as_ptr()) });
//! }
//! ```

use crate::sync::{AtomicPtr, AtomicU32, Ordering, UnsafeCell, fence};
use std::iter::FusedIterator;
use std::ptr::{self, NonNull};

/// What a block carries to find its way: its holders' count, and the link of the stack.
///
/// Lives inside the block's header (as the first field of a `repr(C)` struct, so that a tag's address is the
/// header's).
pub struct Tag {
    refs: AtomicU32,
    /// Belongs to whoever pushes, then to whoever takes.
    next: UnsafeCell<*const Tag>,
}

// SAFETY: `refs` is atomic. `next` is touched only by the thread that gave up the last reference, before its
// push, and by the one that took the tag off the stack, which the stack's Release and Acquire put after it.
unsafe impl Send for Tag {}
// SAFETY: as above.
unsafe impl Sync for Tag {}

impl Tag {
    /// A tag with `refs` holders.
    pub fn new(refs: u32) -> Self {
        Self { refs: AtomicU32::new(refs), next: UnsafeCell::new(ptr::null()) }
    }

    /// `refs` new holders for a block that is at home. Only its home calls this, and only while nobody holds it.
    #[inline]
    pub fn reset(&self, refs: u32) {
        // Relaxed: the home hands the block on by moving it, and whatever moves it across threads orders this.
        self.refs.store(refs, Ordering::Relaxed);
    }

    /// `more` holders beside the caller, who holds it already.
    #[inline]
    pub fn retain(&self, more: u32) {
        // Relaxed: the caller holds a reference, so the count cannot reach zero meanwhile.
        let before = self.refs.fetch_add(more, Ordering::Relaxed);
        if before > REFS_MAX || more > REFS_MAX {
            // A count that wraps would send a block home that is still held. Only forgotten handles get here.
            std::process::abort();
        }
    }

    /// Gives up `held` references of the caller. True if they were the last: then the block is the caller's
    /// alone, and everything that other holders did to it has happened.
    #[inline]
    pub fn let_go(&self, held: u32) -> bool {
        // No other holder: nobody is left who could retain, so the write can be spared. Acquire: what the others
        // did before they let go.
        if self.refs.load(Ordering::Acquire) == held {
            return true;
        }
        // Release: what we did to the block happens before it goes home.
        if self.refs.fetch_sub(held, Ordering::Release) != held {
            return false;
        }
        fence(Ordering::Acquire); // … and what the others did, too.
        true
    }

    /// Gives up `held` references; the last holder pushes the block on `stack`. True if that was us.
    ///
    /// # Safety
    /// The caller holds that many references and does not use them again. `tag` stays valid until it is taken
    /// off `stack`, and `stack` until everything whose home it is has been taken off.
    #[inline]
    pub unsafe fn release(tag: NonNull<Tag>, held: u32, stack: &ReturnStack) -> bool {
        // SAFETY: valid, since the caller holds a reference. (Not after `let_go` says false.)
        let last = unsafe { tag.as_ref() }.let_go(held);
        if last {
            // SAFETY: nobody else holds the tag, so it is ours alone and on no stack; it stays valid.
            unsafe { stack.push(tag) };
        }
        last
    }
}

/// Where blocks come home: any thread pushes, the home takes all.
pub struct ReturnStack {
    top: AtomicPtr<Tag>,
}

impl ReturnStack {
    /// An empty stack.
    pub fn new() -> Self {
        Self { top: AtomicPtr::new(ptr::null_mut()) }
    }

    /// True if nothing has come home as far as this core can see: one plain load.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.top.load(Ordering::Relaxed).is_null()
    }

    /// Puts a block on the stack.
    ///
    /// # Safety
    /// `tag` is valid until taken off again, the caller alone has access to it, and it is on no stack.
    #[inline]
    pub unsafe fn push(&self, tag: NonNull<Tag>) {
        let mut top = self.top.load(Ordering::Relaxed);
        loop {
            // SAFETY: the tag is valid and, until the exchange below succeeds, ours alone.
            unsafe { tag.as_ref() }.next.with_mut(|next| {
                // SAFETY: as above.
                unsafe { *next = top };
            });
            // Release: the link, and all that was done to the block, before it can be found. Nothing after it
            // touches the tag or the stack: the home may free both.
            match self.top.compare_exchange_weak(top, tag.as_ptr(), Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => top = now,
            }
        }
    }

    /// Takes everything that came home, latest first. What the iterator is not asked for is leaked: walk it to
    /// its end.
    #[inline]
    pub fn take_all(&self) -> Homecoming {
        // Acquire: with the Release of every push (each continues the sequence of those below it).
        Homecoming { next: self.top.swap(ptr::null_mut(), Ordering::Acquire) }
    }
}

impl Default for ReturnStack {
    fn default() -> Self {
        Self::new()
    }
}

/// Blocks that came home; each is the caller's alone. See [`ReturnStack::take_all`].
#[must_use = "what is not taken is leaked"]
pub struct Homecoming {
    next: *const Tag,
}

impl Iterator for Homecoming {
    type Item = NonNull<Tag>;

    #[inline]
    fn next(&mut self) -> Option<NonNull<Tag>> {
        let tag = NonNull::new(self.next.cast_mut())?;
        // SAFETY: pushed by its last holder and valid until taken, which is now; we reach it before it is handed
        // out.
        self.next = unsafe { tag.as_ref() }.next.with(|next| {
            // SAFETY: written before the push, which the swap's Acquire puts before this.
            unsafe { *next }
        });
        Some(tag)
    }
}

impl FusedIterator for Homecoming {}

/// Far beyond what memory has room for, and far enough from wrapping that racing threads cannot get there.
const REFS_MAX: u32 = u32::MAX / 4;
