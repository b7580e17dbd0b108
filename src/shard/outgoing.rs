//! What one connection has to send: pieces in order, small ones gathered.
//!
//! All that a connection says in a turn leaves in one send (one answer for one read). A payload under
//! [`GATHER_BYTES_MAX`] is copied next to its neighbours, since a copy of so little costs less than an entry in
//! the kernel's list of pieces; a larger one goes by reference.
//!
//! - `frames`: where in the pieces frames begin, for what is to go before the rest

mod frames;
mod packed;

pub use frames::Tail;
pub(crate) use packed::{PackedOutgoing, PackedPiece};

use crate::buf::{Buf, Exhausted, Pool, Shared, copy_few};
use std::collections::VecDeque;
use std::io::IoSlice;
use std::ops::Range;

/// A payload of up to this many bytes is copied into the gather block; a larger one is sent from where it is.
pub const GATHER_BYTES_MAX: usize = 512;

/// Bytes on their way out, owned until the kernel has taken them.
#[derive(Debug, Default)]
pub struct Outgoing {
    pieces: VecDeque<Piece>,
    bytes: usize,
    /// So many bytes of its front are no frames, or the rest of one, or pinned.
    front: usize,
    /// Whose bytes are among them.
    marks: Marks,
}

/// A set of numbers, which may have more than were put into it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Marks(u64);

impl Marks {
    /// With one.
    pub(crate) fn of(number: u32) -> Self {
        Self(1 << (number % u64::BITS))
    }

    /// Whether it may have this one.
    pub(crate) fn has(self, number: u32) -> bool {
        self.0 & Self::of(number).0 != 0
    }

