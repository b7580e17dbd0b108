//! A bounded lane: one producer, one consumer, fixed slots, no lock, no allocation after the start.
//!
//! The producer *stages* items and makes them visible together with one store ([`Producer::publish`]); the
//! consumer takes a batch and gives the slots back with one store ([`Drain`]). Each side keeps a copy of the
//! other's index and looks again only when that copy says full or empty, so the two cache lines that both
//! cores touch move once a batch instead of once an item.
//!
//! Indices only grow (and wrap at the end of `usize`); a slot is found by mask. Slots `head..tail` belong to the
//! consumer, all others to the producer.
//!
//! ```
//! use corewire::ring::spsc::{self, PushError};
//!
//! let (mut producer, mut consumer) = spsc::channel(2);
//! producer.push("hello").unwrap();
//! producer.push("world").unwrap();
//! assert_eq!(producer.push("!"), Err(PushError::Full("!"))); // full is an answer
//! assert!(consumer.is_empty()); // staged is not yet visible
//! assert!(producer.publish());
//! assert_eq!(consumer.drain(16).collect::<Vec<_>>(), ["hello", "world"]);
//! drop(producer);
//! assert!(consumer.is_closed());
//! ```

use crate::sync::{Arc, AtomicBool, AtomicUsize, Ordering, UnsafeCell};
use std::fmt;
use std::mem::MaybeUninit;

/// A lane of at least `slots` items: rounded up to a power of two, at least 2.
///
/// # Panics
/// Over 2³¹ slots.
pub fn channel<T>(slots: usize) -> (Producer<T>, Consumer<T>) {
    assert!(slots <= SLOTS_MAX, "a lane of {slots} slots");
    let slots = slots.max(2).next_power_of_two();
    let lane = Arc::new(Lane {
        slots: (0..slots).map(|_| UnsafeCell::new(MaybeUninit::uninit())).collect(),
        producer_gone: AtomicBool::new(false),
        consumer_gone: AtomicBool::new(false),
        tail: Line(AtomicUsize::new(0)),
        head: Line(AtomicUsize::new(0)),
    });
    let producer = Producer { lane: lane.clone(), staged: 0, published: 0, head_seen: 0 };
    (producer, Consumer { lane, head: 0 })
}

/// The sending end. Dropping it publishes what is staged and then closes the lane.
pub struct Producer<T> {
    lane: Arc<Lane<T>>,
    /// Where the next item goes.
    staged: usize,
    /// The tail that the consumer can see; `published..staged` is written but not visible.
    published: usize,
    /// The consumer's head when we last looked. Never ahead of the real one.
    head_seen: usize,
}

impl<T> Producer<T> {
    /// Writes `item` into the next slot. The consumer sees it after [`Self::publish`].
    ///
    /// # Errors
    /// The item comes back when the lane is full, or when nobody is there to take it.
    #[inline]
    pub fn push(&mut self, item: T) -> Result<(), PushError<T>> {
        if self.is_closed() {
            return Err(PushError::Closed(item));
        }
        if self.room_seen() == 0 && self.room() == 0 {
            return Err(PushError::Full(item));
        }
        self.lane.slot(self.staged).with_mut(|slot| {
            // SAFETY: `staged` is less than a lane's length ahead of `head_seen`, which was loaded with Acquire
            // and is never ahead of the consumer's head: so the consumer has moved this slot's last item out
            // and will not look here again before a tail beyond `staged` is published. `&mut self` and there
            // being one `Producer` a lane make us the only writer. The slot is empty: nothing to drop.
            unsafe { slot.cast::<T>().write(item) };
        });
        self.staged = self.staged.wrapping_add(1);
        Ok(())
    }

    /// Makes everything staged visible with one store. True if there was anything: ring the doorbell then.
    #[inline]
    pub fn publish(&mut self) -> bool {
        if self.staged == self.published {
            return false;
        }
        // Release: the items' bytes are there before the index says so.
        self.lane.tail.0.store(self.staged, Ordering::Release);
        self.published = self.staged;
        true
    }

    /// Free slots now, after a fresh look at the consumer's side. Only grows until the next push.
    #[inline]
    pub fn room(&mut self) -> usize {
        // Acquire: the consumer has moved the items out of these slots before we write there.
        self.head_seen = self.lane.head.0.load(Ordering::Acquire);
        self.room_seen()
    }

    /// True once the consumer is gone. What is pushed later is dropped with the lane.
    #[inline]
    pub fn is_closed(&self) -> bool {
        // Relaxed: nothing is read on the strength of it, and seeing it late is as good as pushing early.
        self.lane.consumer_gone.load(Ordering::Relaxed)
    }

    fn room_seen(&self) -> usize {
        self.lane.slots.len() - self.staged.wrapping_sub(self.head_seen)
    }
}

impl<T> Drop for Producer<T> {
    fn drop(&mut self) {
        self.publish();
        // Release, after the publish: who sees the lane closed also sees the last item.
        self.lane.producer_gone.store(true, Ordering::Release);
    }
}

/// The receiving end. Dropping it drops what is visible and makes pushes fail.
pub struct Consumer<T> {
    lane: Arc<Lane<T>>,
    /// The next item to take. Ahead of the lane's head only while a [`Drain`] lives (or was forgotten).
    head: usize,
}

