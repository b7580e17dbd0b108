//! What a ring does for a shard that sleeps elsewhere: it rings a bell when something completes.

use super::UringDriver;
use crate::shard::Time;
use crate::shard::driver::Driver;
use crate::shard::uring::Waker;
use crate::sync::{Ordering, fence};
use std::io;
use std::os::fd::AsRawFd;
use std::time::Duration;

impl UringDriver {
    /// The bell that other threads ring.
    pub(in crate::shard::uring) fn waker(&self) -> &Waker {
        &self.peers.wakers[usize::from(self.me.0)]
    }

    /// Gives the ring a bell, which it rings between [`Self::doze`] and [`Self::wake_up`].
    pub(in crate::shard::uring) fn give_bell(&mut self, bell: &Waker) -> io::Result<()> {
        self.ring.completion().disable_eventfd();
        self.ring.submitter().register_eventfd(bell.0.as_raw_fd())
    }

    /// Takes the bell away again, so that completions cost what they did.
    pub(in crate::shard::uring) fn take_bell(&mut self) {
        let _ = self.ring.submitter().unregister_eventfd(); // a bell that stays is not rung
    }

    /// Whether this turn's enter leaves something to be done, so that no sleep may follow.
    pub(in crate::shard::uring) fn leaves_work(&self) -> bool {
        self.settles()
    }

    /// About to sleep elsewhere: what completes from now on rings the bell. How long it may sleep; None, with the bell silent, if
    /// something has completed already.
    ///
    /// Both bells must have been cleared before, and the shard's own found silent: whoever rings that from then on is heard by glommio.
    pub(in crate::shard::uring) fn doze(&mut self, until: Time) -> Option<Duration> {
        self.ring.completion().enable_eventfd();
        // Pairs with the kernel, which queues what has completed and then looks whether the bell is to be rung: either that finds it
        // on, or this call finds what was queued.
        fence(Ordering::SeqCst);
        self.get_events();
        self.harvest();
        if self.has_completions() {
            self.ring.completion().disable_eventfd();
            return None;
        }
        Some(self.at_latest(until).since(Time::ZERO + self.epoch.elapsed()))
    }

    /// Awake again.
    pub(in crate::shard::uring) fn wake_up(&mut self) {
        self.ring.completion().disable_eventfd();
        self.get_events();
        self.harvest();
        self.now = Time::ZERO + self.epoch.elapsed();
    }
}
