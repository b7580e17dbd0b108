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

mod doorbell;
#[expect(unsafe_code, reason = "blocks are made and freed by hand here, as a pool does it")]
mod home;
mod lane;
mod parcel;

/// Every schedule (within loom's limits on branches).
fn model(body: impl Fn() + Sync + Send + 'static) {
    loom::model(body);
}

/// Every schedule with up to `preemptions` switches that no thread asked for.
fn model_bounded(preemptions: usize, body: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(body);
}

/// Something whose drops are counted, and whose bytes loom watches.
struct Counted {
    bytes: loom::cell::UnsafeCell<u32>,
    drops: std::sync::Arc<std::sync::atomic::AtomicUsize>,
}

impl Counted {
    fn new(value: u32, drops: &std::sync::Arc<std::sync::atomic::AtomicUsize>) -> Self {
        Self { bytes: loom::cell::UnsafeCell::new(value), drops: drops.clone() }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.bytes.with_mut(|_| ()); // loom fails here if somebody's use of it did not happen before
        }
        self.drops.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }
}
