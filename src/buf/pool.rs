//! A shard's memory: what the kernel receives into, and what goes out, with a limit each.

use super::block::{Header, Kind, release};
use super::bytes::{Buf, copy_few};
use super::class::Class;
use super::frozen::Tickets;
use super::limits::{CLASSES, ClassStats, Exhausted, PoolConfig, Stats};
use super::receive::ReceiveBlock;
use super::slab::{Mapping, Pages, Slab, count_leaked, leaked_slabs};
use crate::ring::returns::ReturnStack;
use std::io;
use std::ptr::NonNull;

/// A shard's blocks. Made on the thread that uses it: that is where its memory is touched first.
///
/// ```
/// use corewire::buf::{Pool, PoolConfig};
///
/// let mut pool = Pool::new(&PoolConfig::default())?;
/// let mut buf = pool.take(100).unwrap();
/// buf.extend_from_slice(b"hello").unwrap();
/// std::thread::spawn(move || drop(buf)).join().unwrap(); // dropped anywhere, it goes home
/// assert_eq!(pool.stats().outbound_bytes_out, 128);
/// assert_eq!(pool.reclaim(), 1);
/// assert_eq!(pool.stats().outbound_bytes_out, 0);
/// # Ok::<_, std::io::Error>(())
/// ```
///
/// It does not leave its thread:
/// ```compile_fail,E0277
/// fn send<T: Send>(_: T) {}
/// send(corewire::buf::Pool::new(&Default::default()).unwrap());
/// ```
pub struct Pool {
    /// Where blocks come home; a leaked box, so that it can outlive the pool.
    home: NonNull<ReturnStack>,
    receive: Class,
    scratch: Class,
    classes: [Class; CLASSES],
    large_out: u32,
    outbound_bytes_out: usize,
    outbound_bytes_max: usize,
    copied_payloads: u64,
    pages: Pages,
    huge_pages: bool,
}

impl Pool {
    /// Maps the receive and scratch blocks. Outbound slabs are mapped when first needed, and no memory is touched before use.
    ///
    /// # Errors
    /// `InvalidInput` for a config beyond its limits; else what the kernel says about the mapping.
    pub fn new(config: &PoolConfig) -> io::Result<Self> {
        config.check()?;
        let block_bytes = config.receive_block_bytes;
        let mut receive = Class::new(Kind::Receive, block_bytes);
        let mut pages = Pages::Ordinary;
        if config.receive_blocks > 0 {
            let (slab, got) = Slab::new(block_bytes, config.receive_blocks, config.huge_pages)?;
            receive.add(slab, config.receive_blocks);
            pages = got;
        }
        let mut scratch = Class::new(Kind::Scratch, config.scratch_block_bytes);
        if config.scratch_blocks > 0 {
            let (slab, _) = Slab::new(config.scratch_block_bytes, config.scratch_blocks, config.huge_pages)?;
            scratch.add(slab, config.scratch_blocks);
        }
        Ok(Self {
            home: NonNull::from(Box::leak(Box::new(ReturnStack::new()))),
            receive,
            scratch,
            classes: std::array::from_fn(|class| {
                Class::new(Kind::Class(class as u8), CLASS_BYTES_MIN << class)
            }),
            large_out: 0,
            outbound_bytes_out: 0,
            outbound_bytes_max: config.outbound_bytes_max,
            copied_payloads: 0,
            pages,
            huge_pages: config.huge_pages,
        })
    }

    /// An empty block with room for at least `bytes`: the next power of two from 64 B to 1 MiB, beyond that a
    /// mapping of its own, of up to 64 MiB, which is unmapped when it comes home.
    ///
    /// # Errors
    /// When the quota is used up (even after [`Self::reclaim`]), the size is beyond all, or the kernel has no memory.
    #[inline(always)] // its result passes through memory otherwise, written in halves and read whole, which waits
    pub fn take(&mut self, bytes: usize) -> Result<Buf, Exhausted> {
        if bytes > LARGE_BYTES_MAX {
            return Err(Exhausted::TooLarge { asked_bytes: bytes, limit_bytes: LARGE_BYTES_MAX });
        }
        let block_bytes = block_bytes_for(bytes);
        if self.outbound_bytes_out + block_bytes > self.outbound_bytes_max {
            self.make_room(bytes, block_bytes)?;
        }
        let class = (block_bytes / CLASS_BYTES_MIN as usize).trailing_zeros() as usize;
        let taken = if block_bytes <= CLASS_BYTES_MAX {
            self.take_class(class)
        } else {
            self.take_large(block_bytes)
        };
        let header = taken.map_err(|error| Exhausted::Memory { asked_bytes: bytes, error: error.kind() })?;
        self.outbound_bytes_out += block_bytes;
        // SAFETY: the block was at home or is new, so nobody holds it.
        Ok(unsafe { Buf::whole(header) })
    }

