//! A whole block in the kernel's hands: it fills the front while the rest is still to come.

use super::block::{Header, release};
use super::bytes::Buf;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;

/// A block that the kernel receives into, in one piece or in many (`IOU_PBUF_RING_INC`), front to back.
///
/// Each filled piece becomes a [`Buf`] at once, while the kernel goes on behind it. The block is home when this and
/// every such buffer are dropped. Dropping it is safe for us, not for the kernel: whoever gave the address away
/// keeps this until the kernel is done with it.
///
/// ```
/// use corewire::buf::{Pool, PoolConfig};
///
/// let mut pool = Pool::new(&PoolConfig::default())?;
/// let mut block = pool.take_receive().unwrap();
/// // The "kernel" writes a piece.
/// // SAFETY: the block is ours, and 5 bytes are inside of it.
/// unsafe { block.as_mut_ptr().copy_from_nonoverlapping(b"hello".as_ptr(), 5) };
/// // SAFETY: the kernel wrote these, and goes on behind them.
/// let piece = unsafe { block.carve(0, 5) };
/// assert_eq!(&piece[..], b"hello");
/// // SAFETY: the kernel is done with the block, and wrote nothing more.
/// pool.recycle(unsafe { block.finish(0) });
/// pool.recycle(piece);
/// assert_eq!(pool.stats().receive.out, 0);
/// # Ok::<_, std::io::Error>(())
/// ```
pub struct ReceiveBlock {
    header: NonNull<Header>,
    /// Where the kernel's part begins: all before it was given away in buffers.
    filled: u32,
    /// References that the block came with, for the pieces to take: counted without touching the shared count.
    /// A piece has at least a byte, so one for each byte and one for this are enough.
    refs: u32,
    /// Stays with its pool, whose shard's ring knows its address.
    _not_send: PhantomData<*mut ()>,
}

impl ReceiveBlock {
    /// # Safety
    /// The block is at home, and nobody else takes it.
    pub(super) unsafe fn new(header: NonNull<Header>) -> Self {
        // SAFETY: the header is valid; the pool is still there.
        let block = unsafe { header.as_ref() };
        let refs = block.bytes + 1;
        block.tag().reset(refs);
        Self { header, filled: 0, refs, _not_send: PhantomData }
    }

    /// The block's number in its pool, below [`PoolConfig::receive_blocks`](super::PoolConfig::receive_blocks): the
    /// same each time it is taken.
    #[inline]
    pub fn index(&self) -> u16 {
        self.block().index as u16 // at most RECEIVE_BLOCKS_MAX
    }

    /// Where it begins. The kernel may write what was not carved yet.
    #[inline]
    pub fn as_mut_ptr(&mut self) -> *mut u8 {
        self.block().base.as_ptr()
    }

    /// Its size.
    #[inline]
    #[expect(clippy::len_without_is_empty, reason = "a block is never of no size")]
    pub fn len(&self) -> usize {
        self.block().bytes as usize
    }

    /// How far it was carved.
    #[inline]
    pub fn filled(&self) -> usize {
        self.filled as usize
    }

    /// Makes `start..start + len` a buffer. Bytes between the last piece and `start` are lost.
    ///
    /// # Safety
    /// The kernel has written these bytes, and writes none of what is before `start + len` any more.
    ///
    /// # Panics
    /// If the range was given out before, or is not inside of the block: a range has one owner, whatever the caller
    /// thinks the kernel said.
    #[inline]
    pub unsafe fn carve(&mut self, start: usize, len: usize) -> Buf {
        let (start, end) = self.claim(start, len);
        if start == end {
            return Buf::empty();
        }
        self.refs -= 1; // never to 0: there is one for each byte, and one for us
        self.filled = end;
        // SAFETY: not empty and inside of the block (`claim`). It begins at or after `filled`, and `filled` is behind
        // it now: nobody else gets it. The reference is one of ours, and the kernel is done here (the contract).
        unsafe { Buf::part(self.header, start, end - start, end) }
    }

    /// How much is behind what was carved.
    #[inline]
    pub fn room(&self) -> usize {
        self.len() - self.filled()
    }

