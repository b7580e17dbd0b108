//! Messages: what fragments make together, and how much of it we take (RFC 6455 §5.4, §10.4).

use super::error::{Violation, WireError};
use super::frame::{Header, Opcode, Rsv};
use super::utf8::{self, Utf8};

/// What a message holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// UTF-8, and checked.
    Text,
    /// Any bytes.
    Binary,
}

/// What we take from a peer. Checked against the declared length in the header, before any payload is taken.
///
/// ```
/// use corewire::wire::Limits;
/// let limits = Limits { message_bytes_max: 1 << 20, ..Limits::default() };
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes that one frame may have.
    pub frame_bytes_max: u64,
    /// Bytes that the frames of one message may have together.
    pub message_bytes_max: u64,
    /// Frames that one message may have; 1 refuses fragments. Bounds the work that tiny fragments cause.
    pub fragments_max: u32,
}

impl Default for Limits {
    /// 16 MiB a frame and a message, in at most 131,072 frames: twice what 4 MiB in fragments of 64 bytes take, which
    /// the Autobahn suite sends with one frame more at the end.
    fn default() -> Self {
        Self { frame_bytes_max: 16 << 20, message_bytes_max: 16 << 20, fragments_max: 1 << 17 }
    }
}

/// The message whose frames are coming in.
#[derive(Debug)]
pub(super) struct Assembly {
    declared_bytes: u64,
    fragments: u32,
    utf8: Utf8,
    open: Option<Kind>,
    rsv: Rsv,
}

impl Assembly {
    pub(super) const fn new() -> Self {
        Self { declared_bytes: 0, fragments: 0, utf8: Utf8::new(), open: None, rsv: Rsv::NONE }
    }

    /// A data frame's header has come: may it be here, and do we take it? Says what the message is.
    #[inline]
    pub(super) fn begin_frame(&mut self, header: &Header, limits: &Limits) -> Result<Kind, WireError> {
        let kind = match (header.opcode, self.open) {
            (Opcode::Continuation, Some(kind)) => kind,
            (Opcode::Continuation, None) => return Err(Violation::ContinuationWithoutStart.into()),
            (_, Some(_)) => return Err(Violation::MessageUnfinished.into()),
            (opcode, None) => {
                let kind = if opcode == Opcode::Text { Kind::Text } else { Kind::Binary };
                *self = Self { open: Some(kind), rsv: header.rsv, ..Self::new() };
                kind
            }
        };
        let too_large = |limit_bytes, declared_bytes| WireError::TooLarge { limit_bytes, declared_bytes };
        if header.payload_bytes > limits.frame_bytes_max {
            return Err(too_large(limits.frame_bytes_max, header.payload_bytes));
        }
        self.declared_bytes = self.declared_bytes.saturating_add(header.payload_bytes);
        if self.declared_bytes > limits.message_bytes_max {
            return Err(too_large(limits.message_bytes_max, self.declared_bytes));
        }
        self.fragments = self.fragments.saturating_add(1);
        if self.fragments > limits.fragments_max {
            return Err(WireError::TooManyFragments { limit: limits.fragments_max });
        }
        Ok(kind)
    }

    /// The payload is the whole message.
    #[inline]
    pub(super) fn whole(&mut self, kind: Kind, payload: &[u8]) -> Result<(), Violation> {
        self.open = None;
        if self.is_plain_text(kind) {
            utf8::check(payload).map_err(|_| Violation::TextNotUtf8)?;
        }
        Ok(())
    }

    /// The payload is the next piece of the message, `last` the end of it.
    #[inline]
    pub(super) fn piece(&mut self, kind: Kind, payload: &[u8], last: bool) -> Result<(), Violation> {
        if self.is_plain_text(kind) {
            self.utf8.push(payload).map_err(|_| Violation::TextNotUtf8)?;
            if last {
                self.utf8.finish().map_err(|_| Violation::TextNotUtf8)?;
            }
        }
        if last {
            self.open = None;
        }
        Ok(())
    }

    /// What the message is, while one is open.
    #[inline]
    pub(super) fn open(&self) -> Option<Kind> {
        self.open
    }

    /// The extensions' bits of the message's first frame.
    #[inline]
    pub(super) fn rsv(&self) -> Rsv {
        self.rsv
    }

    /// What the message's frames have declared so far, the current one included.
    #[inline]
    pub(super) fn declared_bytes(&self) -> u64 {
        self.declared_bytes
    }

    /// An extension's bit says that the bytes are not yet the message's own; then UTF-8 is the extension's to check.
    #[inline]
    fn is_plain_text(&self, kind: Kind) -> bool {
        kind == Kind::Text && self.rsv == Rsv::NONE
    }
}
