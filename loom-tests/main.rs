//! `src/ring` under loom: the library's own files, mounted over loom's atomics, cells and `Arc`.
//!
//! Model-checked within bounds: two threads or three, lanes of two slots, a few items; every schedule and every
//! value that a load may see, but for the model with a sleeper and two ringers, which has at most three
//! preemptions. `cargo test --features loom --test loom`, a few seconds.
//!
//! Each weakening below was made by itself, and the models named beside it failed. Orderings that are not listed are
//! `Relaxed` already.
//!
//! | weakened, in `src/ring/spsc.rs` | caught by `lane::` (and others that use a lane) |
//! | --- | --- |
//! | tail store in `publish`: Release → Relaxed | `batches_arrive_once_and_in_order`, `what_is_staged_is_not_seen`, `items_left_behind_…` |
//! | tail load in `tail`: Acquire → Relaxed | the same |
//! | head store in `Drain::drop`: Release → Relaxed | `batches_arrive_once_and_in_order` |
//! | head load in `room`: Acquire → Relaxed | `batches_arrive_once_and_in_order` |
//! | `producer_gone` store: Release → Relaxed | `a_closed_lane_has_nothing_left` |
//! | `producer_gone` load: Acquire → Relaxed | `a_closed_lane_has_nothing_left` |
//! | `is_closed` looks at the tail first | `a_closed_lane_has_nothing_left`, `batches_arrive_…` |
//! | the producer closes before it publishes, or does not publish | `a_closed_lane_has_nothing_left`, `batches_arrive_…` |
//! | the consumer does not say that it is gone | `pushing_fails_once_the_consumer_is_gone` |
//! | every push publishes | `what_is_staged_is_not_seen`, `batches_arrive_…` |
//! | the lane does not drop what is left | `items_left_behind_are_dropped_once_whoever_leaves_first` |
//!
//! | weakened, in `src/ring/doorbell.rs` | caught by `doorbell::` |
//! | --- | --- |
//! | fence in `arm`: removed, or SeqCst → AcqRel | `a_push_is_seen_or_the_bell_rings`, `a_sleeper_gets_what_two_ringers_bring` |
//! | fence in `must_ring`: removed, or SeqCst → AcqRel | the same; removed: also `who_was_rung_for_sees_what_for` |
//! | swap in `disarm`: Acquire → Relaxed | `who_was_rung_for_sees_what_for` |
//! | swap in `disarm`: → load, then store | `either_the_sleeper_disarms_or_a_ringer_rings` |
//! | exchange in `must_ring`: → store | `exactly_one_ringer_rings`, `either_the_sleeper_…` |
//!
//! | weakened, in `src/ring/flag.rs` | caught by `flag::` |
//! | --- | --- |
//! | swap in `raise`: Release → Relaxed | `who_lowers_it_sees_what_was_put_in_before`, `what_is_put_in_while_…` |
//! | swap in `raise`: → store | `what_is_put_in_while_it_is_lowered_is_not_lost` |
//! | swap in `lower`: Acquire → Relaxed | `who_lowers_it_…`, `what_is_put_in_while_…` |
//! | swap in `lower`: → load, then store | `what_is_put_in_while_it_is_lowered_is_not_lost` |
//! | the bell is looked at before the flag is raised | `a_raised_flag_is_seen_or_its_bell_rings`, `a_sleeper_finds_what_two_put_in` |
//!
//! | weakened, in `src/ring/returns.rs` | caught by `home::` |
//! | --- | --- |
//! | load in `let_go`: Acquire → Relaxed | `the_last_holder_has_the_block_alone`, `a_block_comes_home_once_…`, `a_holder_may_make_more_…` |
//! | subtraction in `let_go`: Release → Relaxed | the same |
//! | fence in `let_go`: removed | the same |
//! | subtraction in `let_go`: → load, then store | the same |
//! | addition in `retain`: → load, then store | `a_holder_may_make_more_while_others_let_go` |
//! | exchange in `push`: Release → Relaxed | `blocks_of_two_threads_all_come_home` and all others but `the_last_holder_…` |
//! | exchange in `push`: → store | the same |
//! | link in `push` written after the exchange | the same |
//! | swap in `take_all`: Acquire → Relaxed | the same |
//! | swap in `take_all`: → load, then store | the same |
//!
//! | weakened, in `src/ring/parcel.rs` | caught by `parcel::` |
//! | --- | --- |
//! | `drop` forgets the message; `downcast` drops it a second time | `a_parcel_through_a_lane_is_dropped_once` |
//! | `fill` forgets what was in there | `what_a_parcel_is_filled_with_is_dropped_once` |
//! | `take` leaves the type as it was; `take` forgets what it reads | `what_is_taken_out_of_a_parcel_is_dropped_once` |

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
mod flag;
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
