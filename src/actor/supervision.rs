//! Supervision: an actor that has started others as its children is told nothing when they fail. They are made anew.

use super::cell::{Cell, Plain};
use super::{Actor, ActorId, Address, Context, Reason, SpawnError};
use std::time::Duration;

/// What is done when a child fails, and how often: [`Actor::SUPERVISION`].
///
/// ```
/// use corewire::actor::{Restart, Supervision};
/// use corewire::prelude::*;
/// use std::time::Duration;
///
/// struct Cache;
/// impl Actor for Cache {}
///
/// struct Store;
/// impl Actor for Store {
///     const SUPERVISION: Supervision = Supervision::ONE_FOR_ONE
///         .restarts(10, Duration::from_secs(60))
///         .back_off(Duration::from_millis(50), Duration::from_secs(5));
///
///     fn started(&mut self, cx: &mut Context<Self>) {
///         // Its address stays good, however often it is made anew.
///         let cache = cx.spawn_child(Restart::Always, || Cache);
///         println!("{cache:?}");
///     }
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Supervision {
    pub(crate) strategy: Strategy,
    pub(crate) restarts_max: u32,
    pub(crate) window: Duration,
    pub(crate) back_off_min: Duration,
    pub(crate) back_off_max: Duration,
}

/// Who is made anew besides the child that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Strategy {
    OneForOne,
    OneForAll,
    RestForOne,
}

impl Supervision {
    /// The child that failed is made anew, and nobody else. What is done if nothing is said: three restarts in five
    /// seconds, each after 10 ms, 20 ms and so on up to a second.
    pub const ONE_FOR_ONE: Self = Self {
        strategy: Strategy::OneForOne,
        restarts_max: 3,
        window: Duration::from_secs(5),
        back_off_min: Duration::from_millis(10),
        back_off_max: Duration::from_secs(1),
    };

    /// All children end, the last that was started first, and are made anew in the order in which they were started.
    pub const ONE_FOR_ALL: Self = Self { strategy: Strategy::OneForAll, ..Self::ONE_FOR_ONE };

    /// As [`Self::ONE_FOR_ALL`], but only with those that were started after the child that failed.
    pub const REST_FOR_ONE: Self = Self { strategy: Strategy::RestForOne, ..Self::ONE_FOR_ONE };

    /// So many restarts in any time of this length, of all children together. When one more is due, the supervisor has
    /// failed itself, with [`Reason::Escalated`].
    #[must_use]
    pub const fn restarts(mut self, max: u32, window: Duration) -> Self {
        self.restarts_max = max;
        self.window = window;
        self
    }

    /// A child is made anew after `min`, and after twice the last pause when it has not held for the length of the
    /// window, up to `max`. A millisecond is the least.
    #[must_use]
    pub const fn back_off(mut self, min: Duration, max: Duration) -> Self {
        self.back_off_min = min;
        self.back_off_max = max;
        self
    }

    /// The pause before the next restart, after so many in a row.
    pub(crate) fn pause(&self, in_a_row: u32) -> Duration {
        let pause = self.back_off_min.saturating_mul(1 << in_a_row.min(24));
        pause.min(self.back_off_max).max(self.back_off_min).max(Duration::from_millis(1))
    }
}

/// When a child is made anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restart {
    /// Whenever it has ended, also when it wanted to. Its mail then waits for the next: it is not asked
    /// [`Actor::stopping`].
    Always,
    /// When it has failed ([`Reason::is_failure`]).
    OnFailure,
    /// Never: it ends, and nobody minds.
    Never,
}

/// What a supervisor could not help: see [`Reason::Escalated`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Escalation {
    /// The child that failed once too often.
    pub child: ActorId,
    /// Its type.
    pub kind: &'static str,
    /// Why it failed, that last time.
    pub failure: Reason,
}

/// How a child is made anew, without its type.
pub(crate) type Make = Box<dyn FnMut() -> Box<dyn Cell>>;

impl<A: Actor> Context<'_, A> {
    /// Starts an actor on this shard as this one's child: when it crashes, it is made anew by `make`, as `restart` and this
    /// actor's [`SUPERVISION`](Actor::SUPERVISION) say. `make` is called at once, too.
    ///
    /// To others a restart is a pause. The address stays the same, and so does the mailbox: what waits is handled by the next, after its `started`;
    /// only the message that crashed is not, and its asker hears [`Crashed`](super::AskError::Crashed). Gone with the state are its
    /// futures, its watches, what it asked and what it has the worker pool do, timers for itself and those that fire again
    /// and again; other timers stay, as does what it sent, which may still come back to the next. A panic in `make` or in [`started`](Actor::started) is a crash, too, the first time as well: then the address is one
    /// of an actor to come.
    ///
    /// A supervisor that ends ends its children before, the last that was started first; each is asked
    /// [`Actor::stopping`], and this actor's [`stopped`](Actor::stopped) follows when all have gone. A supervisor that is made anew
    /// starts its children itself, by `started`. A session's children end when it does, and it does not wait for them.
    ///
    /// # Errors
    /// The shard has no slot left; or it is ending, or this actor is.
    pub fn spawn_child<B: Actor>(
        &mut self,
        restart: Restart,
        mut make: impl FnMut() -> B + 'static,
    ) -> Result<Address<B>, SpawnError> {
        const { assert!(!B::IS_SESSION, "a session is made by a route, for a client; it cannot be a child") };
        let make: Make = Box::new(move || Box::new(Plain::new(make())));
        let kind = std::any::type_name::<B>();
        self.local.spawn_child(self.me, A::SUPERVISION, restart, kind, make).map(Address::new)
    }
}