    /// Writes `bytes` behind what was carved before, and makes them a buffer: what a kernel does, for one that is made
    /// up. Not for a block that a kernel has.
    ///
    /// ```
    /// # use corewire::buf::{Pool, PoolConfig};
    /// # let mut pool = Pool::new(&PoolConfig::default())?;
    /// let mut block = pool.take_receive().unwrap();
    /// assert_eq!(&block.fill(b"hello")[..], b"hello");
    /// assert_eq!(block.filled(), 5);
    /// # Ok::<_, std::io::Error>(())
    /// ```
    ///
    /// # Panics
    /// If they are more than the rest of the block.
    pub fn fill(&mut self, bytes: &[u8]) -> Buf {
        let _ = self.claim(self.filled(), bytes.len());
        self.fill_with(|spare| {
            spare[..bytes.len()].copy_from_slice(bytes);
            bytes.len()
        })
    }

    /// Makes a buffer of what `write` puts behind what was carved before: it is given all of that and says how much it
    /// wrote. Not for a block that a kernel has.
    ///
    /// ```
    /// # use corewire::buf::{Pool, PoolConfig};
    /// # use std::io::Read;
    /// # let mut pool = Pool::new(&PoolConfig::default())?;
    /// let mut scratch = pool.take_scratch().unwrap();
    /// let mut stream = &b"whatever there is to read"[..];
    /// let read = scratch.fill_with(|spare| stream.read(spare).unwrap());
    /// assert_eq!(&read[..8], b"whatever");
    /// # Ok::<_, std::io::Error>(())
    /// ```
    ///
    /// # Panics
    /// If it says more than there is.
    #[inline]
    pub fn fill_with(&mut self, write: impl FnOnce(&mut [u8]) -> usize) -> Buf {
        let start = self.filled();
        // SAFETY: `start` is not behind the block's end.
        let spare = unsafe { self.as_mut_ptr().add(start) };
        // SAFETY: from `start` to the block's end nothing was given away, so no buffer covers it, and the borrow of `self`
        // keeps it so. It is initialised: its memory came zeroed. Nobody else has the address: who gives it to a kernel
        // answers for that.
        let written = write(unsafe { std::slice::from_raw_parts_mut(spare, self.room()) });
        // SAFETY: they were written just now (what was skipped keeps what it was), and nothing writes them again.
        unsafe { self.carve(start, written) }
    }

    /// The last piece: the next `len` bytes, with all that is behind them as room. Saves the counting of
    /// [`Self::carve`] and drop.
    ///
    /// # Safety
    /// The kernel has written these bytes, and is done with the whole block.
    ///
    /// # Panics
    /// If they are not inside of the block.
    pub unsafe fn finish(self, len: usize) -> Buf {
        let (start, end) = self.claim(self.filled(), len);
        let block_end = self.block().bytes;
        if start == block_end {
            return Buf::empty();
        }
        let block = ManuallyDrop::new(self);
        if block.refs > 1 {
            let last = block.block().tag().let_go(block.refs - 1);
            debug_assert!(!last, "we keep one");
        }
        // SAFETY: not empty, up to the block's end, nobody got any of it (`claim`), and nobody will: the block
        // handle is gone. The reference is the one we kept. The kernel is done (the contract).
        unsafe { Buf::part(block.header, start, end - start, block_end) }
    }

    /// Start and end of a range that nobody has yet.
    fn claim(&self, start: usize, len: usize) -> (u32, u32) {
        let (filled, bytes) = (self.filled(), self.len());
        let inside = filled <= start && start <= bytes && len <= bytes - start;
        assert!(inside, "{start} + {len} bytes of a block of {bytes}, of which {filled} are given away");
        (start as u32, (start + len) as u32) // at most `bytes`, which is 32 bits
    }

    fn block(&self) -> &Header {
        // SAFETY: we hold references.
        unsafe { self.header.as_ref() }
    }
}

impl Drop for ReceiveBlock {
    fn drop(&mut self) {
        // SAFETY: these are the references that are left of ours, and this is our end.
        unsafe { release(self.header, self.refs) };
    }
}
