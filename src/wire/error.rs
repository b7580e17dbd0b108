//! What a peer can do wrong once the connection is open, and the close code that answers it (RFC 6455 §7.4.1).

use std::fmt;

use super::close::CloseCode;
use super::frame::Rsv;

/// Why a connection must be failed: send [`close_code`](Self::close_code), then close TCP.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WireError {
    /// The peer broke RFC 6455. Answered with close 1002, or 1007 where text is not UTF-8.
    Peer(Violation),
    /// Legal, but beyond our limits. Answered with close 1009.
    TooLarge {
        /// The limit that applies, of a frame or of a message.
        limit_bytes: u64,
        /// What the frame's header says, with the message's earlier frames where the message's limit applies.
        declared_bytes: u64,
    },
    /// Legal, but in more frames than we take for one message. Answered with close 1008: it is a policy of ours, and
    /// 1009 would tell the peer that a smaller message is welcome, when the message may be tiny already.
    TooManyFragments {
        /// Frames that a message may have.
        limit: u32,
    },
}

impl WireError {
    /// The code to close with.
    ///
    /// ```
    /// use corewire::wire::{CloseCode, Violation, WireError};
    /// let error = WireError::Peer(Violation::UnmaskedFrame);
    /// assert_eq!(error.close_code(), CloseCode::PROTOCOL_ERROR);
    /// println!("{error}"); // what was wrong, what was expected, what to do
    /// ```
    pub const fn close_code(&self) -> CloseCode {
        match self {
            Self::Peer(Violation::TextNotUtf8 | Violation::CloseReasonNotUtf8) => CloseCode::INVALID_PAYLOAD,
            Self::Peer(_) => CloseCode::PROTOCOL_ERROR,
            Self::TooLarge { .. } => CloseCode::TOO_BIG,
            Self::TooManyFragments { .. } => CloseCode::POLICY_VIOLATION,
        }
    }
}

impl From<Violation> for WireError {
    fn from(violation: Violation) -> Self {
        Self::Peer(violation)
    }
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Peer(violation) => violation.fmt(f),
            Self::TooLarge { limit_bytes, declared_bytes } => write!(
                f,
                "{declared_bytes} bytes declared where {limit_bytes} are the limit: send less at once, or raise the limit"
            ),
            Self::TooManyFragments { limit } => write!(
                f,
                "a message in more than {limit} frames: send it in fewer, larger frames, or raise the limit"
            ),
        }
    }
}

impl std::error::Error for WireError {}

/// A sentence of RFC 6455 that the peer did not keep.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Violation {
    /// A frame from a client without a mask (§5.1).
    UnmaskedFrame,
    /// A frame from a server with a mask (§5.1).
    MaskedFrame,
    /// RSV bits that no negotiated extension has claimed for such a frame (§5.2).
    ReservedBits(Rsv),
    /// Opcode 3–7 or 11–15 (§5.2).
    ReservedOpcode(u8),
    /// A length in more bytes than it needs (§5.2).
    NonMinimalLength,
    /// A length of 64 bits whose top bit is set (§5.2).
    LengthTopBit,
    /// A control frame with more than 125 bytes (§5.5).
    ControlTooLong,
    /// A control frame without FIN (§5.5).
    ControlFragmented,
    /// A continuation where no message has begun (§5.4).
    ContinuationWithoutStart,
    /// A new message before the one that came in fragments has ended (§5.4).
    MessageUnfinished,
    /// A close frame with a payload of one byte (§5.5.1).
    CloseTooShort,
    /// A close code that must not travel (§7.4).
    CloseCodeInvalid(u16),
    /// A text message that is not UTF-8 (§8.1).
    TextNotUtf8,
    /// A close reason that is not UTF-8 (§5.5.1).
    CloseReasonNotUtf8,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::UnmaskedFrame => "frame without a mask: a client must mask every frame (RFC 6455 5.1)",
            Self::MaskedFrame => "masked frame from a server: a server must not mask (RFC 6455 5.1)",
            Self::ReservedBits(rsv) => {
                return write!(
                    f,
                    "RSV bits {:#04x} set: no extension was agreed that uses them here; clear them (RFC 6455 5.2)",
                    rsv.bits()
                );
            }
            Self::ReservedOpcode(opcode) => {
                return write!(f, "opcode {opcode} is reserved: use 0, 1, 2, 8, 9 or 10 (RFC 6455 5.2)");
            }
            Self::NonMinimalLength => {
                "length in more bytes than needed: encode it in the fewest (RFC 6455 5.2)"
            }
            Self::LengthTopBit => "length with its top bit set: it must be below 2^63 (RFC 6455 5.2)",
            Self::ControlTooLong => "control frame over 125 bytes: send a shorter payload (RFC 6455 5.5)",
            Self::ControlFragmented => "control frame without FIN: send it in one frame (RFC 6455 5.5)",
            Self::ContinuationWithoutStart => {
                "continuation without a message to continue: begin with a text or binary frame (RFC 6455 5.4)"
            }
            Self::MessageUnfinished => {
                "new message inside a fragmented one: end the first with a continuation that has FIN (RFC 6455 5.4)"
            }
            Self::CloseTooShort => {
                "close frame with one byte: send none, or a code of two bytes (RFC 6455 5.5.1)"
            }
            Self::CloseCodeInvalid(code) => {
                return write!(
                    f,
                    "close code {code} must not be sent: use 1000-1003, 1007-1014 or 3000-4999 (RFC 6455 7.4)"
                );
            }
            Self::TextNotUtf8 => {
                "text message that is not UTF-8: send it as UTF-8, or as binary (RFC 6455 8.1)"
            }
            Self::CloseReasonNotUtf8 => "close reason that is not UTF-8: send it as UTF-8 (RFC 6455 5.5.1)",
        };
        f.write_str(text)
    }
}

impl std::error::Error for Violation {}