impl<T> Consumer<T> {
    /// Takes up to `max` of the items that are visible now, in order. One look at the producer's side here, one
    /// store when the iterator is dropped; items that it was not asked for stay in the lane.
    #[inline]
    pub fn drain(&mut self, max: usize) -> Drain<'_, T> {
        let visible = self.tail().wrapping_sub(self.head);
        Drain { left: visible.min(max), taken: false, consumer: self }
    }

    /// The next item, if one is visible. In a loop, [`Self::drain`] is cheaper.
    #[inline]
    pub fn pop(&mut self) -> Option<T> {
        self.drain(1).next()
    }

    /// True if nothing is visible now.
    #[inline]
    pub fn is_empty(&mut self) -> bool {
        self.tail() == self.head
    }

    /// True once the producer is gone and nothing is left: nothing will ever come.
    pub fn is_closed(&self) -> bool {
        // This order: the producer's last publish came before its flag, so a tail read after it is final.
        self.lane.producer_gone.load(Ordering::Acquire) && self.tail() == self.head
    }

    fn tail(&self) -> usize {
        // Acquire: the items' bytes are there once the index says so.
        self.lane.tail.0.load(Ordering::Acquire)
    }
}

impl<T> Drop for Consumer<T> {
    fn drop(&mut self) {
        self.lane.consumer_gone.store(true, Ordering::Relaxed);
        // Now rather than with the lane: the items may hold blocks, and the producer may live long.
        self.drain(usize::MAX).for_each(drop);
    }
}

/// Items on their way out of a lane; see [`Consumer::drain`].
pub struct Drain<'a, T> {
    consumer: &'a mut Consumer<T>,
    left: usize,
    taken: bool,
}

impl<T> Drain<'_, T> {
    /// The next item, to look at where it lies. Through a `&mut`: a `&Drain` may be another thread's, and items need not be `Sync`.
    ///
    /// ```compile_fail
    /// let (_, mut consumer) = corewire::ring::spsc::channel::<u8>(2);
    /// let drain = consumer.drain(1);
    /// drain.peek();
    /// ```
    #[inline]
    pub fn peek(&mut self) -> Option<&T> {
        if self.left == 0 {
            return None;
        }
        self.consumer.lane.slot(self.consumer.head).with(|slot| {
            // SAFETY: as in `next`, which has not read it yet: that moves `head`, and needs `&mut self`, which only
            // the reader of what is returned has.
            Some(unsafe { &*slot.cast::<T>() })
        })
    }
}

impl<T> Iterator for Drain<'_, T> {
    type Item = T;

    #[inline]
    fn next(&mut self) -> Option<T> {
        self.left = self.left.checked_sub(1)?;
        let index = self.consumer.head;
        // Before the read: whatever happens to the item, nobody reads this slot a second time.
        self.consumer.head = index.wrapping_add(1);
        self.taken = true;
        Some(self.consumer.lane.slot(index).with(|slot| {
            // SAFETY: `index` is below the tail that `drain` loaded with Acquire, so the producer's write
            // happened before, and it does not touch this slot again until our head, published in `Drop`, is
            // beyond it. We read it once: `head` only grows, and `&mut Consumer` makes us the only reader.
            unsafe { slot.cast::<T>().read() }
        }))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<T> ExactSizeIterator for Drain<'_, T> {}

impl<T> Drop for Drain<'_, T> {
    /// Also on a panic between two items: what was taken is taken, the rest stays.
    #[inline]
    fn drop(&mut self) {
        if self.taken {
            // Release: the items are out before the producer may write over them.
            self.consumer.lane.head.0.store(self.consumer.head, Ordering::Release);
        }
    }
}

/// Why an item was not taken; it comes back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum PushError<T> {
    /// No slot is free. Try again after the consumer's next turn, or shed.
    Full(T),
    /// The consumer is gone for good.
    Closed(T),
}

impl<T> PushError<T> {
    /// The item that was not taken.
    pub fn into_inner(self) -> T {
        match self {
            Self::Full(item) | Self::Closed(item) => item,
        }
    }
}

impl<T> fmt::Debug for PushError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "Full(..)",
            Self::Closed(_) => "Closed(..)",
        })
    }
}

impl<T> fmt::Display for PushError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "the lane is full",
            Self::Closed(_) => "the lane is closed",
        })
    }
}

impl<T> std::error::Error for PushError<T> {}

/// What both ends share. Flags are read by both and written once, so they stand with the slots' address; each
/// index has cache lines of its own.
struct Lane<T> {
    slots: Box<[UnsafeCell<MaybeUninit<T>>]>,
    producer_gone: AtomicBool,
    consumer_gone: AtomicBool,
    tail: Line<AtomicUsize>,
    head: Line<AtomicUsize>,
}

/// Two cache lines: processors fetch them in pairs.
#[repr(align(128))]
struct Line<T>(T);

const SLOTS_MAX: usize = 1 << 31;

// SAFETY: the cells are reached only through `Producer` and `Consumer`, of which there is one each; the indices
// give every slot to exactly one of them at a time. What crosses threads are the items, hence `T: Send`; no
// `&T` is ever seen by two threads.
unsafe impl<T: Send> Sync for Lane<T> {}

impl<T> Lane<T> {
    #[inline]
    fn slot(&self, index: usize) -> &UnsafeCell<MaybeUninit<T>> {
        &self.slots[index & (self.slots.len() - 1)]
    }
}

impl<T> Drop for Lane<T> {
    fn drop(&mut self) {
        // Relaxed: both ends are gone, and their last use of the `Arc` happened before this.
        let (head, tail) = (self.head.0.load(Ordering::Relaxed), self.tail.0.load(Ordering::Relaxed));
        for offset in 0..tail.wrapping_sub(head) {
            self.slot(head.wrapping_add(offset)).with_mut(|slot| {
                // SAFETY: both ends stored their index when they were dropped, so `head..tail` is exactly what
                // was published and never taken; each of these slots holds an item, and we visit it once.
                unsafe { slot.cast::<T>().drop_in_place() };
            });
        }
    }
}
