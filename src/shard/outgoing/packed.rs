//! What is to be sent by a connection that moves to another shard.

use super::{Marks, Outgoing, Piece};
use crate::buf::{Buf, Frozen};
use std::ops::Range;

/// Pieces that are of no shard.
#[derive(Debug)]
pub(crate) struct PackedOutgoing {
    pieces: Vec<PackedPiece>,
    bytes: usize,
    front: usize,
    marks: Marks,
}

/// A piece that may change threads: a view is a ticket on its way.
#[derive(Debug)]
pub(crate) enum PackedPiece {
    Gathered(Buf),
    Own(Buf),
    Shared(Frozen, Range<u32>),
}

impl PackedOutgoing {
    /// Nothing of it must be in a receive block: see [`Outgoing::leave_receive_blocks`].
    pub(crate) fn of(outgoing: Outgoing) -> Self {
        let Outgoing { pieces, bytes, front, marks } = outgoing;
        Self { pieces: pieces.into_iter().map(PackedPiece::of).collect(), bytes, front, marks }
    }

    pub(crate) fn unpack(self) -> Outgoing {
        let Self { pieces, bytes, front, marks } = self;
        Outgoing { pieces: pieces.into_iter().map(PackedPiece::unpack).collect(), bytes, front, marks }
    }
}

impl PackedPiece {
    pub(crate) fn of(piece: Piece) -> Self {
        match piece {
            Piece::Gathered(block) => Self::Gathered(block),
            Piece::Own(block) => Self::Own(block),
            Piece::Shared(view, range) => Self::Shared(view.ticket(), range),
        }
    }

    pub(crate) fn unpack(self) -> Piece {
        match self {
            Self::Gathered(block) => Piece::Gathered(block),
            Self::Own(block) => Piece::Own(block),
            Self::Shared(ticket, range) => Piece::Shared(ticket.open(), range),
        }
    }
}
