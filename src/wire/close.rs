//! Closing: the codes, the payload of a close frame, and who closes when (RFC 6455 §5.5.1, §7).
//!
//! Who closes when:
//! - Whoever receives a close frame and has not sent one answers with one, usually with the same code, and sends
//!   nothing after it (§5.5.1). The bytes that come after a close frame mean nothing any more.
//! - Whoever has sent a close frame sends no data after it, and waits for the peer's (§7.1.2). The RFC sets no
//!   deadline; the connection must.
//! - When both have been sent and received, the server closes TCP first, so that the TIME_WAIT is its own; a
//!   client waits for that (§7.1.1).
//! - Whoever fails the connection (a [`WireError`](super::WireError)) sends a close frame with the code of the
//!   error where it can, reads no more and closes TCP without waiting for an answer (§7.1.7).

use super::error::Violation;
use super::frame;
use super::mask::Key;
use super::utf8;

/// The longest reason: a control frame has room for 125 bytes, and the code takes two.
pub const REASON_BYTES_MAX: usize = frame::CONTROL_BYTES_MAX - 2;

/// A close code that may be sent and received: 1000–1003, 1007–1014 and 3000–4999.
///
/// RFC 6455 §7.4 and the IANA registry. 1005, 1006 and 1015 tell a program why a connection ended but never travel;
/// the others are unassigned.
///
/// ```
/// use corewire::wire::close::CloseCode;
/// assert_eq!(CloseCode::new(1000), Some(CloseCode::NORMAL));
/// assert_eq!(CloseCode::new(4001).map(CloseCode::get), Some(4001)); // yours to define
/// assert_eq!(CloseCode::new(1006), None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CloseCode(u16);

impl CloseCode {
    /// The purpose of the connection is fulfilled.
    pub const NORMAL: Self = Self(1000);
    /// The endpoint goes away: a server shuts down, a page is left.
    pub const GOING_AWAY: Self = Self(1001);
    /// The peer broke the protocol.
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// Data of a kind that the endpoint does not take, such as binary where it wants text.
    pub const UNSUPPORTED_DATA: Self = Self(1003);
    /// Data that is not what its kind says, such as text that is not UTF-8.
    pub const INVALID_PAYLOAD: Self = Self(1007);
    /// Against a policy of the endpoint; for when no other code fits.
    pub const POLICY_VIOLATION: Self = Self(1008);
    /// A message that is too big to process.
    pub const TOO_BIG: Self = Self(1009);
    /// A client wanted an extension that the server did not grant; sent by clients only.
    pub const EXTENSION_MISSING: Self = Self(1010);
    /// The server met something unexpected and cannot go on.
    pub const INTERNAL_ERROR: Self = Self(1011);
    /// The service restarts; come back in a moment (IANA registry).
    pub const SERVICE_RESTART: Self = Self(1012);
    /// Overloaded; come back later (IANA registry).
    pub const TRY_AGAIN_LATER: Self = Self(1013);
    /// A gateway got a bad answer from behind it (IANA registry).
    pub const BAD_GATEWAY: Self = Self(1014);

    /// `code` if it may travel in a close frame.
    pub const fn new(code: u16) -> Option<Self> {
        match code {
            1000..=1003 | 1007..=1014 | 3000..=4999 => Some(Self(code)),
            _ => None,
        }
    }

    /// The number.
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl std::fmt::Display for CloseCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// What a close frame's payload says: nothing, or a code; the reason is all that follows the code's two bytes.
///
/// ```
/// use corewire::wire::close::{CloseCode, parse};
/// use corewire::wire::Violation;
/// assert_eq!(parse(b""), Ok(None));
/// assert_eq!(parse(b"\x03\xe9gone"), Ok(Some(CloseCode::GOING_AWAY)));
/// assert_eq!(parse(b"\x03\xee"), Err(Violation::CloseCodeInvalid(1006)));
/// ```
pub fn parse(payload: &[u8]) -> Result<Option<CloseCode>, Violation> {
    match payload {
        [] => Ok(None),
        [_] => Err(Violation::CloseTooShort),
        [high, low, reason @ ..] => {
            let code = u16::from_be_bytes([*high, *low]);
            let valid = CloseCode::new(code).ok_or(Violation::CloseCodeInvalid(code))?;
            utf8::check(reason).map_err(|_| Violation::CloseReasonNotUtf8)?;
            Ok(Some(valid))
        }
    }
}

/// Append a whole close frame to `out`: masked with `key` by a client, `None` by a server. A reason above
/// [`REASON_BYTES_MAX`] is cut at a character's boundary. Without a code there is no reason either (RFC 6455 §5.5.1).
///
/// ```
/// use corewire::wire::close::{self, CloseCode};
/// let mut out = Vec::new();
/// close::encode(Some(CloseCode::GOING_AWAY), "bye", None, &mut out);
/// assert_eq!(out, b"\x88\x05\x03\xe9bye");
/// ```
pub fn encode(code: Option<CloseCode>, reason: &str, key: Option<Key>, out: &mut Vec<u8>) {
    let mut payload = [0; frame::CONTROL_BYTES_MAX];
    let mut payload_bytes = 0;
    if let Some(code) = code {
        let mut end = reason.len().min(REASON_BYTES_MAX);
        while !reason.is_char_boundary(end) {
            end -= 1;
        }
        let reason = &reason.as_bytes()[..end];
        payload_bytes = 2 + reason.len();
        payload[..2].copy_from_slice(&code.get().to_be_bytes());
        payload[2..payload_bytes].copy_from_slice(reason);
    }
    frame::append(frame::Opcode::Close, key, &payload[..payload_bytes], out);
}

/// How far the closing handshake has come; one byte inside the [`Machine`](super::Machine).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Closing(u8);

impl Closing {
    pub(super) const NONE: Self = Self(0);
    const SENT: u8 = 1;
    const RECEIVED: u8 = 2;
    const FAILED: u8 = 4;

    pub(super) fn set_sent(&mut self) {
        self.0 |= Self::SENT;
    }

    pub(super) fn set_received(&mut self) {
        self.0 |= Self::RECEIVED;
    }

    pub(super) fn set_failed(&mut self) {
        self.0 |= Self::FAILED;
    }

    pub(super) fn sent(self) -> bool {
        self.0 & Self::SENT != 0
    }

    pub(super) fn received(self) -> bool {
        self.0 & Self::RECEIVED != 0
    }

    pub(super) fn failed(self) -> bool {
        self.0 & Self::FAILED != 0
    }
}
