//! Waking a shard: from any thread by its eventfd, from another shard by its ring.

use crate::sync::Arc;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::OnceLock;

/// Wakes one shard from any thread.
///
/// ```
/// let waker = corewire::shard::uring::Waker::new()?;
/// waker.clone().wake(); // seen by the shard that was built with it
/// # std::io::Result::Ok(())
/// ```
#[derive(Debug, Clone)]
pub struct Waker(pub(super) Arc<OwnedFd>);

impl Waker {
    /// A new eventfd.
    ///
    /// # Errors
    /// The process is out of descriptors or memory.
    pub fn new() -> io::Result<Self> {
        // SAFETY: eventfd takes no pointers.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the call just made this descriptor and nobody else has it.
        Ok(Self(Arc::new(unsafe { OwnedFd::from_raw_fd(fd) })))
    }

    /// Ends the shard's sleep, or its next one. Does not block and cannot fail: a full counter wakes as well.
    pub fn wake(&self) {
        let one = 1u64.to_ne_bytes();
        // SAFETY: writes 8 bytes from a live array to a descriptor that `self` keeps open.
        unsafe { libc::write(self.0.as_raw_fd(), one.as_ptr().cast(), one.len()) };
    }
}

/// What the shards of a process know of each other's rings.
#[derive(Debug)]
pub struct Peers {
    /// Set once by each shard, before any shard serves.
    pub(super) rings: Box<[OnceLock<RawFd>]>,
    pub(super) wakers: Box<[Waker]>,
}

impl Peers {
    /// For as many shards as there are wakers.
    pub fn new(wakers: Vec<Waker>) -> Arc<Self> {
        let rings = wakers.iter().map(|_| OnceLock::new()).collect();
        Arc::new(Self { rings, wakers: wakers.into() })
    }
}
