//! What waits for a client that has not taken what was sent before: by priority, within bounds, each room's by its own
//! rule.
//!
//! Made when a client falls behind and gone when it has caught up, so a client that keeps up pays nothing for it. What
//! goes to many waits as views of the same bytes.
//!
//! - here: what waits, and what is dropped; `order`: what leaves first
//!
//! Does not know: sockets, sessions, why it waits.

mod order;

use super::frames::Frames;
use crate::actor::Priority;
use crate::buf::{Buf, Exhausted, Pool};
use crate::shard::outgoing::{Marks, PackedPiece, Piece};
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
    /// Full or not, the one that waits with the same key and [`Priority`] is dropped for the new one, which goes to the end, so
    /// that frames stay in order; without one, as [`Self::DropOldest`].
    KeepLatest,
    /// The client is closed with 1013, and all that waits for it is dropped.
    Close,
}

/// On which terms frames wait for a client that is behind. One that keeps up gets all of them at once, as long as they are
/// not more in one turn than half of [`send_queue_bytes_max`](super::Rules::send_queue_bytes_max); but what is of low priority
/// waits as with [`Client::send_at`](super::Client::send_at).
///
/// All rooms of a client together may have as much waiting for it, and each may have a 64th of that whatever the others have; a
/// frame for which there is no room then, and nothing of its own room to drop, is dropped itself. What a session sends by
/// itself is not counted among that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms<'k> {
    /// Whose frames they are, in numbers of whoever delivers; each number has its own bounds.
    pub room: u32,
    /// What waits with a higher one leaves first. Frames of one priority leave in the order in which they came.
    pub priority: Priority,
    /// All frames of this room leave in the order in which they came, whatever their priorities: one that is more urgent
    /// than those before it takes them along, before what others have for the client. To be said of all frames of a room,
    /// or of none.
    pub keeps_order: bool,
    /// Whether they count to the bounds of their room, and are dropped for others of it. Those that do not, wait besides, as long
    /// as there is room for all rooms, and are dropped themselves where there is none, or the client is closed, if that is the rule.
    pub counts: bool,
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
            keeps_order: false,
            counts: true,
            slow: Slow::DropOldest,
            queue_frames: 256,
            queue_bytes: 256 << 10,
            keys: &[],
        }
    }
}

/// Frames that wait for one client.
#[derive(Debug)]
pub(super) struct Later<P = Piece> {
    /// By [`Priority`], the lowest first.
    classes: [VecDeque<Waiting<P>>; 4],
    bytes: usize,
    /// Of them the session's own.
    own_bytes: usize,
    /// What each room has waiting here. A handful.
    shares: Vec<Share>,
    /// How many have left before the first of the lowest.
    low_waited: u32,
    /// Whose frames may be among what was cut off and waits again, and in how many pieces that is.
    cut: Marks,
    cuts: usize,
}

/// A frame, or some of the session's own.
#[derive(Debug)]
struct Waiting<P = Piece> {
    piece: P,
    whose: Whose,
    /// That of the frame itself; with the urgent that came after it in its room, it may wait among those of a higher one.
    priority: Priority,
    key: Option<u64>,
    /// How many messages it has, and what must follow it.
    messages: u32,
    /// The next of its priority must follow it at once.
    more: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// The session's own.
    Session,
    /// It was to be sent already: the session's, and that of rooms.
    Cut,
    Room {
        room: u32,
        keeps_order: bool,
        counts: bool,
    },
}

#[derive(Debug)]
struct Share {
    room: u32,
    /// By their own priorities.
    frames: [u32; 4],
    bytes: usize,
    /// Besides, and not among those.
    uncounted: u32,
    /// None of them waits below this one.
    lowest: Priority,
}

impl Default for Later {
    fn default() -> Self {
        Self {
            classes: [const { VecDeque::new() }; 4],
            bytes: 0,
            own_bytes: 0,
            shares: Vec::new(),
            low_waited: 0,
            cut: Marks::default(),
            cuts: 0,
        }
    }
}

