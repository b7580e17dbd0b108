//! A unique range of a block: whoever has it may write it, cut it and give it away.

use super::block::{Header, Kind, release};
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::{error, fmt, slice};

/// Bytes in a block, and the room before and behind them. 24 bytes; unique, so it moves, and `Send`.
///
/// ```text
///      headroom()       len()          room()
///  |---------------|=============|---------------|
/// floor          start       start+len          end      all of it is this Buf's alone
/// ```
///
/// The room before comes from [`Self::advance`]: a frame header that was read is room for the one that is written.
/// ```
/// use corewire::buf::{Pool, PoolConfig};
///
/// let mut pool = Pool::new(&PoolConfig::default())?;
/// let mut frame = pool.copy(b"HEAD-IN payload").unwrap();
/// frame.advance(8);
/// assert_eq!((&frame[..], frame.headroom()), (&b"payload"[..], 8));
/// frame.prepend(b"OUT ").unwrap(); // in place: no byte of the payload moves
/// assert_eq!(&frame[..], b"OUT payload");
///
/// let first = frame.split_to(4); // two buffers, one block; it goes home with the last
/// assert_eq!((&first[..], &frame[..]), (&b"OUT "[..], &b"payload"[..]));
/// # Ok::<_, std::io::Error>(())
/// ```
///
/// To be written to, it has room behind; pieces that adjoin become one again:
/// ```
/// # use corewire::buf::{Buf, Pool, PoolConfig};
/// let mut pool = Pool::new(&PoolConfig::default())?;
/// let mut reply = pool.take(64).unwrap();
/// reply.leave_headroom(4); // for a header that is known only later
/// reply.extend_from_slice(b"number ").unwrap();
/// reply.fill(|spare| {
///     spare[..2].copy_from_slice(b"42");
///     2
/// });
/// assert_eq!((reply.len(), reply.room(), reply.headroom()), (9, 51, 4));
/// let mut word = reply.split_to(6);
/// word.join(reply).unwrap();
/// word.truncate(6);
/// assert_eq!(&word[..], b"number");
/// # Ok::<_, std::io::Error>(())
/// ```
///
/// What was given away is gone, at compile time:
/// ```compile_fail,E0382
/// # use corewire::buf::{Buf, Pool, PoolConfig};
/// fn send(_: Buf) {}
/// let mut pool = Pool::new(&PoolConfig::default()).unwrap();
/// let mut buf = pool.copy(b"mine").unwrap();
/// send(buf);
/// buf[0] = b'!'; // borrow of moved value
/// ```
/// ```compile_fail,E0382
/// # use corewire::buf::{Buf, Pool, PoolConfig};
/// let (mut lane, _) = corewire::ring::spsc::channel::<Buf>(2);
/// let mut pool = Pool::new(&PoolConfig::default()).unwrap();
/// let buf = pool.copy(b"mine").unwrap();
/// lane.push(buf).unwrap();
/// println!("{}", buf.len()); // borrow of moved value
/// ```
/// and there is no second handle on the same bytes:
/// ```compile_fail,E0599
/// # use corewire::buf::{Pool, PoolConfig};
/// let mut pool = Pool::new(&PoolConfig::default()).unwrap();
/// let buf = pool.copy(b"mine").unwrap();
/// let twin = buf.clone(); // no such method
/// ```
// Invariants. `floor <= start <= start + len <= end <=` the block's bytes. If `floor < end`, this holds one
// reference to the block, and no other Buf, ticket or block handle covers any of `floor..end`. If `floor == end`,
// it is empty, holds nothing, and `header` is not to be followed.
pub struct Buf {
    header: NonNull<Header>,
    floor: u32,
    start: u32,
    len: u32,
    end: u32,
}

// SAFETY: the bytes are this Buf's alone (see the invariants), and what it shares with others, the header, is
// either never written again or atomic. Letting go of the block is made for any thread (`ring::returns`).
unsafe impl Send for Buf {}
// SAFETY: `&Buf` only reads, and nobody else writes these bytes.
unsafe impl Sync for Buf {}

impl Buf {
    /// A buffer without a block: no bytes, no room.
    pub const fn empty() -> Self {
        Self { header: NonNull::dangling(), floor: 0, start: 0, len: 0, end: 0 }
    }

