//! The little HTTP that a WebSocket handshake needs (RFC 9110, RFC 9112).
//!
//! - here: what may stand in a head, and how much of it we take
//! - `request`: a request's head, to read
//! - `refusal`: an answer that is not an upgrade, to write
//! - `page`: one that refuses nothing

mod page;
mod refusal;
mod request;

use std::fmt;

pub use page::Page;
pub use refusal::Refusal;
pub(super) use request::Headers;
pub use request::Request;

/// What we take of a head, request or response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadLimits {
    /// Bytes up to and with the empty line.
    pub head_bytes_max: usize,
    /// Header lines.
    pub headers_max: usize,
}

impl Default for HeadLimits {
    /// 8 KiB and 64 lines.
    fn default() -> Self {
        Self { head_bytes_max: 8 << 10, headers_max: 64 }
    }
}

/// Why a header must not be sent.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeaderError {
    /// The name, or a subprotocol, is not a token: letters, digits and some marks.
    Name(String),
    /// The value of this header has a line break or another control character in it: it would end the header, and
    /// what follows it would be taken for headers of ours.
    Value(String),
    /// The handshake itself writes this header.
    Reserved(String),
    /// The client has not offered this subprotocol.
    SubprotocolNotOffered(String),
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(f, "{name:?} is not a token: use letters, digits and -"),
            Self::Value(name) => write!(f, "control character in the value of {name:?}: take it out"),
            Self::Reserved(name) => write!(f, "{name:?} is written by the handshake: leave it out"),
            Self::SubprotocolNotOffered(name) => {
                write!(f, "subprotocol {name:?} was not offered: choose one that was, or none")
            }
        }
    }
}

impl std::error::Error for HeaderError {}

/// Names that an application may not add to a head, because the head's meaning depends on them.
const RESERVED: [&str; 9] = [
    "connection",
    "content-length",
    "sec-websocket-accept",
    "sec-websocket-extensions",
    "sec-websocket-key",
    "sec-websocket-protocol",
    "sec-websocket-version",
    "transfer-encoding",
    "upgrade",
];

/// May an application add this header to a head?
pub(super) fn check_header(name: &str, value: &str) -> Result<(), HeaderError> {
    if !is_token(name) {
        return Err(HeaderError::Name(name.into()));
    }
    if RESERVED.iter().any(|reserved| name.eq_ignore_ascii_case(reserved)) {
        return Err(HeaderError::Reserved(name.into()));
    }
    if value.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t') {
        return Err(HeaderError::Value(name.into()));
    }
    Ok(())
}

/// RFC 9110 §5.6.2.
pub(super) fn is_token(text: &str) -> bool {
    let is_mark = |byte| b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || is_mark(byte))
}

/// A host with or without a port; loosely, so that nothing gets through that would end it (RFC 3986 §3.2).
pub(super) fn is_host(text: &[u8]) -> bool {
    let is_mark = |byte| b"-._~%!$&'()*+;=:[]".contains(&byte);
    !text.is_empty() && text.iter().all(|byte| byte.is_ascii_alphanumeric() || is_mark(*byte))
}

pub(super) fn push_header(name: &str, value: &str, out: &mut Vec<u8>) {
    for part in [name, ": ", value, "\r\n"] {
        out.extend_from_slice(part.as_bytes());
    }
}
