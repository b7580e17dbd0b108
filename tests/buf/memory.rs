//! Memory: aligned, in the pages that it says, and not there before it is used.

use super::pool;
use corewire::buf::{Pages, PoolConfig};
use std::fs;

#[test]
fn blocks_are_aligned_to_their_size_or_a_page() {
    let mut pool = pool(PoolConfig::default());
    for shift in 6..=22 {
        let held: Vec<_> = (0..3).map(|_| pool.take(1 << shift).unwrap()).collect();
        for buf in &held {
            assert_eq!(buf.as_ptr() as usize % (1 << shift).min(4096), 0, "block of {} bytes", 1 << shift);
        }
    }
    let blocks: Vec<_> = std::iter::from_fn(|| pool.take_receive()).collect();
    assert_eq!(blocks.len(), 16);
    for mut block in blocks {
        assert_eq!(block.as_mut_ptr() as usize % 4096, 0);
    }
}

/// The kernel's own view of the mapping (`VmFlags`: `ht` huge TLB, `hg` huge page advice) must agree with ours.
#[test]
fn the_pages_are_what_the_pool_says() {
    for huge_pages in [false, true] {
        let mut pool = pool(PoolConfig { huge_pages, ..PoolConfig::default() });
        let address = pool.take_receive().unwrap().as_mut_ptr() as usize;
        let flags = flags_of(address).unwrap();
        let has = |flag: &str| flags.split(' ').any(|f| f == flag);
        let seen = match (has("ht"), has("hg")) {
            (true, _) => Pages::HugeTlb,
            (false, true) => Pages::Transparent,
            (false, false) => Pages::Ordinary,
        };
        assert_eq!(pool.pages(), seen, "huge pages asked for: {huge_pages}; flags: {flags}");
        assert!(huge_pages || seen == Pages::Ordinary, "not asked for");
    }
}

#[test]
fn memory_is_not_touched_before_it_is_used() {
    let blocks = 1000;
    let mut pool = pool(PoolConfig { receive_blocks: blocks, ..PoolConfig::default() });
    let mut first = pool.take_receive().unwrap();
    let address = first.as_mut_ptr();
    let bytes = blocks as usize * first.len();
    assert_eq!(resident_pages(address, bytes), 0);
    // SAFETY: the block is ours.
    unsafe { address.write(1) };
    assert_eq!(resident_pages(address, bytes), 1);
    let large = pool.take(32 << 20).unwrap();
    assert_eq!(resident_pages(large.as_ptr().cast_mut(), 32 << 20), 0);
}

fn resident_pages(address: *mut u8, bytes: usize) -> usize {
    let mut pages = vec![0u8; bytes.div_ceil(4096)];
    // SAFETY: a byte for each page of the range; the call changes nothing else.
    let result = unsafe { libc::mincore(address.cast(), bytes, pages.as_mut_ptr()) };
    assert_eq!(result, 0, "the range is mapped");
    pages.iter().filter(|&&page| page & 1 == 1).count()
}

/// What the kernel says about the mapping that `address` is in.
fn flags_of(address: usize) -> Option<String> {
    let smaps = fs::read_to_string("/proc/self/smaps").unwrap();
    let mut lines = smaps.lines();
    lines.by_ref().find(|line| {
        let range = line.split(' ').next().and_then(|range| range.split_once('-'));
        let range = range.map(|(from, to)| (usize::from_str_radix(from, 16), usize::from_str_radix(to, 16)));
        matches!(range, Some((Ok(from), Ok(to))) if (from..to).contains(&address))
    })?;
    lines.find_map(|line| line.strip_prefix("VmFlags: ")).map(str::to_owned)
}
