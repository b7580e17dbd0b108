//! What leaves first: the highest priority, the lowest after so many others, and a room's frames in their order, if it keeps
//! one.
//!
//! Where a room keeps its order, a frame that is more urgent than those before it takes them along. So of such a room what
//! waits with a higher priority is always older than what waits with a lower one, and nothing else is needed to know its order.
//!
//! Does not know: bounds, or what is dropped.

use super::{Later, Waiting, Whose};
use crate::actor::{LOW_WAITS, Priority};
use crate::shard::outgoing::{Marks, Outgoing, Tail};

impl Later {
    /// Puts back what was to be sent already, with what may be of rooms among it, before all else of no particular priority.
    pub(in crate::connection) fn put_back(&mut self, tail: Vec<Tail>, marks: Marks) {
        if tail.is_empty() {
            return;
        }
        // But not behind a frame that must not overtake it.
        let is_after = |waiting: &Waiting| match waiting.whose {
            Whose::Room { room, keeps_order, .. } => keeps_order && marks.has(room),
            Whose::Cut => true,
            Whose::Session => false,
        };
        let normal = Priority::Normal as usize;
        let above = (normal + 1..self.classes.len()).rev();
        let class =
            above.into_iter().find(|&class| self.classes[class].iter().any(is_after)).unwrap_or(normal);
        self.cut.add(marks);
        self.cuts += tail.len();
        for Tail { piece, messages, more } in tail.into_iter().rev() {
            self.bytes += piece.bytes().len();
            self.own_bytes += piece.bytes().len();
            let own = Waiting::own(piece, Priority::Normal, messages);
            self.classes[class].push_front(Waiting { whose: Whose::Cut, more, ..own });
        }
    }

    /// A frame of a room that keeps its order comes with this priority: all of that room leave with it that wait behind it.
    pub(super) fn take_along(&mut self, room: u32, priority: Priority) {
        let class = priority as usize;
        let share = self.shares.iter_mut().find(|share| share.room == room);
        let mut is_overtaking = self.cut.has(room) && priority > Priority::Normal;
        if let Some(share) = share
            && share.lowest < priority
        {
            share.lowest = priority;
            is_overtaking = true;
        }
        if !is_overtaking {
            return;
        }
        for lower in (0..class).rev() {
            let mut queue = std::mem::take(&mut self.classes[lower]);
            for _ in 0..queue.len() {
                let Some(waiting) = queue.pop_front() else { break };
                if self.is_before(room, &waiting) {
                    self.classes[class].push_back(waiting);
                } else {
                    queue.push_back(waiting);
                }
            }
            self.classes[lower] = queue;
        }
    }

    /// Whether it is of this room, or may be, and so goes before what comes later there. What was cut off stays together.
    fn is_before(&self, room: u32, waiting: &Waiting) -> bool {
        match waiting.whose {
            Whose::Room { room: its, .. } => its == room,
            Whose::Cut => self.cut.has(room),
            Whose::Session => false,
        }
    }

    /// Moves what comes first to `outgoing`, as much as makes it no longer than `bytes`, and at least something: the
    /// highest first, and the first of the lowest after at most [`LOW_WAITS`] others, or as many as lie in one block of the
    /// session's. Returns how many frames of rooms they were.
    pub(in crate::connection) fn release(&mut self, outgoing: &mut Outgoing, bytes: usize) -> u64 {
        let mut frames = 0;
        while let Some((class, at)) = self.next() {
            let queue = &mut self.classes[class];
            let together = queue.iter().skip(at).position(|waiting| !waiting.more);
            let until = together.map_or(queue.len(), |last| at + last + 1);
            let next = queue.range(at..until).map(|waiting| waiting.piece.bytes().len());
            if !outgoing.is_empty() && outgoing.bytes().saturating_add(next.sum()) > bytes {
                break;
            }
            for _ in at..until {
                let Some(waiting) = self.classes[class].remove(at) else { break };
                self.low_waited += waiting.messages;
                match waiting.whose {
                    Whose::Room { room, .. } => {
                        frames += 1;
                        outgoing.mark(Marks::of(room));
                    }
                    Whose::Cut => outgoing.mark(self.cut),
                    Whose::Session => {}
                }
                self.forget(&waiting);
                outgoing.push_piece(waiting.piece);
            }
            if class == Priority::Low as usize || self.classes[Priority::Low as usize].is_empty() {
                self.low_waited = 0;
            }
        }
        frames
    }

    /// Whose turn it is: which priority, and which of those.
    fn next(&self) -> Option<(usize, usize)> {
        let next = (0..self.classes.len()).rev().find(|&class| !self.classes[class].is_empty())?;
        let messages = self.classes[next].front().map_or(0, |waiting| waiting.messages);
        let low = self.classes[Priority::Low as usize].front();
        let is_due = |_: &&Waiting| self.low_waited > 0 && self.low_waited + messages > LOW_WAITS;
        let Some(low) = low.filter(is_due) else { return Some((next, 0)) };
        if let Whose::Room { room, keeps_order: true, .. } = low.whose {
            // Those of its room that were there before it go first; they have waited as long.
            for class in (Priority::Normal as usize..=next).rev() {
                let before = self.classes[class].iter().position(|waiting| self.is_before(room, waiting));
                if let Some(at) = before {
                    return Some((class, at));
                }
            }
        }
        Some((Priority::Low as usize, 0))
    }
}
