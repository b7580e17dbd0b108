//! The same bytes for many readers on many shards: a ticket a shard, and as many views there as it likes.

use super::block::{Header, release};
use super::bytes::Buf;
use std::iter::FusedIterator;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::ptr::NonNull;
use std::rc::Rc;
use std::{fmt, slice};

/// A ticket for one shard: read-only bytes on their way. See [`Pool::freeze`](super::Pool::freeze).
///
/// `Send`, and not `Clone`: the number of shards is known when the bytes are frozen, so nobody counts on the way.
/// ```compile_fail,E0599
/// # let mut pool = corewire::buf::Pool::new(&Default::default()).unwrap();
/// # let buf = pool.copy(b"hi").unwrap();
/// let ticket = pool.freeze(buf, 1).next().unwrap();
/// let twin = ticket.clone(); // no such method
/// ```
// Invariants: `start..start + len` is inside of the block, and whoever covers any of it only reads. If `len > 0`, this
// holds one reference; else `header` is not to be followed.
pub struct Frozen {
    header: NonNull<Header>,
    start: u32,
    len: u32,
}

// SAFETY: the bytes are only read from here on, on whatever thread; letting go of a block is made for any thread.
unsafe impl Send for Frozen {}
// SAFETY: `&Frozen` only reads.
unsafe impl Sync for Frozen {}

impl Frozen {
    /// On the shard that it was for: a first view.
    pub fn open(self) -> Shared {
        Shared { ticket: Rc::new(self) }
    }

    /// Bytes in it.
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn bytes(&self) -> &[u8] {
        if self.len == 0 {
            return &[];
        }
        // SAFETY: we hold a reference, so the header is valid.
        let base = unsafe { self.header.as_ref() }.base;
        // SAFETY: `start` is inside of the block.
        let start = unsafe { base.add(self.start as usize) };
        // SAFETY: `start..start + len` is inside of the block, initialised, and read-only while any ticket is left.
        unsafe { slice::from_raw_parts(start.as_ptr(), self.len()) }
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        if self.len > 0 {
            // SAFETY: it is our one reference, and this our end.
            unsafe { release(self.header, 1) };
        }
    }
}

impl fmt::Debug for Frozen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Frozen({} bytes)", self.len)
    }
}

/// A view of frozen bytes on one shard. `Clone`, counted plainly; the last one dropped gives the ticket back.
///
/// It stays on its shard:
/// ```compile_fail,E0277
/// # let mut pool = corewire::buf::Pool::new(&Default::default()).unwrap();
/// # let buf = pool.copy(b"hi").unwrap();
/// let view = pool.freeze(buf, 1).next().unwrap().open();
/// std::thread::spawn(move || view.len()); // not Send
/// ```
#[derive(Clone)]
pub struct Shared {
    ticket: Rc<Frozen>,
}

impl Shared {
    /// Whether both are views of the same ticket, and so of the same bytes.
    #[inline]
    pub fn is_same(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.ticket, &other.ticket)
    }
}

impl Shared {
    /// A ticket for another shard, for the same bytes: for a view whose reader goes there.
    pub(crate) fn ticket(&self) -> Frozen {
        let Frozen { header, start, len } = *self.ticket;
        if len > 0 {
            // SAFETY: our ticket holds a reference, so the header is valid; the new one gets a reference of its own.
            unsafe { header.as_ref() }.tag().retain(1);
        }
        Frozen { header, start, len }
    }
}

impl Deref for Shared {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        self.ticket.bytes()
    }
}

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Shared({} bytes)", self.len())
    }
}

/// One ticket for each shard; see [`Pool::freeze`](super::Pool::freeze). Tickets that are not taken are given back.
#[derive(Debug)]
#[must_use = "tickets that are not taken are given back"]
pub struct Tickets {
    /// The range that every ticket has. Never dropped: the references are in `left`.
    model: ManuallyDrop<Frozen>,
    left: u32,
}

impl Tickets {
    /// # Panics
    /// With an empty buffer, or for no shard: there is nothing to hold.
    pub(super) fn new(buf: Buf, shards: u32) -> Self {
        let (start, len) = buf.range();
        assert!(len > 0 && shards > 0, "{shards} tickets for {len} bytes");
        let header = buf.into_block().expect("there are bytes, so there is a block");
        if shards > 1 {
            // SAFETY: we hold the buffer's reference.
            unsafe { header.as_ref() }.tag().retain(shards - 1);
        }
        // The buffer's range was its alone, and the buffer is gone: from here on everybody only reads.
        Self { model: ManuallyDrop::new(Frozen { header, start, len }), left: shards }
    }

    /// Tickets for no bytes.
    pub(super) fn empty(shards: u32) -> Self {
        Self {
            model: ManuallyDrop::new(Frozen { header: NonNull::dangling(), start: 0, len: 0 }),
            left: shards,
        }
    }
}

impl Iterator for Tickets {
    type Item = Frozen;

    fn next(&mut self) -> Option<Frozen> {
        self.left = self.left.checked_sub(1)?;
        // One of our references goes along.
        Some(Frozen { header: self.model.header, start: self.model.start, len: self.model.len })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left as usize, Some(self.left as usize))
    }
}

impl ExactSizeIterator for Tickets {}
impl FusedIterator for Tickets {}

impl Drop for Tickets {
    fn drop(&mut self) {
        if self.left > 0 && self.model.len > 0 {
            // SAFETY: these references are ours, and this is our end.
            unsafe { release(self.model.header, self.left) };
        }
    }
}
