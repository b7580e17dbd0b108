//! The only door to atomics, `Arc` and `UnsafeCell`.
//!
//! `loom-tests` mounts `src/ring` under a twin of this module with loom's types, so what is
//! model-checked is the code that runs.

pub use std::sync::Arc;
pub use std::sync::atomic::{
    AtomicBool, AtomicPtr, AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
};

/// `std::cell::UnsafeCell` behind loom's interface: access by closure, so that loom can watch it.
#[derive(Debug, Default)]
pub struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

impl<T> UnsafeCell<T> {
    /// A cell that holds `value`.
    pub const fn new(value: T) -> Self {
        Self(std::cell::UnsafeCell::new(value))
    }

    /// Shared access to the inside. What may be done through the pointer is the caller's to prove.
    #[inline(always)]
    pub fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
        f(self.0.get())
    }

    /// Exclusive access to the inside. What may be done through the pointer is the caller's to prove.
    #[inline(always)]
    pub fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        f(self.0.get())
    }
}
