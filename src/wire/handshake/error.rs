//! What can be wrong with a request, and the status that answers it.

use std::fmt;

use crate::wire::http::Refusal;

/// Why a request is refused. Send [`refusal`](Self::refusal), then close TCP.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HandshakeError {
    /// Not an HTTP request: 400.
    NotHttp {
        /// What was expected where the request is wrong.
        expected: &'static str,
    },
    /// The head is longer than we take: 431.
    HeadTooLarge {
        /// What we take.
        limit_bytes: usize,
    },
    /// More header lines than we take: 431.
    TooManyHeaders {
        /// What we take.
        limit: usize,
    },
    /// Not HTTP/1.1: 505.
    HttpVersion,
    /// No `Host`, or several, or one that is no host: 400 (RFC 9112 §3.2).
    Host,
    /// Not `GET`: 405 (RFC 6455 §4.1).
    Method,
    /// A target that is neither a path nor a URI of http, or that has a fragment: 400.
    Target,
    /// `Upgrade` does not say `websocket`: 400.
    Upgrade,
    /// `Connection` does not say `upgrade`: 400.
    Connection,
    /// A request to upgrade has no body; what follows its head are frames: 400.
    Body,
    /// `Sec-WebSocket-Version` is not 13: 426, which says that we speak 13 (RFC 6455 §4.4).
    Version,
    /// `Sec-WebSocket-Version` stands there twice: 400 (RFC 6455 §11.3.5).
    VersionRepeated,
    /// No `Sec-WebSocket-Key`, or several, or one that is not 16 bytes in base64: 400.
    Key,
    /// A subprotocol whose name is no token: 400.
    Subprotocol,
}

impl HandshakeError {
    /// The answer.
    ///
    /// ```
    /// use corewire::wire::handshake::HandshakeError;
    /// assert_eq!(HandshakeError::Host.refusal().status(), 400);
    /// assert_eq!(HandshakeError::Version.refusal().status(), 426);
    /// ```
    pub fn refusal(&self) -> Refusal {
        let refusal = match self {
            Self::Version => Refusal::upgrade_required(),
            Self::HeadTooLarge { .. } | Self::TooManyHeaders { .. } => Refusal::new(431),
            Self::HttpVersion => Refusal::new(505),
            Self::Method => Refusal::method_not_allowed(),
            _ => Refusal::new(400),
        };
        refusal.with_body(format!("{self}\n"))
    }
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotHttp { expected } => return write!(f, "not an HTTP request: expected {expected}"),
            Self::HeadTooLarge { limit_bytes } => {
                return write!(f, "request head over {limit_bytes} bytes: send less, or raise the limit");
            }
            Self::TooManyHeaders { limit } => {
                return write!(f, "more than {limit} header lines: send fewer, or raise the limit");
            }
            Self::HttpVersion => "HTTP/1.1 is needed: ask with it",
            Self::Host => "exactly one Host header with a host is needed",
            Self::Method => "a WebSocket is asked for by GET",
            Self::Target => "the target must be a path, or a URI of http, without a fragment",
            Self::Upgrade => "an Upgrade header that says websocket is needed",
            Self::Connection => "a Connection header that says Upgrade is needed",
            Self::Body => "a request for a WebSocket has no body",
            Self::Version => "Sec-WebSocket-Version must be 13",
            Self::VersionRepeated => "Sec-WebSocket-Version must stand there once",
            Self::Key => "exactly one Sec-WebSocket-Key is needed, of 16 bytes in base64",
            Self::Subprotocol => "Sec-WebSocket-Protocol must be a list of tokens",
        })
    }
}

impl std::error::Error for HandshakeError {}
