//! What other threads say to one shard: one bounded box, and a flag that wakes its owner.
//!
//! A lock is taken once a word, and once a turn if there are words; never for a message between shards. Closed and full
//! are decided under it, so that nothing is left in the box of a shard that has ended.

use super::address::{ActorId, Refused};
use super::ask::AskError;
use super::envelope::Envelope;
use super::local::Local;
use super::reply::Asker;
use crate::ring::flag::Flag;
use crate::ring::parcel::Parcel;
use crate::sync::Arc;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A shard's ear for other threads.
#[derive(Clone)]
pub(crate) struct Calls(Arc<Inner>);

struct Inner {
    flag: Flag,
    said: Mutex<Said>,
    /// How many words may wait.
    slots: usize,
    /// Ends the shard's sleep, or its next one, from any thread.
    wake: Box<dyn Fn() + Send + Sync>,
    /// In the simulator: arranges that [`Calls::land`] is called, at a moment that chance decides.
    later: Option<Box<dyn Fn() + Send + Sync>>,
}

/// What waits in the box.
#[derive(Default)]
struct Said {
    pokes: Vec<ActorId>,
    /// Tasks that were woken, each once.
    woken: Vec<u32>,
    is_woken: Vec<bool>,
    words: VecDeque<Word>,
    /// Answers that were given where no shard is at hand; not more than questions that this shard was asked.
    answers: Vec<Envelope>,
    closed: bool,
}

/// Something for the shard to do.
pub(crate) enum Word {
    /// A message for an actor of its.
    Mail(Envelope),
    /// Something that only the shard itself can do.
    Errand(Box<dyn FnOnce(&mut Local) + Send>),
}

/// What a shard has heard, in lists that are used again.
#[derive(Default)]
pub(crate) struct Heard {
    pub(crate) pokes: Vec<ActorId>,
    pub(crate) woken: Vec<u32>,
    pub(crate) words: Vec<Word>,
    pub(crate) answers: Vec<Envelope>,
}

impl Calls {
    /// Room for `slots` words. `wake` ends the shard's sleep, or its next one, from any thread.
    pub(crate) fn new(slots: u32, wake: impl Fn() + Send + Sync + 'static) -> Self {
        Self::build(slots, Box::new(wake), None)
    }

    /// As [`Self::new`]; but what is said is heard only after [`Self::land`], which `later` is asked to see to.
    pub(crate) fn delayed(
        slots: u32,
        wake: impl Fn() + Send + Sync + 'static,
        later: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        Self::build(slots, Box::new(wake), Some(Box::new(later)))
    }

    fn build(
        slots: u32,
        wake: Box<dyn Fn() + Send + Sync>,
        later: Option<Box<dyn Fn() + Send + Sync>>,
    ) -> Self {
        let inner = Inner { flag: Flag::new(), said: Mutex::default(), slots: slots as usize, wake, later };
        Self(Arc::new(inner))
    }

    // ---- any thread ----

    /// What was done before this is seen by the actor `to`, which is asked to look.
    pub(crate) fn poke(&self, to: ActorId) {
        let mut said = self.said();
        if said.closed {
            return;
        }
        said.pokes.push(to);
        drop(said);
        self.call();
    }

    /// The task of this number may go on. Said twice before it is heard, it is heard once.
    pub(crate) fn wake_task(&self, task: u32) {
        let mut said = self.said();
        let index = task as usize;
        if said.is_woken.len() <= index {
            said.is_woken.resize(index + 1, false);
        }
        if said.closed || std::mem::replace(&mut said.is_woken[index], true) {
            return;
        }
        said.woken.push(task);
        drop(said);
        self.call();
    }

    /// Leaves a word, which is made if there is room for it. From one thread they are heard in order.
    pub(crate) fn say(&self, word: impl FnOnce() -> Word) -> Result<(), Refused> {
        let mut said = self.said();
        if said.closed {
            return Err(Refused::Gone);
        }
        if said.words.len() >= self.0.slots {
            return Err(Refused::Full);
        }
        said.words.push_back(word());
        drop(said);
        self.call();
        Ok(())
    }

    /// Answers a question that this shard was asked. After its end the answer is dropped: nobody waits any more.
    pub(crate) fn answer(&self, asker: Asker, answer: Result<Parcel, AskError>) {
        let mut said = self.said();
        if said.closed {
            return;
        }
        said.answers.push(Envelope::answer(asker, answer));
        drop(said);
        self.call();
    }

    fn call(&self) {
        match &self.0.later {
            None => self.land(),
            Some(later) => later(),
        }
    }

    /// What was said is there to be heard.
    pub(crate) fn land(&self) {
        if self.0.flag.raise() {
            (self.0.wake)();
        }
    }

    fn said(&self) -> MutexGuard<'_, Said> {
        self.0.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // ---- its shard ----

    /// Whether something may have been said: one load.
    #[inline]
    pub(crate) fn is_raised(&self) -> bool {
        self.0.flag.is_raised()
    }

    /// Takes what was said, words up to `max` of them.
    pub(crate) fn hear(&self, max: usize, heard: &mut Heard) {
        if !self.0.flag.lower() {
            return;
        }
        let said = &mut *self.said();
        std::mem::swap(&mut said.pokes, &mut heard.pokes);
        std::mem::swap(&mut said.woken, &mut heard.woken);
        std::mem::swap(&mut said.answers, &mut heard.answers);
        for &task in &heard.woken {
            said.is_woken[task as usize] = false;
        }
        let words = said.words.len().min(max);
        heard.words.extend(said.words.drain(..words));
        if !said.words.is_empty() {
            self.0.flag.raise(); // the rest the next turn; its owner is awake
        }
    }

    /// About to sleep. Ask [`Self::is_raised`] after it.
    pub(crate) fn arm(&self) {
        self.0.flag.arm();
    }

    /// Awake again. False: somebody makes, or made, the wake-up call.
    pub(crate) fn disarm(&self) -> bool {
        self.0.flag.disarm()
    }

    /// The shard has ended and hears nothing any more. Gives what was said in vain, to be dropped without the lock.
    pub(crate) fn close(&self) -> impl Sized + use<> {
        std::mem::replace(&mut *self.said(), Said { closed: true, ..Said::default() })
    }
}
