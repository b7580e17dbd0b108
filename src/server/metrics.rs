//! What a server has done so far, added up over its shards.

use super::shared::{FIGURES, Shared};
use crate::actor::local::Counters;
use crate::sync::{AtomicU64, Ordering};

/// Figures since the start, of all shards. Each is read by itself, while the shards go on, so two of them need not
/// be of the same moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Stats {
    /// Connections that are open, or opening, or closing.
    pub connections: u64,
    /// Messages that clients sent.
    pub messages_in: u64,
    /// Messages that were sent to clients.
    pub messages_out: u64,
    /// How many sends those were, with all else that was said: what a connection has to say in a turn is one.
    pub sends: u64,
    /// Bytes that came, protocol and all.
    pub bytes_in: u64,
    /// Bytes that were handed to the kernel, protocol and all.
    pub bytes_out: u64,
    /// Messages between actors that were handled.
    pub handled: u64,
    /// Messages between actors that found no room, or nobody.
    pub refused: u64,
    /// Of those, the ones that came back to a sender on another shard.
    pub returned: u64,
    /// Messages between actors that were dropped because a mailbox was full ([`Overflow`](crate::actor::Overflow)).
    pub dropped: u64,
    /// Questions that actors asked each other.
    pub asks: u64,
    /// Of those, the ones that ended in an error ([`AskError`](crate::actor::AskError)).
    pub asks_failed: u64,
    /// Answers, and results of jobs, that came when nobody waited for them any more, and were dropped.
    pub answers_late: u64,
    /// Children that their supervisors made anew.
    pub restarts: u64,
    /// Jobs that the worker pool took.
    pub jobs: u64,
    /// Jobs that it did not take: its queue was full, or the server ended.
    pub jobs_refused: u64,
    /// Jobs that panicked.
    pub jobs_panicked: u64,
    /// Actors that panicked.
    pub panics: u64,
    /// Connections that were shed because memory was short.
    pub shed: u64,
    /// Connections that were closed because the client did not take what was sent.
    pub slow_closed: u64,
    /// Messages of rooms that were dropped for clients that were behind.
    pub slow_dropped: u64,
    /// Connections that have moved to another shard.
    pub moved: u64,
    /// Those that were to move and did not ([`Context::migrate`](crate::actor::Context::migrate)).
    pub moves_refused: u64,
    /// Times that a shard slept to the end of its longest sleep although another thread had something for it: a wake-up
    /// that was lost, or about to come. More than a few are a mistake of corewire.
    pub wakes_lost: u64,
    /// Turns that took too long.
    pub stalls: u64,
    /// Blocks of memory that were not home when the shards ended; 0 while they run.
    pub blocks_lost: u64,
}

/// Shows `counters` to the other threads. Plain stores: one writer.
pub(super) fn publish(counters: &Counters, figures: &[AtomicU64; FIGURES]) {
    let Counters {
        handled,
        refused,
        returned,
        panics,
        shed,
        messages_in,
        messages_out,
        bytes_in,
        bytes_out,
        slow_closed,
        wakes_lost,
        asks,
        asks_failed,
        answers_late,
        dropped,
        restarts,
        slow_dropped,
        sends,
        moved_in,
        moved_out,
        moves_refused,
    } = *counters;
    let values = [
        messages_in,
        messages_out,
        bytes_in,
        bytes_out,
        handled,
        refused,
        returned,
        panics,
        shed,
        slow_closed,
        wakes_lost,
        asks,
        asks_failed,
        answers_late,
        dropped,
        restarts,
        slow_dropped,
        sends,
        moved_in,
        moved_out,
        moves_refused,
    ];
    for (figure, value) in figures.iter().zip(values) {
        figure.store(value, Ordering::Relaxed);
    }
}

/// Says that `blocks` were not home at the end.
pub(super) fn lose(blocks: u64, figures: &[AtomicU64; FIGURES]) {
    figures[BLOCKS_LOST].store(blocks, Ordering::Relaxed);
}

pub(crate) fn read(shared: &Shared) -> Stats {
    let sum = |at: usize| shared.shards.iter().map(|shard| shard.figures[at].load(Ordering::Relaxed)).sum();
    let jobs = shared.jobs.figures();
    Stats {
        jobs: jobs.accepted,
        jobs_refused: jobs.refused,
        jobs_panicked: jobs.panicked,
        connections: shared.connections(),
        messages_in: sum(0),
        messages_out: sum(1),
        bytes_in: sum(2),
        bytes_out: sum(3),
        handled: sum(4),
        refused: sum(5),
        returned: sum(6),
        panics: sum(7),
        shed: sum(8),
        slow_closed: sum(9),
        wakes_lost: sum(10),
        asks: sum(11),
        asks_failed: sum(12),
        answers_late: sum(13),
        dropped: sum(14),
        restarts: sum(15),
        slow_dropped: sum(16),
        sends: sum(17),
        moved: sum(18),
        moves_refused: sum(20),
        stalls: shared.shards.iter().map(|shard| shard.heartbeat.stalls()).sum(),
        blocks_lost: sum(BLOCKS_LOST),
    }
}

const BLOCKS_LOST: usize = FIGURES - 1;
