//! `src/ring` under loom.

/// The twin of `src/sync.rs`: the same names, loom's types.
mod sync {
    pub(crate) use loom::cell::UnsafeCell;
    pub(crate) use loom::sync::Arc;
    pub(crate) use loom::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicUsize, Ordering, fence};
}

#[expect(unsafe_code, reason = "mounted from the library, where the reason stands")]
#[path = "../src/ring/mod.rs"]
pub mod ring;

mod lane;
