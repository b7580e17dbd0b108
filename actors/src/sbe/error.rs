//! What is wrong with bytes that should be a message: what was expected, and what was found.

use std::{error, fmt};

/// Why bytes are not the message that they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// They end before the message does.
    Insufficient {
        /// How many bytes the message has.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// They are of another schema.
    Schema {
        /// Ours.
        expected: u16,
        /// Theirs.
        found: u16,
    },
    /// They are another message of the schema.
    Template {
        /// The one that was asked for.
        expected: u16,
        /// The one that it is.
        found: u16,
    },
    /// They are of a message that we do not know.
    UnknownTemplate {
        /// Its number.
        found: u16,
    },
    /// Their block is too short for what a message of their version has.
    BlockLength {
        /// Their version of the schema.
        version: u16,
        /// How long such a block is at least.
        expected: usize,
        /// How long theirs is said to be.
        found: usize,
    },
    /// They are packed messages, and one has another header than the first.
    Mixed {
        /// Which one, from 0.
        at: usize,
    },
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Insufficient { expected, found } => {
                write!(f, "insufficient data: expected {expected} bytes, got {found}")
            }
            Self::Schema { expected, found } => write!(f, "wrong schema: expected {expected}, got {found}"),
            Self::Template { expected, found } => {
                write!(f, "wrong template: expected {expected}, got {found}")
            }
            Self::UnknownTemplate { found } => write!(f, "unknown template: {found}"),
            Self::BlockLength { version, expected, found } => {
                write!(f, "wrong block length: expected {expected} bytes of version {version}, got {found}")
            }
            Self::Mixed { at } => {
                write!(f, "mixed messages: number {at} of those that are packed has another header")
            }
        }
    }
}

impl error::Error for DecodeError {}

/// A message that does not fit where it was to be written; nothing was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoRoomFor {
    /// How many bytes it has.
    pub bytes: usize,
    /// How many would have fitted.
    pub room_bytes: usize,
}

impl fmt::Display for NoRoomFor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "insufficient room: expected {} bytes, got {}", self.bytes, self.room_bytes)
    }
}

impl error::Error for NoRoomFor {}
