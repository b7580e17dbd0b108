//! Memory from the kernel: mapped in one piece, touched only when used, given back only when nobody holds any.

use super::block::{Header, Kind};
use crate::ring::returns::ReturnStack;
use crate::sync::{AtomicUsize, Ordering};
use std::ptr::{self, NonNull};
use std::{fs, io};

/// What kind of pages the receive blocks lie in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pages {
    /// Reserved huge pages of 2 MiB (`MAP_HUGETLB`), there from the start.
    HugeTlb,
    /// The kernel was asked to use huge pages where it can (`MADV_HUGEPAGE`).
    Transparent,
    /// Ordinary pages: huge ones were not asked for, or there are none.
    Ordinary,
}

/// Slabs of this process that were never unmapped, because blocks of them were still out when their pool was
/// dropped. Zero after an orderly stop.
///
/// ```
/// use corewire::buf::{Pool, PoolConfig, leaked_slabs};
///
/// let mut pool = Pool::new(&PoolConfig::default())?;
/// let late = pool.copy(b"still here").unwrap();
/// drop(pool);
/// assert_eq!(leaked_slabs(), 1);
/// assert_eq!(&late[..], b"still here"); // and dropped without harm
/// # Ok::<_, std::io::Error>(())
/// ```
pub fn leaked_slabs() -> usize {
    LEAKED_SLABS.load(Ordering::Relaxed)
}

/// `slabs` more that are leaked.
pub(super) fn count_leaked(slabs: usize) {
    LEAKED_SLABS.fetch_add(slabs, Ordering::Relaxed);
}

static LEAKED_SLABS: AtomicUsize = AtomicUsize::new(0);

/// Blocks of one size, with their headers apart from them: data stays aligned, and headers lie side by side.
pub(super) struct Slab {
    headers: Mapping,
    data: Mapping,
    block_bytes: u32,
    blocks: u32,
    /// Blocks handed out at least once. The memory of the others has never been touched.
    made: u32,
}

impl Slab {
    /// Room for `blocks` blocks, in the best pages there are. Nothing is touched yet.
    pub(super) fn new(block_bytes: u32, blocks: u32, huge: bool) -> io::Result<(Self, Pages)> {
        let headers = Mapping::ordinary(blocks as usize * size_of::<Header>())?;
        let (data, pages) = Mapping::best(blocks as usize * block_bytes as usize, huge)?;
        Ok((Self { headers, data, block_bytes, blocks, made: 0 }, pages))
    }

    /// The next block that was never handed out.
    pub(super) fn make(&mut self, kind: Kind, home: NonNull<ReturnStack>) -> Option<NonNull<Header>> {
        if self.made == self.blocks {
            return None;
        }
        let index = self.made as usize;
        // SAFETY: `index` is below `blocks`, so the block's first byte is inside of `data`.
        let base = unsafe { self.data.address.add(index * self.block_bytes as usize) };
        // SAFETY: as above, for `headers`, whose address is that of a page and so aligned for a header.
        let header = unsafe { self.headers.address.cast::<Header>().add(index) };
        // SAFETY: `header` is inside of our mapping, and nobody knows of it yet.
        unsafe { header.write(Header::new(kind, self.made, base, self.block_bytes, home)) };
        self.made += 1;
        Some(header)
    }

    /// Keeps the memory for ever: somebody still holds a block.
    pub(super) fn leak(self) {
        count_leaked(1);
        self.headers.leak();
        self.data.leak();
    }
}

/// A range of memory of ours alone, zeroed by the kernel, so always initialised. Unmapped when dropped.
pub(super) struct Mapping {
    address: NonNull<u8>,
    bytes: usize,
}

impl Mapping {
    /// In ordinary pages, and kept so: one that the kernel makes huge by itself costs 2 MiB at the first touch.
    pub(super) fn ordinary(bytes: usize) -> io::Result<Self> {
        let mapping = Self::map(bytes, 0)?;
        mapping.advise(libc::MADV_NOHUGEPAGE); // refused by kernels without huge pages: then all are ordinary
        Ok(mapping)
    }

    /// In huge pages if `huge` and there are any.
    pub(super) fn best(bytes: usize, huge: bool) -> io::Result<(Self, Pages)> {
        if !huge {
            return Ok((Self::ordinary(bytes)?, Pages::Ordinary));
        }
        let bytes = bytes.next_multiple_of(HUGE_BYTES);
        if let Ok(mapping) = Self::map(bytes, libc::MAP_HUGETLB | libc::MAP_HUGE_2MB)
            && mapping.populate()
        {
            return Ok((mapping, Pages::HugeTlb));
        }
        let mapping = Self::map(bytes + HUGE_BYTES, 0)?.aligned(bytes);
        if transparent_huge_pages() && mapping.advise(libc::MADV_HUGEPAGE) {
            return Ok((mapping, Pages::Transparent));
        }
        mapping.advise(libc::MADV_NOHUGEPAGE);
        Ok((mapping, Pages::Ordinary))
    }

    pub(super) fn address(&self) -> NonNull<u8> {
        self.address
    }

    pub(super) fn leak(self) {
        std::mem::forget(self);
    }

    fn map(bytes: usize, flags: libc::c_int) -> io::Result<Self> {
        let flags = flags | libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new anonymous mapping at an address of the kernel's choice touches no memory of ours.
        let address = unsafe { libc::mmap(ptr::null_mut(), bytes, access, flags, -1, 0) };
        if address == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let address = NonNull::new(address.cast()).ok_or(io::ErrorKind::AddrNotAvailable)?;
        Ok(Self { address, bytes })
    }

    /// Cuts the mapping down to `bytes` (`HUGE_BYTES` fewer than it has), at an address that a huge page can have.
    fn aligned(self, bytes: usize) -> Self {
        debug_assert_eq!(self.bytes, bytes + HUGE_BYTES, "no room to align in");
        let front = self.address.align_offset(HUGE_BYTES);
        // SAFETY: an aligned address is less than `HUGE_BYTES` away, and that much is mapped beyond `bytes`.
        let address = unsafe { self.address.add(front) };
        // SAFETY: the end of `bytes` at that address is inside of the mapping or one past it.
        let end = unsafe { address.add(bytes) };
        let parts = [(self.address, front), (end, HUGE_BYTES - front)];
        self.leak();
        for (address, bytes) in parts {
            if bytes > 0 {
                drop(Self { address, bytes }); // whole pages, since the mapping begins at one
            }
        }
        Self { address, bytes }
    }

    /// True if the kernel took the advice.
    fn advise(&self, advice: libc::c_int) -> bool {
        if cfg!(miri) {
            return false; // the interpreter has no pages to advise on
        }
        // SAFETY: the range is ours, and the advice used here changes no contents.
        unsafe { libc::madvise(self.address.as_ptr().cast(), self.bytes, advice) == 0 }
    }

    /// Has the pages of a `MAP_HUGETLB` mapping handed over now. They are reserved already, but a control group
    /// may have too few of them: here that is an answer, at the first touch it would be a SIGBUS.
    fn populate(&self) -> bool {
        self.advise(libc::MADV_POPULATE_WRITE)
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the range is ours alone, and its owner drops it only when nobody has a pointer into it.
        let result = unsafe { libc::munmap(self.address.as_ptr().cast(), self.bytes) };
        debug_assert_eq!(result, 0, "munmap of a range that is mapped");
    }
}

/// False where the administrator turned them off: then the kernel takes the advice and does nothing.
fn transparent_huge_pages() -> bool {
    fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled")
        .is_ok_and(|modes| !modes.contains("[never]"))
}

const HUGE_BYTES: usize = 2 << 20;