    /// Takes home what is on its way, if that is enough.
    #[cold]
    fn make_room(&mut self, bytes: usize, block_bytes: usize) -> Result<(), Exhausted> {
        self.reclaim();
        if self.outbound_bytes_out + block_bytes > self.outbound_bytes_max {
            return Err(Exhausted::Quota {
                asked_bytes: bytes,
                out_bytes: self.outbound_bytes_out,
                limit_bytes: self.outbound_bytes_max,
            });
        }
        Ok(())
    }

    /// A right-sized block with these bytes.
    ///
    /// # Errors
    /// As [`Self::take`].
    #[inline(always)] // as `take`
    pub fn copy(&mut self, bytes: &[u8]) -> Result<Buf, Exhausted> {
        let mut buf = self.take(bytes.len())?;
        buf.fill(|spare| {
            copy_few(&mut spare[..bytes.len()], bytes);
            bytes.len()
        });
        Ok(buf)
    }

    /// A whole block for the kernel to fill. `None`: all are out, or on their way home to a later call.
    #[inline]
    pub fn take_receive(&mut self) -> Option<ReceiveBlock> {
        self.take_whole(|pool| &mut pool.receive)
    }

    /// A whole scratch block, for reads of ours. `None`: all are out, or on their way home to a later call.
    ///
    /// ```
    /// use corewire::buf::{Pool, PoolConfig};
    ///
    /// let mut pool = Pool::new(&PoolConfig { scratch_blocks: 2, ..PoolConfig::default() })?;
    /// let mut scratch = pool.take_scratch().unwrap();
    /// let message = scratch.fill(b"as if it was read");
    /// assert!(!pool.is_scarce(&message)); // there is another, should this be kept
    /// let mut last = pool.take_scratch().unwrap();
    /// assert!(pool.is_scarce(&last.fill(b"to be copied")));
    /// # Ok::<_, std::io::Error>(())
    /// ```
    #[inline]
    pub fn take_scratch(&mut self) -> Option<ReceiveBlock> {
        self.take_whole(|pool| &mut pool.scratch)
    }

    #[inline]
    fn take_whole(&mut self, class: impl Fn(&mut Self) -> &mut Class) -> Option<ReceiveBlock> {
        let header = match class(self).reuse() {
            Some(header) => header,
            None => {
                self.reclaim();
                let home = self.home;
                let class = class(self);
                class.reuse().or_else(|| class.make(home))?
            }
        };
        // SAFETY: the block was at home or is new, so nobody holds it.
        Some(unsafe { ReceiveBlock::new(header) })
    }

    /// Whether blocks such as `buf` is in are needed to receive into: more than three quarters of the receive blocks are
    /// out, or the last scratch block is. Whoever may keep it should copy it.
    #[inline]
    pub fn is_scarce(&self, buf: &Buf) -> bool {
        match buf.kind() {
            Some(Kind::Receive) => self.receive.out > self.receive.room / 4 * 3,
            Some(Kind::Scratch) => self.scratch.out == self.scratch.room,
            _ => false,
        }
    }

    /// Whether a block for `bytes` may be taken in advance of them: three quarters of the quota remain for those who
    /// need theirs now.
    #[inline]
    pub fn is_ample(&self, bytes: usize) -> bool {
        self.outbound_bytes_out + block_bytes_for(bytes) <= self.outbound_bytes_max / 4
    }

