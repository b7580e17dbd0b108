//! What waits for a client that has not taken what was sent before: by priority, within bounds, each room's by its own
//! rule.
//!
//! Made when a client falls behind and gone when it has caught up, so a client that keeps up pays nothing for it. What
//! goes to many waits as views of the same bytes.
//!
//! Does not know: sockets, sessions, why it waits.

use super::frames::Frames;
use crate::actor::{LOW_WAITS, Priority};
use crate::buf::{Buf, Exhausted, Pool};
use crate::shard::outgoing::{Outgoing, Piece};
use std::collections::VecDeque;

/// What is done with one more frame of a room for a client for whom as many wait as may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Slow {
    /// The oldest frame of the lowest [`Priority`] of this room that waits for it is dropped; the new one itself, if its own
    /// is lower still.
    #[default]
    DropOldest,
    /// The new one is dropped.
    DropNewest,
    /// Full or not, the one that waits with the same key is dropped for the new one, which goes to the end; without one, as
    /// [`Self::DropOldest`].
    KeepLatest,
    /// The client is closed with 1013, and what waits for it is dropped.
    Close,
}

/// On which terms frames wait for a client that is behind. One that keeps up gets all of them at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms<'k> {
    /// Whose frames they are, in numbers of whoever delivers; each number has its own bounds.
    pub room: u32,
    /// What waits with a higher one leaves first. Frames of one priority leave in the order in which they came.
    pub priority: Priority,
    /// What is done when the bounds are reached.
    pub slow: Slow,
    /// How many frames of this room may wait for one client.
    pub queue_frames: u32,
    /// How many bytes they may be; one frame may wait even if it is longer, up to what may wait for a client of all rooms.
    pub queue_bytes: u32,
    /// Of each frame, for [`Slow::KeepLatest`]; those beyond have none.
    pub keys: &'k [Option<u64>],
}

impl Default for Terms<'_> {
    fn default() -> Self {
        Self {
            room: 0,
            priority: Priority::Normal,
            slow: Slow::DropOldest,
            queue_frames: 256,
            queue_bytes: 256 << 10,
            keys: &[],
        }
    }
}

/// Frames that wait for one client.
#[derive(Debug, Default)]
pub(super) struct Later {
    /// By [`Priority`], the lowest first.
    classes: [VecDeque<Waiting>; 4],
    bytes: usize,
    /// What each room has waiting here. A handful.
    shares: Vec<Share>,
    /// How many have left before the first of the lowest.
    low_waited: u32,
}

/// A frame, or some of the session's own.
#[derive(Debug)]
struct Waiting {
    piece: Piece,
    /// None: the session's own.
    room: Option<u32>,
    key: Option<u64>,
}

#[derive(Debug)]
struct Share {
    room: u32,
    frames: u32,
    bytes: usize,
}

