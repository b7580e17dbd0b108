//! Answers that are given where no shard is at hand: on another thread, or by letting go of the duty.

use super::ask::AskError;
use super::envelope::Envelope;
use super::outside::Outside;
use super::reply::Asker;
use crate::ring::parcel::Parcel;
use crate::sync::{Arc, AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// Where a shard finds such answers, to send them on. Not more than questions that it was asked.
#[derive(Clone)]
pub(crate) struct Late(Arc<Answers>);

struct Answers {
    /// Whether there are any; looked at every turn.
    something: AtomicBool,
    /// `None` once the shard has ended.
    mail: Mutex<Option<Vec<Envelope>>>,
    outside: Outside,
}

impl Late {
    /// None yet. `outside` wakes the shard.
    pub(crate) fn new(outside: Outside) -> Self {
        Self(Arc::new(Answers {
            something: AtomicBool::new(false),
            mail: Mutex::new(Some(Vec::new())),
            outside,
        }))
    }

    /// From any thread. After the shard's end it is dropped: nobody waits any more.
    pub(crate) fn answer(&self, asker: Asker, answer: Result<Parcel, AskError>) {
        let Answers { something, mail, outside } = &*self.0;
        match &mut *mail.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(mail) => mail.push(Envelope::answer(asker, answer)),
            None => return,
        }
        // AcqRel, after the push: whoever takes the flag down after this sees what was pushed, and if it was up
        // already, who put it up wakes the shard.
        if !something.swap(true, Ordering::AcqRel) {
            outside.wake();
        }
    }

    /// Whether there are any.
    pub(crate) fn is_set(&self) -> bool {
        self.0.something.load(Ordering::Relaxed)
    }

    /// Those since the last time.
    pub(crate) fn take(&self) -> Vec<Envelope> {
        if !(self.is_set() && self.0.something.swap(false, Ordering::AcqRel)) {
            return Vec::new(); // which takes no memory
        }
        let mut mail = self.0.mail.lock().unwrap_or_else(PoisonError::into_inner);
        mail.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// The shard ends: takes no more. Returns the rest.
    pub(crate) fn close(&self) -> Vec<Envelope> {
        self.0.mail.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default()
    }
}
