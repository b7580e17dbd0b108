//! How another thread tells a shard that an actor of its has something to look at.

use super::address::ActorId;
use crate::sync::{Arc, AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// Who should look, and a way to wake their shard. The lock is taken once a word from outside, never a message.
#[derive(Clone)]
pub(crate) struct Outside {
    said: Arc<Said>,
    wake: Arc<dyn Fn() + Send + Sync>,
}

#[derive(Default)]
struct Said {
    /// Whether `to` holds anything; looked at every turn.
    something: AtomicBool,
    to: Mutex<Vec<ActorId>>,
}

impl Outside {
    /// `wake` ends the shard's sleep, or its next one, from any thread.
    pub(crate) fn new(wake: impl Fn() + Send + Sync + 'static) -> Self {
        Self { said: Arc::default(), wake: Arc::new(wake) }
    }

    /// From another thread: what was done before this is seen by `to`.
    pub(crate) fn tell(&self, to: ActorId) {
        self.said.to.lock().unwrap_or_else(PoisonError::into_inner).push(to);
        self.said.something.store(true, Ordering::Release);
        (self.wake)();
    }

    /// Ends the shard's sleep, or its next one.
    pub(crate) fn wake(&self) {
        (self.wake)();
    }

    /// Whether something was said.
    pub(crate) fn is_set(&self) -> bool {
        self.said.something.load(Ordering::Relaxed)
    }

    /// To whom something was said since the last time.
    pub(crate) fn take(&self) -> Vec<ActorId> {
        if !(self.is_set() && self.said.something.swap(false, Ordering::Acquire)) {
            return Vec::new(); // which takes no memory
        }
        std::mem::take(&mut self.said.to.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
