//! Reading in bulk, as far as it is the same for every driver: which sockets may be read, whose turn it is, and the block
//! that is read into.
//!
//! A watch tells of what comes, not of what is still there. So a socket stays in a queue until a read has found all, and
//! has one turn in each of the shard's: whoever has much to say does not keep the others waiting.

use super::driver::Reading;
use crate::buf::{Buf, Pool, ReceiveBlock};
use std::collections::VecDeque;
use std::io;

/// What a driver knows of one socket. Small, since there may be a million.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Watch {
    /// Its owner wants to read, not to receive.
    pub(crate) on: bool,
    /// It is in the queue.
    queued: bool,
    readable: Readable,
}

/// Whether a read may find something.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Readable {
    /// Nothing has come since the last.
    #[default]
    No,
    /// One that finds less than it has room for finds all.
    Yes,
    /// The peer has hung up: only one that finds the end finds all.
    ToTheEnd,
}

impl Watch {
    /// The kernel says that something has come, or that nothing more will.
    pub(crate) fn tell(&mut self, hung_up: bool) {
        if hung_up {
            self.readable = Readable::ToTheEnd;
        } else if self.readable == Readable::No {
            self.readable = Readable::Yes;
        }
    }

    pub(crate) fn is_readable(self) -> bool {
        self.on && self.readable != Readable::No
    }

    /// For the next socket of the same number, which the queue may still name.
    pub(crate) fn forget(self) -> Self {
        Self { queued: self.queued, ..Self::default() }
    }
}

/// What a driver has for all its sockets.
#[derive(Default)]
pub(crate) struct Bulk {
    queue: VecDeque<u32>,
    /// How many of the front have their turn in this one.
    due: usize,
    /// Bytes read in this turn.
    read_bytes: usize,
    /// What is read into in this turn.
    scratch: Option<ReceiveBlock>,
}

impl Bulk {
    /// Puts a socket that may be read in the queue.
    pub(crate) fn queue(&mut self, index: u32, watch: &mut Watch) {
        if !std::mem::replace(&mut watch.queued, true) {
            self.due += usize::from(self.due == self.queue.len());
            self.queue.push_back(index);
        }
    }

    /// Takes the next whose turn it is. Then [`Self::tried`].
    pub(crate) fn next(&mut self) -> Option<u32> {
        if !self.is_due() {
            return None;
        }
        self.due -= 1;
        self.queue.pop_front()
    }

    /// This one is told to its owner, if it `may` be read; and again in the next turn, if the owner leaves something.
    pub(crate) fn tried(&mut self, index: u32, watch: &mut Watch, may: bool) {
        watch.queued = may;
        if may {
            self.queue.push_back(index);
        }
    }

    pub(crate) fn is_due(&self) -> bool {
        self.due > 0 && self.read_bytes < TURN_BYTES_MAX
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// A turn is over. The scratch block goes home with the last of what was read into it.
    pub(crate) fn end_turn(&mut self) {
        self.due = self.queue.len();
        self.read_bytes = 0;
        self.scratch = None;
    }

    /// One read of a socket, by `receive`, which is given room in front and behind and does not wait.
    pub(crate) fn read(
        &mut self,
        watch: &mut Watch,
        front: &mut [u8],
        behind_bytes_max: usize,
        pool: &mut Pool,
        receive: impl FnOnce(&mut [u8], &mut [u8]) -> io::Result<usize>,
    ) -> Reading {
        if self.scratch.is_none() && behind_bytes_max > 0 {
            self.scratch = pool.take_scratch();
        }
        let scratch = self.scratch.as_mut().filter(|scratch| scratch.room() >= scratch.len() / REST);
        let behind_bytes_max = scratch.as_ref().map_or(0, |scratch| behind_bytes_max.min(scratch.room()));
        let (front_max, bytes_max) = (front.len(), front.len() + behind_bytes_max);
        if bytes_max == 0 {
            return Reading::Nothing; // the next turn has an empty block
        }
        let (mut found, mut behind) = (Ok(0), Buf::empty());
        match scratch {
            Some(scratch) if behind_bytes_max > 0 => {
                behind = scratch.fill_with(|spare| {
                    found = receive(front, &mut spare[..behind_bytes_max]);
                    found.as_ref().map_or(0, |bytes| bytes.saturating_sub(front_max))
                });
            }
            _ => found = receive(front, &mut []),
        }
        match found {
            Ok(0) => Reading::Ended,
            Ok(bytes) => {
                self.read_bytes += bytes;
                if bytes < bytes_max && watch.readable == Readable::Yes {
                    watch.readable = Readable::No; // that was all, and what comes from now on is told
                }
                Reading::Bytes { front_bytes: bytes.min(front_max), behind }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                watch.readable = Readable::No;
                Reading::Nothing
            }
            Err(error) => Reading::Failed(error),
        }
    }
}

/// Less room than this part of a scratch block is not worth a call: it would cut a message in two.
const REST: usize = 8;
/// So much is read in a turn, and no more, so that it is still in the cache when it is sent.
const TURN_BYTES_MAX: usize = 512 << 10;
