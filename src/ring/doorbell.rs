//! A doorbell: many ringers, one sleeper, no wake-up lost and none made for nothing.
//!
//! A wake-up is a system call, so a ringer makes it only while the sleeper sleeps, and of several ringers only
//! the first. The danger is the gap: the sleeper looks, finds nothing, and goes to sleep just as an item
//! arrives. The handshake closes it (Dekker's): each side first writes what the other reads, then a full
//! fence, then reads what the other wrote. Both cannot miss.
//!
//! | the sleeper | a ringer |
//! | --- | --- |
//! | [`Doorbell::arm`] | publish the item |
//! | look once more; found something: [`Doorbell::disarm`], go on | [`Doorbell::must_ring`] |
//! | sleep; when woken, for whatever reason: `disarm` | if true: make the wake-up call |
//!
//! ```
//! use corewire::ring::{doorbell::Doorbell, spsc};
//!
//! let (mut producer, mut consumer) = spsc::channel(2);
//! let bell = Doorbell::new();
//!
//! producer.push(1).unwrap();
//! producer.publish();
//! assert!(!bell.must_ring()); // awake: no call needed
//!
//! bell.arm();
//! assert_eq!(consumer.pop(), Some(1)); // looked once more: stay awake
//! assert!(bell.disarm()); // nobody rang
//!
//! bell.arm();
//! assert!(consumer.is_empty()); // now sleep
//! producer.push(2).unwrap();
//! producer.publish();
//! assert!(bell.must_ring()); // this one wakes the sleeper,
//! assert!(!bell.must_ring()); // and nobody else does
//! assert!(!bell.disarm()); // somebody rang: the wake-up is on its way
//! ```

use crate::sync::{AtomicBool, Ordering, fence};

/// Whether one sleeper wants to be woken.
pub struct Doorbell {
    armed: AtomicBool,
}

impl Doorbell {
    /// A bell whose sleeper is awake.
    pub fn new() -> Self {
        Self { armed: AtomicBool::new(false) }
    }

    /// The sleeper, before it looks for the last time. It must look after this and before it sleeps.
    #[inline]
    pub fn arm(&self) {
        self.armed.store(true, Ordering::Relaxed);
        // Pairs with the fence in `must_ring`: either our look finds the item, or its ringer finds us armed.
        fence(Ordering::SeqCst);
    }

    /// The sleeper, awake again. True if the bell was still armed: nobody rang, and nobody will. False: somebody
    /// makes, or made, the wake-up call, and what that ringer published before is visible now.
    #[inline]
    pub fn disarm(&self) -> bool {
        // A swap, not a store: a ringer that got there first must be told apart. Acquire: its items.
        self.armed.swap(false, Ordering::Acquire)
    }

    /// A ringer, after it published. True for exactly one of them each time the bell is armed: that one has
    /// to make the wake-up call.
    #[inline]
    pub fn must_ring(&self) -> bool {
        // Pairs with the fence in `arm`; also makes what we published visible to the `disarm` that finds us.
        fence(Ordering::SeqCst);
        // The load keeps the line shared between ringers while the sleeper is awake; the exchange picks the one. (No
        // swap: a late ringer's would write over a bell that is disarmed, which is harmless, but loom cannot tell.)
        self.armed.load(Ordering::Relaxed)
            && self.armed.compare_exchange(true, false, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

impl Default for Doorbell {
    fn default() -> Self {
        Self::new()
    }
}