    /// Bytes in it.
    #[inline]
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// True if there are none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Free bytes before the data, for [`Self::prepend`].
    #[inline]
    pub fn headroom(&self) -> usize {
        (self.start - self.floor) as usize
    }

    /// Free bytes behind the data.
    #[inline]
    pub fn room(&self) -> usize {
        (self.end - self.start - self.len) as usize
    }

    /// Bytes it can hold from its start on: [`Self::len`] and [`Self::room`].
    #[inline]
    pub fn capacity(&self) -> usize {
        (self.end - self.start) as usize
    }

    /// The size of the block that it keeps from going home. Zero without one.
    pub fn block_bytes(&self) -> usize {
        // SAFETY: we hold a reference, so the header is valid.
        self.block().map_or(0, |header| unsafe { header.as_ref() }.bytes as usize)
    }

    /// Whether it keeps a block from being received into: a receive block or a scratch block.
    pub fn is_in_receive_block(&self) -> bool {
        matches!(self.kind(), Some(Kind::Receive | Kind::Scratch))
    }

    /// What kind of block it is in.
    #[inline]
    pub(super) fn kind(&self) -> Option<Kind> {
        // SAFETY: we hold a reference, so the header is valid.
        self.block().map(|header| unsafe { header.as_ref() }.kind)
    }

    /// Appends `bytes`.
    ///
    /// # Errors
    /// If they do not fit behind; then nothing is written.
    #[inline]
    pub fn extend_from_slice(&mut self, bytes: &[u8]) -> Result<(), NoRoom> {
        let room_bytes = self.room();
        let to = self.spare_mut().get_mut(..bytes.len()).ok_or(NoRoom { bytes: bytes.len(), room_bytes })?;
        to.copy_from_slice(bytes);
        self.len += bytes.len() as u32;
        Ok(())
    }

    /// Writes `bytes` just before the data.
    ///
    /// # Errors
    /// If the headroom is too small; then nothing is written.
    #[inline]
    pub fn prepend(&mut self, bytes: &[u8]) -> Result<(), NoRoom> {
        if bytes.len() > self.headroom() {
            return Err(NoRoom { bytes: bytes.len(), room_bytes: self.headroom() });
        }
        self.start -= bytes.len() as u32;
        self.len += bytes.len() as u32;
        self[..bytes.len()].copy_from_slice(bytes);
        Ok(())
    }

    /// Leaves `bytes` of headroom in a buffer that has no data yet.
    ///
    /// # Panics
    /// If there is data, or less room.
    pub fn leave_headroom(&mut self, bytes: usize) {
        assert!(self.is_empty(), "headroom behind data");
        assert!(bytes <= self.room(), "{bytes} bytes of headroom in {} bytes", self.room());
        self.start += bytes as u32;
    }

    /// Appends what `write` puts at the start of the free bytes: it is given all of them and says how many it wrote.
    /// What it skips keeps what some earlier owner of the block left there.
    ///
    /// # Panics
    /// If it says more than there are.
    #[inline]
    pub fn fill(&mut self, write: impl FnOnce(&mut [u8]) -> usize) -> usize {
        let written = write(self.spare_mut());
        assert!(written <= self.room(), "{written} bytes written into {}", self.room());
        self.len += written as u32;
        written
    }

    /// The free bytes behind the data, for the kernel to receive into. Then [`Self::commit`]. Their contents are
    /// what some earlier owner of the block left there.
    #[inline]
    pub fn spare_mut(&mut self) -> &mut [u8] {
        // SAFETY: `start + len..end` is in the block, ours alone by the invariants, and always initialised (its
        // memory came zeroed); the borrow is that of `self`.
        unsafe { slice::from_raw_parts_mut(self.at(self.start + self.len), self.room()) }
    }

    /// Counts `bytes` of [`Self::spare_mut`] as data.
    ///
    /// # Safety
    /// They have been written since. (Else a stranger's bytes would be sent to somebody.)
    ///
    /// # Panics
    /// If there are not as many.
    #[inline]
    pub unsafe fn commit(&mut self, bytes: usize) {
        assert!(bytes <= self.room(), "{bytes} bytes written into {}", self.room());
        self.len += bytes as u32;
    }

