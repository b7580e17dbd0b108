//! Promises of `buf`.

#![expect(unsafe_code, reason = "the tests play the kernel that writes into receive blocks")]

mod home;
mod limits;
#[cfg(not(miri))] // looks at /proc, and at pages
mod memory;
mod ranges;

use corewire::buf::{Buf, Pool, PoolConfig, ReceiveBlock};

fn pool(config: PoolConfig) -> Pool {
    Pool::new(&config).expect("memory for a test")
}

/// What the kernel does: writes `bytes` behind what is there, and says so.
fn receive(block: &mut ReceiveBlock, bytes: &[u8]) -> Buf {
    let start = block.filled();
    assert!(bytes.len() <= block.len() - start, "the kernel stays inside");
    // SAFETY: inside of the block (just asserted).
    let to = unsafe { block.as_mut_ptr().add(start) };
    // SAFETY: that much room is there, and no buffer covers it yet.
    unsafe { to.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    // SAFETY: just written, and never again.
    unsafe { block.carve(start, bytes.len()) }
}

#[track_caller]
fn check_all_home(pool: &mut Pool) {
    pool.reclaim();
    let stats = pool.stats();
    assert_eq!((stats.blocks_out(), stats.outbound_bytes_out), (0, 0), "not home: {stats:?}");
}
