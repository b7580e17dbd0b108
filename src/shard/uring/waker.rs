//! Waking a shard: from any thread by its eventfd, from another shard by its ring, and on its own thread, while it sleeps in
//! glommio, without the kernel.

use crate::sync::Arc;
use std::cell::RefCell;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::OnceLock;
use std::task;

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
        if !self.is_resting_here() {
            self.ring();
        }
    }

    /// Wakes who waits for the eventfd, now or next.
    pub(super) fn ring(&self) {
        let one = 1u64.to_ne_bytes();
        // SAFETY: writes 8 bytes from a live array to a descriptor that `self` keeps open.
        unsafe { libc::write(self.0.as_raw_fd(), one.as_ptr().cast(), one.len()) };
    }

    /// Who waits for the eventfd from now on waits for the next ring. Whether it has rung since the last time.
    pub(super) fn clear(&self) -> bool {
        let mut rings = [0; 8];
        // SAFETY: reads 8 bytes into a live array from a descriptor that `self` keeps open, and does not block.
        unsafe { libc::read(self.0.as_raw_fd(), rings.as_mut_ptr().cast(), rings.len()) > 0 }
    }

    /// If its shard is this thread's and sleeps in glommio, who woke it runs there, and glommio runs the shard next.
    fn is_resting_here(&self) -> bool {
        let is_here = RESTING.try_with(|resting| match &*resting.borrow() {
            Some((fd, shard)) if *fd == self.0.as_raw_fd() => {
                shard.wake_by_ref();
                true
            }
            _ => false,
        });
        is_here.unwrap_or(false)
    }

    /// Its shard is this thread's and sleeps in glommio, which runs it again by `shard`; or does not, any more.
    pub(super) fn rests(&self, shard: Option<task::Waker>) {
        RESTING.set(shard.map(|shard| (self.0.as_raw_fd(), shard)));
    }
}

thread_local! {
    /// The shard of this thread that sleeps in glommio: its eventfd, and its glommio task.
    static RESTING: RefCell<Option<(RawFd, task::Waker)>> = const { RefCell::new(None) };
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
