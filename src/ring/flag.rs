//! A flag at a box that many fill and one empties, with a bell for when that one sleeps.
//!
//! What is in the box is not its business; it may have a lock of its own. The flag says whether it is worth taking that
//! lock, at the price of one load, and which of those who fill it has to make the wake-up call.
//!
//! | the owner | who puts something in |
//! | --- | --- |
//! | [`Flag::lower`]; if true: empty the box | fill, then [`Flag::raise`] |
//! | about to sleep: [`Flag::arm`], then look once more: [`Flag::is_raised`] | if that was true: make the wake-up call |
//! | awake: [`Flag::disarm`] | |
//!
//! ```
//! use corewire::ring::flag::Flag;
//!
//! let flag = Flag::new();
//! assert!(!flag.lower()); // nobody was here
//! assert!(!flag.raise()); // the owner is awake: no call needed
//! assert!(flag.lower() && !flag.lower());
//!
//! flag.arm();
//! assert!(!flag.is_raised()); // now sleep
//! assert!(flag.raise()); // this one wakes the owner,
//! assert!(!flag.raise()); // and nobody else does
//! assert!(!flag.disarm()); // somebody rang
//! assert!(flag.lower());
//! ```

use super::doorbell::Doorbell;
use crate::sync::{AtomicBool, Ordering};

/// Whether there is something in a box, and whether its owner sleeps.
#[derive(Default)]
pub struct Flag {
    raised: AtomicBool,
    bell: Doorbell,
}

impl Flag {
    /// Down, and its owner awake.
    pub fn new() -> Self {
        Self { raised: AtomicBool::new(false), bell: Doorbell::new() }
    }

    /// From any thread, after it has filled the box. True: it has to make the wake-up call.
    pub fn raise(&self) -> bool {
        // Pairs with the swap in `lower`. A swap, not a store: who lowers it must see what all before us put in, too,
        // and a store would end the release sequence of theirs.
        self.raised.swap(true, Ordering::Release);
        self.bell.must_ring()
    }

    /// The owner: whether somebody was here. Says nothing yet about what is in the box.
    #[inline]
    pub fn is_raised(&self) -> bool {
        self.raised.load(Ordering::Relaxed)
    }

    /// The owner, before it looks into the box. True if somebody was here: what that one put in is visible now. Whoever
    /// comes after this raises it again.
    #[inline]
    pub fn lower(&self) -> bool {
        self.is_raised() && self.raised.swap(false, Ordering::Acquire)
    }

    /// The owner, before it looks at the flag for the last time and sleeps.
    pub fn arm(&self) {
        self.bell.arm();
    }

    /// The owner, awake again. False: somebody makes, or made, the wake-up call.
    pub fn disarm(&self) -> bool {
        self.bell.disarm()
    }
}