    /// Takes back what came home since the last call, and says how many blocks. One load if none did.
    #[inline]
    pub fn reclaim(&mut self) -> usize {
        // SAFETY: the stack is freed in `drop` at the earliest.
        let stack = unsafe { self.home.as_ref() };
        if stack.is_empty() {
            return 0;
        }
        let mut blocks = 0;
        for tag in stack.take_all() {
            // SAFETY: only headers of this pool name this stack as home, and a tag's address is its header's. It
            // was pushed by its last holder.
            unsafe { self.put(tag.cast()) };
            blocks += 1;
        }
        blocks
    }

    /// Drops a buffer here. If it was the last of its block, and the block is this pool's, the block is at home at
    /// once and the next to be taken.
    #[inline]
    pub fn recycle(&mut self, buf: Buf) {
        let Some(header) = buf.into_block() else { return };
        // SAFETY: we hold the buffer's reference.
        let block = unsafe { header.as_ref() };
        if block.home != self.home {
            // SAFETY: as above; it is given up here.
            unsafe { release(header, 1) };
        } else if block.tag().let_go(1) {
            // SAFETY: it is this pool's, and that was the last reference.
            unsafe { self.put(header) };
        }
    }

    /// For a payload that is kept past the turn: copies it into a right-sized block if it would otherwise pin one
    /// of more than four times its size, and counts the copy. Gives it back as it was if it fits its block, or if
    /// no block is to be had.
    pub fn keep(&mut self, buf: Buf) -> Buf {
        if block_bytes_for(buf.len() + KEEP_HEADROOM_BYTES) * PIN_FACTOR >= buf.block_bytes() {
            return buf;
        }
        let Ok(mut copy) = self.take(buf.len() + KEEP_HEADROOM_BYTES) else { return buf };
        copy.leave_headroom(KEEP_HEADROOM_BYTES);
        copy.fill(|spare| {
            spare[..buf.len()].copy_from_slice(&buf);
            buf.len()
        });
        self.copied_payloads += 1;
        self.recycle(buf);
        copy
    }

    /// Makes the bytes read-only for `shards` shards: one ticket each. The block counts tickets, not readers.
    ///
    /// ```
    /// use corewire::buf::{Frozen, Pool, PoolConfig};
    ///
    /// let mut pool = Pool::new(&PoolConfig::default())?;
    /// let buf = pool.copy(b"to all").unwrap();
    /// let tickets: Vec<Frozen> = pool.freeze(buf, 2).collect();
    /// for ticket in tickets {
    ///     std::thread::spawn(move || {
    ///         let view = ticket.open(); // on each shard
    ///         let another = view.clone(); // for each member
    ///         assert_eq!(&another[..], b"to all");
    ///     });
    /// }
    /// # Ok::<_, std::io::Error>(())
    /// ```
    pub fn freeze(&mut self, buf: Buf, shards: u32) -> Tickets {
        if shards == 0 || buf.is_empty() {
            self.recycle(buf);
            return Tickets::empty(shards);
        }
        Tickets::new(buf, shards)
    }

    /// Figures for logs and metrics.
    pub fn stats(&self) -> Stats {
        let of =
            |class: &Class| ClassStats { block_bytes: class.block_bytes, blocks: class.made, out: class.out };
        Stats {
            classes: std::array::from_fn(|class| of(&self.classes[class])),
            receive: of(&self.receive),
            scratch: of(&self.scratch),
            large_out: self.large_out,
            outbound_bytes_out: self.outbound_bytes_out,
            copied_payloads: self.copied_payloads,
            leaked_slabs: leaked_slabs(),
        }
    }

    /// Which pages the receive blocks got. For the log at start.
    ///
    /// ```
    /// use corewire::buf::{Pages, Pool, PoolConfig};
    ///
    /// let pool = Pool::new(&PoolConfig { huge_pages: true, ..PoolConfig::default() })?;
    /// match pool.pages() {
    ///     Pages::HugeTlb => println!("reserved huge pages"),
    ///     Pages::Transparent => println!("huge pages where the kernel finds some"),
    ///     Pages::Ordinary => println!("no huge pages here"),
    /// }
    /// # Ok::<_, std::io::Error>(())
    /// ```
    pub fn pages(&self) -> Pages {
        self.pages
    }

    #[inline]
    fn take_class(&mut self, class: usize) -> io::Result<NonNull<Header>> {
        match self.classes[class].reuse() {
            Some(header) => Ok(header),
            None => self.find_class(class),
        }
    }

