//! Panics: how what they leave is let go of, and where one came from, which only a panic hook sees. Ours is put before whatever hook there is, once a process, and
//! keeps to itself what it sees on threads that run shards; an application that sets another one after it, and does not
//! call ours, has its log without backtraces.

use std::any::Any;
use std::backtrace::Backtrace;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

/// The last panic of a thread.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) place: String,
    /// Without names yet: finding those takes longest, and is done when it is printed.
    pub(crate) backtrace: Backtrace,
}

thread_local! {
    static RUNS_A_SHARD: Cell<bool> = const { Cell::new(false) };
    static LAST: RefCell<Option<Seen>> = const { RefCell::new(None) };
}

/// Has panics seen, in this process.
pub(crate) fn install_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |panic| {
            if RUNS_A_SHARD.try_with(Cell::get).unwrap_or(false) {
                let place = panic.location().map_or_else(|| "nowhere".into(), ToString::to_string);
                let seen = Seen { place, backtrace: Backtrace::force_capture() };
                let _ = LAST.try_with(|last| last.replace(Some(seen)));
            }
            before(panic);
        }));
    });
}

/// This thread runs a shard.
pub(crate) fn look_here() {
    RUNS_A_SHARD.set(true);
}

/// Drops what was panicked with, which is the user's and may panic once more. What comes of that is forgotten: to drop it
/// would be to go on so.
pub(crate) fn let_go(panic: Box<dyn Any + Send>) {
    if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(panic))) {
        std::mem::forget(again);
    }
}

/// Runs what is a user's, where it is all the same what it panicked with. None: it did.
pub(crate) fn caught<R>(f: impl FnOnce() -> R) -> Option<R> {
    catch_unwind(AssertUnwindSafe(f)).map_err(let_go).ok()
}

/// What was seen of the last panic on this thread, once.
pub(crate) fn take_last() -> Option<Seen> {
    LAST.take()
}