    /// Cuts off the first `bytes` as a buffer of their own, which takes the headroom along. What remains keeps the
    /// room behind. Cutting off nothing, or all where no room is behind, costs nothing.
    ///
    /// # Panics
    /// If there are not as many.
    pub fn split_to(&mut self, bytes: usize) -> Self {
        assert!(bytes <= self.len(), "split at {bytes} of {} bytes", self.len());
        if bytes == 0 {
            return Self::empty();
        }
        if bytes == self.capacity() {
            return std::mem::take(self);
        }
        let cut = self.start + bytes as u32;
        // SAFETY: `bytes` is not zero, so we hold a reference and the header is valid.
        unsafe { self.header.as_ref() }.tag().retain(1);
        // Both ranges are not empty, do not overlap, and one reference each.
        let front =
            Self { header: self.header, floor: self.floor, start: self.start, len: bytes as u32, end: cut };
        self.floor = cut;
        self.start = cut;
        self.len -= bytes as u32;
        front
    }

    /// Cuts off the headroom as a buffer of its own: no bytes, and that much room. What was read and is done with is
    /// room for the answer.
    ///
    /// ```
    /// # use corewire::buf::{Pool, PoolConfig};
    /// # let mut pool = Pool::new(&PoolConfig::default())?;
    /// let mut read = pool.copy(b"one two ").unwrap();
    /// read.advance(4);
    /// let mut answer = read.split_headroom();
    /// answer.extend_from_slice(b"1 ").unwrap();
    /// read.advance(4);
    /// assert!(answer.take_headroom(&mut read)); // more was read, so there is more room
    /// answer.extend_from_slice(b"2 ").unwrap();
    /// assert_eq!((&answer[..], answer.room()), (&b"1 2 "[..], 4));
    /// # Ok::<_, std::io::Error>(())
    /// ```
    #[inline]
    pub fn split_headroom(&mut self) -> Self {
        if self.floor == self.start {
            return Self::empty();
        }
        if self.start == self.end {
            let mut all = std::mem::take(self);
            all.start = all.floor;
            return all;
        }
        // SAFETY: `floor` is before `start`, so we hold a reference and the header is valid.
        unsafe { self.header.as_ref() }.tag().retain(1);
        // Both ranges are not empty, do not overlap, and one reference each.
        let front =
            Self { header: self.header, floor: self.floor, start: self.floor, len: 0, end: self.start };
        self.floor = self.start;
        front
    }

    /// Takes the headroom of `next` as room, if it begins exactly where this one ends, in the same block. Says whether it
    /// does. If that is all there is of `next`, it is without a block then.
    #[inline]
    pub fn take_headroom(&mut self, next: &mut Self) -> bool {
        let adjoins = self.header == next.header && self.end == next.floor;
        if !adjoins || self.block().is_none() || next.block().is_none() {
            return false;
        }
        self.end = next.start;
        if next.start == next.end {
            drop(std::mem::take(next)); // its reference; its range is ours from here on
        } else {
            next.floor = next.start;
        }
        true
    }

    /// Puts `next` behind this one again, if it begins exactly where this one ends, in the same block: a message
    /// that came in two pieces is one again.
    ///
    /// # Errors
    /// `next` comes back if it is not the continuation.
    pub fn join(&mut self, next: Self) -> Result<(), Self> {
        let adjoins = self.header == next.header && self.room() == 0 && next.headroom() == 0;
        if !adjoins || self.end != next.floor || self.block().is_none() || next.block().is_none() {
            return Err(next);
        }
        self.len += next.len;
        self.end = next.end;
        drop(next); // its reference; its range is ours from here on, and `drop` touches no bytes
        Ok(())
    }

    /// Drops the first `bytes`; they become headroom.
    ///
    /// # Panics
    /// If there are not as many.
    #[inline]
    pub fn advance(&mut self, bytes: usize) {
        assert!(bytes <= self.len(), "advance by {bytes} of {} bytes", self.len());
        self.start += bytes as u32;
        self.len -= bytes as u32;
    }