    /// Adds all that another has.
    pub(crate) fn add(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

/// A run of bytes to send.
#[derive(Debug)]
pub enum Piece {
    /// Small frames, copied together; more may be added at the end.
    Gathered(Buf),
    /// A payload that is this connection's alone.
    Own(Buf),
    /// Bytes that go to many: these of a view.
    Shared(Shared, Range<u32>),
}

impl Outgoing {
    /// How many bytes wait.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many pieces they are in.
    pub fn pieces(&self) -> usize {
        self.pieces.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Lets the answer be written over what has been read: the headroom of `read` becomes room for what is gathered
    /// next, if that comes first or right behind what is gathered there already. It stays in the cache so, and no block
    /// is taken for it. Only for small frames, whose answers are as small, and only until the end of the turn.
    ///
    /// ```
    /// use corewire::buf::{Pool, PoolConfig};
    /// use corewire::shard::Outgoing;
    ///
    /// let mut pool = Pool::new(&PoolConfig::default())?;
    /// let mut read = pool.copy(b"MASK one MASK two").unwrap();
    /// let mut outgoing = Outgoing::default();
    /// read.advance(9);
    /// outgoing.write_over(&mut read);
    /// outgoing.gather([b"1 ", b"one"], &mut pool).unwrap();
    /// read.advance(8);
    /// outgoing.write_over(&mut read);
    /// outgoing.gather([b"2 ", b"two"], &mut pool).unwrap();
    /// assert_eq!((outgoing.pieces(), pool.stats().blocks_out()), (1, 1));
    /// # Ok::<_, std::io::Error>(())
    /// ```
    #[inline]
    pub fn write_over(&mut self, read: &mut Buf) {
        match self.pieces.back_mut() {
            None => self.pieces.push_back(Piece::Gathered(read.split_headroom())),
            Some(Piece::Gathered(block)) => {
                block.take_headroom(read);
            }
            Some(_) => {}
        }
    }

    /// Copies `parts` to the end, next to what was gathered before.
    ///
    /// # Errors
    /// The pool's outbound quota is used up. Nothing was added.
    pub fn gather(&mut self, parts: [&[u8]; 2], pool: &mut Pool) -> Result<(), Exhausted> {
        let bytes = parts[0].len() + parts[1].len();
        if !matches!(self.pieces.back(), Some(Piece::Gathered(block)) if block.room() >= bytes) {
            if matches!(self.pieces.back(), Some(Piece::Gathered(block)) if block.is_empty())
                && let Some(Piece::Gathered(unused)) = self.pieces.pop_back()
            {
                pool.recycle(unused);
            }
            // The first block is small: most turns say one thing. A second one means a busy connection.
            let block_bytes = if self.pieces.is_empty() { GATHER_FIRST_BYTES } else { GATHER_MORE_BYTES };
            self.pieces.push_back(Piece::Gathered(pool.take(bytes.max(block_bytes))?));
        }
        if let Some(Piece::Gathered(block)) = self.pieces.back_mut() {
            for part in parts {
                block.extend_from_slice(part).expect("the block was chosen with room for both parts");
            }
            self.bytes += bytes;
        }
        Ok(())
    }

    /// Copies a frame behind what is gathered, if there is room there: the first bytes of `header`, and `payload`. False, and
    /// nothing added, if not.
    #[inline]
    pub(crate) fn gather_next(&mut self, header: [u8; 4], header_bytes: usize, payload: &[u8]) -> bool {
        let Some(Piece::Gathered(block)) = self.pieces.back_mut() else { return false };
        let added = block.fill(|spare| {
            let Some((head, _)) = spare.split_first_chunk_mut() else { return 0 };
            *head = header; // all of it, which is one store; the payload goes over what is too much
            let Some(room) = spare.get_mut(header_bytes..header_bytes + payload.len()) else { return 0 };
            copy_few(room, payload);
            header_bytes + payload.len()
        });
        self.bytes += added;
        added > 0
    }

    /// Adds a payload by reference.
    pub fn push(&mut self, payload: Buf) {
        if !payload.is_empty() {
            self.bytes += payload.len();
            self.pieces.push_back(Piece::Own(payload));
        }
    }

    /// Adds bytes of a view that others send too: by reference, next to what precedes them in the same view, or copied
    /// behind what was gathered, if there is something and they are few.
    ///
    /// # Panics
    /// If the view does not have them.
    ///
    /// ```
    /// use corewire::buf::{Pool, PoolConfig};
    /// use corewire::shard::Outgoing;
    ///
    /// let mut pool = Pool::new(&PoolConfig::default())?;
    /// let two = pool.copy(b"one two").unwrap();
    /// let view = pool.freeze(two, 1).next().unwrap().open();
    /// let mut outgoing = Outgoing::default();
    /// outgoing.push_shared(&view, 0..3);
    /// outgoing.push_shared(&view, 3..7);
    /// assert_eq!((outgoing.pieces(), outgoing.bytes()), (1, 7));
    /// # Ok::<_, std::io::Error>(())
    /// ```
    pub fn push_shared(&mut self, view: &Shared, range: Range<u32>) {
        let bytes = &view[range.start as usize..range.end as usize];
        if bytes.is_empty() {
            return;
        }
        self.bytes += bytes.len();
        match self.pieces.back_mut() {
            Some(Piece::Shared(last, to)) if to.end == range.start && last.is_same(view) => {
                to.end = range.end
            }
            Some(Piece::Gathered(block))
                if bytes.len() <= GATHER_BYTES_MAX && block.room() >= bytes.len() =>
            {
                block.extend_from_slice(bytes).expect("there is room");
            }
            _ => self.pieces.push_back(Piece::Shared(view.clone(), range)),
        }
    }

    /// Adds what another has.
    pub(crate) fn append(&mut self, other: &mut Self) {
        if other.front > 0 {
            self.front = self.bytes + std::mem::take(&mut other.front);
        }
        self.pieces.append(&mut other.pieces);
        self.bytes += std::mem::take(&mut other.bytes);
        self.marks.add(std::mem::take(&mut other.marks));
    }

    /// Says whose bytes come next, for whoever asks before they have left.
    #[inline]
    pub(crate) fn mark(&mut self, marks: Marks) {
        self.marks.add(marks);
    }

    /// Whose bytes it may have.
    pub(crate) fn marks(&self) -> Marks {
        self.marks
    }

    /// Adds a piece as it is.
    pub(crate) fn push_piece(&mut self, piece: Piece) {
        match piece {
            Piece::Shared(view, range) => self.push_shared(&view, range),
            piece => {
                self.bytes += piece.bytes().len();
                self.pieces.push_back(piece);
            }
        }
    }

    /// The pieces in order, as the kernel wants them. Their addresses stay as they are while `self` is not changed.
    pub fn slices(&self) -> impl Iterator<Item = IoSlice<'_>> {
        self.pieces.iter().map(|piece| IoSlice::new(piece.bytes()))
    }

    /// Takes `sent` bytes off the front.
    ///
    /// # Panics
    /// If that is more than there is: a driver that says so is broken.
    pub fn consume(&mut self, mut sent: usize, pool: &mut Pool) {
        assert!(sent <= self.bytes, "the driver says it sent {sent} of {} bytes", self.bytes);
        if sent == self.bytes {
            (self.front, self.marks) = (0, Marks::default());
        } else {
            self.front = self.front_after(sent);
        }
        self.bytes -= sent;
        while sent > 0 {
            let piece = self.pieces.front_mut().expect("bytes are left, so a piece is");
            let here = piece.bytes().len();
            if sent < here {
                match piece {
                    Piece::Gathered(block) | Piece::Own(block) => block.advance(sent),
                    Piece::Shared(_, range) => range.start += sent as u32,
                }
                return;
            }
            sent -= here;
            if let Some(Piece::Gathered(block) | Piece::Own(block)) = self.pieces.pop_front() {
                pool.recycle(block);
            }
        }
    }

    /// Gives everything back to the pool.
    pub fn clear(&mut self, pool: &mut Pool) {
        while let Some(piece) = self.pieces.pop_front() {
            if let Piece::Gathered(block) | Piece::Own(block) = piece {
                pool.recycle(block);
            }
        }
        (self.bytes, self.front, self.marks) = (0, 0, Marks::default());
    }

    /// Moves what lies in the kernel's receive blocks into blocks of its own, since what waits for a slow peer must
    /// not keep a block from everybody else. The copies are counted by the pool.
    ///
    /// # Errors
    /// The pool's outbound quota is used up. What was moved stays moved, nothing is lost.
    pub fn leave_receive_blocks(&mut self, pool: &mut Pool) -> Result<(), Exhausted> {
        for piece in &mut self.pieces {
            if let Piece::Own(payload) | Piece::Gathered(payload) = piece
                && payload.is_in_receive_block()
            {
                let own = pool.copy(payload)?;
                pool.recycle(std::mem::replace(payload, own));
            }
        }
        Ok(())
    }
}

impl Piece {
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Gathered(block) | Self::Own(block) => block,
            Self::Shared(view, range) => &view[range.start as usize..range.end as usize],
        }
    }

    /// Cuts off the first `bytes`.
    fn split_to(&mut self, bytes: usize) -> Self {
        match self {
            Self::Gathered(block) => Self::Gathered(block.split_to(bytes)),
            Self::Own(block) => Self::Own(block.split_to(bytes)),
            Self::Shared(view, range) => {
                let start = range.start;
                range.start += bytes as u32;
                Self::Shared(view.clone(), start..range.start)
            }
        }
    }
}

const GATHER_FIRST_BYTES: usize = 1024;
const GATHER_MORE_BYTES: usize = 16 * 1024;
