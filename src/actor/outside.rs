//! How another thread tells a shard that there is something to look at.

use crate::sync::{Arc, AtomicBool, Ordering};

/// A flag, and a way to wake whoever should see it.
#[derive(Clone)]
pub(crate) struct Outside {
    said: Arc<AtomicBool>,
    wake: Arc<dyn Fn() + Send + Sync>,
}

impl Outside {
    /// `wake` ends the shard's sleep, or its next one, from any thread.
    pub(crate) fn new(wake: impl Fn() + Send + Sync + 'static) -> Self {
        Self { said: Arc::default(), wake: Arc::new(wake) }
    }

    /// From another thread: what was done before this is seen.
    pub(crate) fn tell(&self) {
        self.said.store(true, Ordering::Release);
        (self.wake)();
    }

    /// Whether something was said; asked every turn.
    pub(crate) fn is_set(&self) -> bool {
        self.said.load(Ordering::Relaxed)
    }

    /// Whether something was said since the last time.
    pub(crate) fn take(&self) -> bool {
        self.is_set() && self.said.swap(false, Ordering::Acquire)
    }
}