    /// Drops all but the first `len` bytes; they become room. Does nothing if there are no more than that.
    #[inline]
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(u32::try_from(len).unwrap_or(u32::MAX));
    }

    /// All of a block.
    ///
    /// # Safety
    /// The block is at home, and nobody else takes it.
    pub(super) unsafe fn whole(header: NonNull<Header>) -> Self {
        // SAFETY: the header is valid; the pool is still there.
        let block = unsafe { header.as_ref() };
        block.tag().reset(1);
        Self { header, floor: 0, start: 0, len: 0, end: block.bytes }
    }

    /// `len` bytes of a block from `start` on, and the room behind them up to `end`.
    ///
    /// # Safety
    /// `start < end`, `start + len <= end`, `end` is inside of the block, nobody else covers any of `start..end`, and
    /// the caller holds one reference, which it gives to the buffer.
    pub(super) unsafe fn part(header: NonNull<Header>, start: u32, len: u32, end: u32) -> Self {
        Self { header, floor: start, start, len, end }
    }

    /// The block with our reference to it, which the caller now has to give up.
    pub(super) fn into_block(self) -> Option<NonNull<Header>> {
        ManuallyDrop::new(self).block()
    }

    /// Where the data is in its block.
    pub(super) fn range(&self) -> (u32, u32) {
        (self.start, self.len)
    }

    #[inline]
    fn block(&self) -> Option<NonNull<Header>> {
        (self.floor < self.end).then_some(self.header)
    }

    #[inline]
    fn at(&self, offset: u32) -> *mut u8 {
        let Some(header) = self.block() else { return NonNull::dangling().as_ptr() };
        // SAFETY: we hold a reference, so the header is valid.
        let base = unsafe { header.as_ref() }.base;
        // SAFETY: `offset <= end`, so this is in the block or one past it.
        unsafe { base.add(offset as usize) }.as_ptr()
    }
}

impl Drop for Buf {
    #[inline]
    fn drop(&mut self) {
        if let Some(header) = self.block() {
            // SAFETY: it is our one reference, and this our end.
            unsafe { release(header, 1) };
        }
    }
}

impl Deref for Buf {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: `start..start + len` is in the block, ours by the invariants, and always initialised. Without a
        // block the length is 0 and the pointer dangling, which is a valid empty slice.
        unsafe { slice::from_raw_parts(self.at(self.start), self.len()) }
    }
}

impl DerefMut for Buf {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`; ours alone, and the borrow is that of `self`.
        unsafe { slice::from_raw_parts_mut(self.at(self.start), self.len()) }
    }
}

impl AsRef<[u8]> for Buf {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl Default for Buf {
    fn default() -> Self {
        Self::empty()
    }
}

impl fmt::Debug for Buf {
    /// Sizes only: payloads do not belong in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (headroom, len, room) = (self.headroom(), self.len(), self.room());
        write!(f, "Buf({headroom} + {len} + {room} bytes)")
    }
}

/// Copies `from` to `to`, which are as long; a few bytes without a call, which would take longer than the copy.
///
/// # Panics
/// If they are not as long.
#[inline]
pub(crate) fn copy_few(to: &mut [u8], from: &[u8]) {
    assert_eq!(to.len(), from.len(), "a copy of another length");
    if !(copy_ends::<16>(to, from) || copy_ends::<8>(to, from) || copy_ends::<4>(to, from)) {
        to.copy_from_slice(from);
    }
}

/// Copies the first and the last `N` bytes, if that is all.
#[inline]
fn copy_ends<const N: usize>(to: &mut [u8], from: &[u8]) -> bool {
    if from.len() > 2 * N {
        return false;
    }
    let (Some(first), Some(last)) = (from.first_chunk::<N>(), from.last_chunk::<N>()) else { return false };
    let (first, last) = (*first, *last);
    if let Some(to) = to.first_chunk_mut::<N>() {
        *to = first;
    }
    if let Some(to) = to.last_chunk_mut::<N>() {
        *to = last;
    }
    true
}

/// Bytes that did not fit; nothing was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoRoom {
    /// How many were to be written.
    pub bytes: usize,
    /// How many would have fitted.
    pub room_bytes: usize,
}

impl fmt::Display for NoRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes do not fit into {}", self.bytes, self.room_bytes)
    }
}

impl error::Error for NoRoom {}

const _: () = assert!(size_of::<Option<Buf>>() == 24);