impl Later {
    pub(super) fn is_empty(&self) -> bool {
        self.classes.iter().all(VecDeque::is_empty)
    }

    /// Whether something waits that goes before what is of no particular priority.
    pub(super) fn is_urgent(&self) -> bool {
        let [_, _, high, critical] = &self.classes;
        !high.is_empty() || !critical.is_empty()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Of them the session's own.
    pub(super) fn own_bytes(&self) -> usize {
        self.own_bytes
    }

    /// How many frames and bytes of a room wait.
    pub(super) fn share(&self, room: u32) -> (u32, usize) {
        let share = self.shares.iter().find(|share| share.room == room);
        share.map_or((0, 0), |share| (share.frames(), share.bytes))
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
            class.push_back(Waiting::own(Piece::Gathered(block), priority, 0));
        }
        if let Some(Waiting { piece: Piece::Gathered(block), messages, .. }) = class.back_mut() {
            for part in parts {
                block.extend_from_slice(part).expect("the block was chosen with room for both parts");
            }
            *messages += 1;
            self.bytes += bytes;
            self.own_bytes += bytes;
        }
        Ok(())
    }

    /// Adds the session's own frame by reference.
    pub(super) fn push_own_whole(&mut self, priority: Priority, frame: Buf) {
        self.bytes += frame.len();
        self.own_bytes += frame.len();
        self.classes[priority as usize].push_back(Waiting::own(Piece::Own(frame), priority, 1));
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
        let Terms { priority, keeps_order, counts, .. } = *terms;
        let mut dropped = 0;
        if terms.slow == Slow::KeepLatest && key.is_some() {
            // The new one goes to the end, so that what a client hears stays in order.
            dropped = u32::from(self.drop_first(room, priority, |other| other.key == key, pool));
        }
        loop {
            let (frames_here, bytes_here) = self.share(room);
            let all = self.room_bytes();
            let is_room = all == 0 || all + bytes <= bytes_max;
            let fits_here = frames_here < terms.queue_frames.max(1)
                && (frames_here == 0 || bytes_here + bytes <= terms.queue_bytes as usize);
            // However much others have, each room has a little.
            if fits_here && (is_room || bytes_here + bytes <= bytes_max / ROOM_PARTS) || !counts && is_room {
                break;
            }
            if !counts {
                return if terms.slow == Slow::Close { None } else { Some(dropped + 1) };
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
        if keeps_order {
            self.take_along(room, priority);
        }
        self.remember(terms, bytes);
        let piece = Piece::Shared(frames.shared().clone(), range);
        let whose = Whose::Room { room, keeps_order, counts };
        let waiting = Waiting { piece, whose, priority, key, messages: 1, more: false };
        self.classes[priority as usize].push_back(waiting);
        Some(dropped)
    }

    /// Drops the oldest frame of a room, of the lowest priority that is not above `up_to`. False if there is none.
    fn drop_oldest(&mut self, room: u32, up_to: Priority, pool: &mut Pool) -> bool {
        let lowest_first = PRIORITIES.into_iter().take_while(|&priority| priority <= up_to);
        lowest_first.into_iter().any(|priority| self.drop_first(room, priority, |_| true, pool))
    }

    /// Drops the oldest frame of a room and priority of which `is_it` holds. False if there is none.
    fn drop_first(
        &mut self,
        room: u32,
        priority: Priority,
        is_it: impl Fn(&Waiting) -> bool,
        pool: &mut Pool,
    ) -> bool {
        let share = self.shares.iter().find(|share| share.room == room);
        if share.is_none_or(|share| share.frames[priority as usize] == 0) {
            return false;
        }
        // Those that were taken along are the oldest.
        for class in (priority as usize..self.classes.len()).rev() {
            let it =
                |other: &Waiting| other.room() == Some(room) && other.priority == priority && is_it(other);
            let at = self.classes[class].iter().position(it);
            if let Some(waiting) = at.and_then(|at| self.classes[class].remove(at)) {
                self.forget(&waiting);
                recycle(waiting.piece, pool);
                return true;
            }
        }
        false
    }

    fn room_bytes(&self) -> usize {
        self.bytes - self.own_bytes
    }

    fn remember(&mut self, terms: &Terms<'_>, bytes: usize) {
        let Terms { room, priority, counts, .. } = *terms;
        self.bytes += bytes;
        let at = self.shares.iter().position(|share| share.room == room).unwrap_or_else(|| {
            self.shares.push(Share { room, frames: [0; 4], bytes: 0, uncounted: 0, lowest: priority });
            self.shares.len() - 1
        });
        let share = &mut self.shares[at];
        share.lowest = share.lowest.min(priority);
        if counts {
            share.frames[priority as usize] += 1;
            share.bytes += bytes;
        } else {
            share.uncounted += 1;
        }
    }

    fn forget(&mut self, waiting: &Waiting) {
        let bytes = waiting.piece.bytes().len();
        self.bytes -= bytes;
        let Whose::Room { room, counts, .. } = waiting.whose else {
            self.own_bytes -= bytes;
            self.cuts -= usize::from(waiting.whose == Whose::Cut);
            if self.cuts == 0 {
                self.cut = Marks::default();
            }
            return;
        };
        if let Some(at) = self.shares.iter().position(|share| share.room == room) {
            let share = &mut self.shares[at];
            if counts {
                share.frames[waiting.priority as usize] -= 1;
                share.bytes -= bytes;
            } else {
                share.uncounted -= 1;
            }
            if share.frames() + share.uncounted == 0 {
                self.shares.swap_remove(at);
            }
        }
    }

    /// Drops everything. Returns how many frames of rooms that were.
    pub(super) fn clear(&mut self, pool: &mut Pool) -> u32 {
        let frames = self.shares.drain(..).map(|share| share.frames() + share.uncounted).sum();
        for waiting in self.classes.iter_mut().flat_map(|class| class.drain(..)) {
            recycle(waiting.piece, pool);
        }
        (self.bytes, self.own_bytes, self.cuts, self.cut) = (0, 0, 0, Marks::default());
        frames
    }
}

/// The same for a connection that moves to another shard.
pub(super) type PackedLater = Later<PackedPiece>;

impl Later {
    pub(super) fn pack(self) -> PackedLater {
        self.with_pieces(PackedPiece::of)
    }
}

impl PackedLater {
    pub(super) fn unpack(self) -> Later {
        self.with_pieces(PackedPiece::unpack)
    }
}

impl<P> Later<P> {
    /// The same with each piece made into another.
    fn with_pieces<Q>(self, change: impl Fn(P) -> Q) -> Later<Q> {
        let Self { classes, bytes, own_bytes, shares, low_waited, cut, cuts } = self;
        let change = |Waiting { piece, whose, priority, key, messages, more }| {
            let piece = change(piece);
            Waiting { piece, whose, priority, key, messages, more }
        };
        let classes = classes.map(|class| class.into_iter().map(&change).collect());
        Later { classes, bytes, own_bytes, shares, low_waited, cut, cuts }
    }
}

impl Waiting {
    fn own(piece: Piece, priority: Priority, messages: u32) -> Self {
        Self { piece, whose: Whose::Session, priority, key: None, messages, more: false }
    }

    /// Whose it is, if it is a room's.
    fn room(&self) -> Option<u32> {
        match self.whose {
            Whose::Room { room, .. } => Some(room),
            Whose::Session | Whose::Cut => None,
        }
    }
}

impl Share {
    fn frames(&self) -> u32 {
        self.frames.iter().sum()
    }
}

fn recycle(piece: Piece, pool: &mut Pool) {
    if let Piece::Own(block) | Piece::Gathered(block) = piece {
        pool.recycle(block);
    }
}

/// Each room of a client has at least such a part of what all may have.
const ROOM_PARTS: usize = 64;
/// The lowest first.
const PRIORITIES: [Priority; 4] = [Priority::Low, Priority::Normal, Priority::High, Priority::Critical];
/// What a session says to a client that is behind is gathered in blocks of so much.
const OWN_BLOCK_BYTES: usize = 1024;