    #[cold]
    fn find_class(&mut self, class: usize) -> io::Result<NonNull<Header>> {
        self.reclaim(); // rather a warm block than a new one
        let (home, class) = (self.home, &mut self.classes[class]);
        if let Some(header) = class.reuse().or_else(|| class.make(home)) {
            return Ok(header);
        }
        class.grow(self.outbound_bytes_max, self.huge_pages)?;
        Ok(class.make(home).expect("a new slab has a block"))
    }

    #[inline(never)]
    fn take_large(&mut self, bytes: usize) -> io::Result<NonNull<Header>> {
        let (mapping, _) = Mapping::best(bytes, self.huge_pages && bytes >= HUGE_LARGE_BYTES_MIN)?;
        let header = Header::new(Kind::Large, 0, mapping.address(), bytes as u32, self.home);
        let large = Box::leak(Box::new(Large { header, _mapping: mapping }));
        self.large_out += 1;
        Ok(NonNull::from(large).cast())
    }

    /// # Safety
    /// The block is this pool's and was out; nobody holds it.
    #[inline]
    unsafe fn put(&mut self, header: NonNull<Header>) {
        // SAFETY: the header is valid: its memory goes in `drop`, or just below.
        let block = unsafe { header.as_ref() };
        let (kind, bytes) = (block.kind, block.bytes);
        if !matches!(kind, Kind::Receive | Kind::Scratch) {
            self.outbound_bytes_out -= bytes as usize;
        }
        match kind {
            // SAFETY: the caller's promise, and the kind says which class.
            Kind::Receive => unsafe { self.receive.put(header) },
            // SAFETY: as above.
            Kind::Scratch => unsafe { self.scratch.put(header) },
            // SAFETY: as above.
            Kind::Class(class) => unsafe { self.classes[class as usize].put(header) },
            // SAFETY: as above.
            Kind::Large => unsafe { self.put_large(header) },
        }
    }

    /// # Safety
    /// As [`Self::put`], and the block is in a mapping of its own.
    #[inline(never)]
    unsafe fn put_large(&mut self, header: NonNull<Header>) {
        self.large_out -= 1;
        // SAFETY: made by `take_large`, from such a box; nobody holds the block, so nobody has a pointer into the mapping.
        drop(unsafe { Box::from_raw(header.cast::<Large>().as_ptr()) });
    }
}

impl Drop for Pool {
    /// Unmaps what is home. A slab with a block out is leaked and counted; the block's holder goes on as if the
    /// pool were there, and drops it without harm.
    fn drop(&mut self) {
        self.reclaim();
        let stats = self.stats();
        count_leaked(stats.large_out as usize);
        if stats.blocks_out() == 0 {
            // SAFETY: made by `Box::leak` in `new`. Every block is home, so nobody else knows of the stack.
            drop(unsafe { Box::from_raw(self.home.as_ptr()) });
        }
    }
}

/// A block in a mapping of its own. The header first: its address is the box's.
#[repr(C)]
struct Large {
    header: Header,
    _mapping: Mapping,
}

/// How large a block [`Pool::take`] finds for so many bytes.
fn block_bytes_for(bytes: usize) -> usize {
    if bytes <= CLASS_BYTES_MAX {
        bytes.next_power_of_two().max(CLASS_BYTES_MIN as usize)
    } else {
        bytes.next_multiple_of(PAGE_BYTES)
    }
}

const CLASS_BYTES_MIN: u32 = 64;
const CLASS_BYTES_MAX: usize = (CLASS_BYTES_MIN as usize) << (CLASSES - 1);
const LARGE_BYTES_MAX: usize = 64 << 20;
/// From here on two huge pages or more.
const HUGE_LARGE_BYTES_MIN: usize = 4 << 20;
const PAGE_BYTES: usize = 4096;
/// A kept payload may pin a block of up to so many times what it needs.
const PIN_FACTOR: usize = 4;
/// Room for the largest frame header in front of a kept payload.
const KEEP_HEADROOM_BYTES: usize = 14;

const _: () = {
    assert!(CLASS_BYTES_MAX == 1 << 20);
    assert!(LARGE_BYTES_MAX < u32::MAX as usize); // offsets in a block are 32 bits
};