impl Later {
    pub(super) fn is_empty(&self) -> bool {
        self.classes.iter().all(VecDeque::is_empty)
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many frames and bytes of a room wait.
    pub(super) fn share(&self, room: u32) -> (u32, usize) {
        let share = self.shares.iter().find(|share| share.room == room);
        share.map_or((0, 0), |share| (share.frames, share.bytes))
    }

    /// Adds the session's own frame, next to what it said before with the same priority.
    ///
    /// # Errors
    /// The shard's quota for outgoing bytes is used up; nothing was added.
    pub(super) fn push_own(
        &mut self,
        priority: Priority,
        parts: [&[u8]; 2],
        pool: &mut Pool,
    ) -> Result<(), Exhausted> {
        let bytes = parts[0].len() + parts[1].len();
        let class = &mut self.classes[priority as usize];
        let fits =
            |waiting: &Waiting| matches!(&waiting.piece, Piece::Gathered(block) if block.room() >= bytes);
        if !class.back().is_some_and(fits) {
            let block = pool.take(bytes.max(OWN_BLOCK_BYTES))?;
            class.push_back(Waiting { piece: Piece::Gathered(block), room: None, key: None });
        }
        if let Some(Waiting { piece: Piece::Gathered(block), .. }) = class.back_mut() {
            for part in parts {
                block.extend_from_slice(part).expect("the block was chosen with room for both parts");
            }
            self.bytes += bytes;
        }
        Ok(())
    }

    /// Adds the session's own frame by reference.
    pub(super) fn push_own_whole(&mut self, priority: Priority, frame: Buf) {
        self.bytes += frame.len();
        let waiting = Waiting { piece: Piece::Own(frame), room: None, key: None };
        self.classes[priority as usize].push_back(waiting);
    }

    /// Adds one frame of a room, on its terms, where no more than `bytes_max` may wait of all rooms together. Returns how
    /// many were dropped for it, itself perhaps; `None`: the client is to be closed.
    pub(super) fn push(
        &mut self,
        frames: &Frames,
        index: usize,
        terms: &Terms<'_>,
        bytes_max: usize,
        pool: &mut Pool,
    ) -> Option<u32> {
        let range = frames.span_of(index);
        let bytes = range.len();
        let room = terms.room;
        let key = terms.keys.get(index).copied().flatten();
        let waiting = Waiting { piece: Piece::Shared(frames.shared().clone(), range), room: Some(room), key };
        let mut dropped = 0;
        if bytes > bytes_max {
            return if terms.slow == Slow::Close { None } else { Some(1) }; // nothing that waits need go for it: it is too long
        }
        if terms.slow == Slow::KeepLatest && key.is_some() {
            // The new one goes to the end, so that a room's numbers only grow.
            let is_it = |other: &Waiting| other.room == Some(room) && other.key == key;
            let class = &mut self.classes[terms.priority as usize];
            if let Some(before) = class.iter().position(is_it).and_then(|at| class.remove(at)) {
                self.forget(&before);
                recycle(before.piece, pool);
                dropped = 1;
            }
        }
        loop {
            let (frames_here, bytes_here) = self.share(room);
            let fits = frames_here < terms.queue_frames.max(1)
                && (frames_here == 0 || bytes_here + bytes <= terms.queue_bytes as usize)
                && self.bytes + bytes <= bytes_max;
            if fits {
                break;
            }
            match terms.slow {
                Slow::Close => return None,
                Slow::DropNewest => return Some(dropped + 1),
                Slow::DropOldest | Slow::KeepLatest => {
                    if !self.drop_oldest(room, terms.priority, pool) {
                        return Some(dropped + 1);
                    }
                    dropped += 1;
                }
            }
        }
        self.remember(room, bytes);
        self.classes[terms.priority as usize].push_back(waiting);
        Some(dropped)
    }

    /// Drops the oldest frame of a room, of the lowest priority that is not above `up_to`. False if there is none.
    fn drop_oldest(&mut self, room: u32, up_to: Priority, pool: &mut Pool) -> bool {
        for class in 0..=up_to as usize {
            let at = self.classes[class].iter().position(|waiting| waiting.room == Some(room));
            if let Some(waiting) = at.and_then(|at| self.classes[class].remove(at)) {
                self.forget(&waiting);
                recycle(waiting.piece, pool);
                return true;
            }
        }
        false
    }

    fn remember(&mut self, room: u32, bytes: usize) {
        self.bytes += bytes;
        match self.shares.iter_mut().find(|share| share.room == room) {
            Some(share) => {
                share.frames += 1;
                share.bytes += bytes;
            }
            None => self.shares.push(Share { room, frames: 1, bytes }),
        }
    }

    fn forget(&mut self, waiting: &Waiting) {
        let bytes = waiting.piece.bytes().len();
        self.bytes -= bytes;
        let Some(room) = waiting.room else { return };
        if let Some(at) = self.shares.iter().position(|share| share.room == room) {
            let share = &mut self.shares[at];
            share.frames -= 1;
            share.bytes -= bytes;
            if share.frames == 0 {
                self.shares.swap_remove(at);
            }
        }
    }

    /// Moves what comes first to `outgoing`, until that has `bytes` or nothing is left: the highest first, and the first of
    /// the lowest after at most [`LOW_WAITS`] others.
    pub(super) fn release(&mut self, outgoing: &mut Outgoing, bytes: usize) {
        while outgoing.bytes() < bytes {
            let [low, others @ ..] = &mut self.classes;
            let low_is_due = self.low_waited >= LOW_WAITS && !low.is_empty();
            let next = if low_is_due { None } else { others.iter_mut().rev().find_map(VecDeque::pop_front) };
            let waiting = match next {
                Some(waiting) => {
                    self.low_waited += u32::from(!low.is_empty());
                    waiting
                }
                None => {
                    self.low_waited = 0;
                    let Some(waiting) = low.pop_front() else { return };
                    waiting
                }
            };
            self.forget(&waiting);
            outgoing.push_piece(waiting.piece);
        }
    }

    /// Drops everything. Returns how many frames of rooms that were.
    pub(super) fn clear(&mut self, pool: &mut Pool) -> u32 {
        let frames = self.shares.drain(..).map(|share| share.frames).sum();
        for waiting in self.classes.iter_mut().flat_map(|class| class.drain(..)) {
            recycle(waiting.piece, pool);
        }
        self.bytes = 0;
        frames
    }
}

fn recycle(piece: Piece, pool: &mut Pool) {
    if let Piece::Own(block) | Piece::Gathered(block) = piece {
        pool.recycle(block);
    }
}

/// What a session says to a client that is behind is gathered in blocks of so much.
const OWN_BLOCK_BYTES: usize = 1024;
