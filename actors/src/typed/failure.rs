//! What a client is told of a message that was not handled.
//!
//! Does not know: the wire.

use super::place::path_to;
use crate::rooms::RoomError;
use corewire::actor::{AskError, Refused, SendError};
use corewire::connection::Close;
use std::borrow::Cow;
use std::fmt;

/// Why a message was not handled, for its client: a code for programs, and words for people. Or that the connection is
/// to be closed, if it was made from a [`Close`].
///
/// Made by `?` from text (`failed`), from what could not be sent (`busy`, `gone`) or was not answered (`failed`), from a
/// [`RoomError`] with its own code, and from a [`Close`].
///
/// ```
/// use corewire_actors::typed::Failure;
///
/// fn dice(faces: u32) -> Result<u32, Failure> {
///     if faces > 100 {
///         return Err(Failure::new("too_many", "a die has 100 faces at most"));
///     }
///     4_u32.checked_rem(faces).ok_or_else(|| "no faces, no luck".into())
/// }
/// assert_eq!(dice(0).unwrap_err().code(), "failed");
/// assert_eq!(dice(101).unwrap_err().code(), "too_many");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure(Kind);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Told { code: Cow<'static, str>, message: Cow<'static, str> },
    Close(Close),
}

impl Failure {
    /// With this code, a word, and in these words. The protocol's own codes are `unknown_type`, `bad_json`, `bad_data`,
    /// `binary` and `failed`.
    pub fn new(code: impl Into<Cow<'static, str>>, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Kind::Told { code: code.into(), message: message.into() })
    }

    /// The code; `close` if the connection is to be closed.
    pub fn code(&self) -> &str {
        match &self.0 {
            Kind::Told { code, .. } => code,
            Kind::Close(_) => "close",
        }
    }

    /// These data are not what they should be.
    pub(super) fn bad_data(data: &str, error: &serde_json::Error) -> Self {
        let path = path_to(data, error.line(), error.column());
        let separator = if path.is_empty() { "" } else { ": " };
        Self::new("bad_data", format!("{path}{separator}{error}"))
    }

    /// Code and message, or the close.
    pub(super) fn into_words(self) -> Result<(Cow<'static, str>, Cow<'static, str>), Close> {
        match self.0 {
            Kind::Told { code, message } => Ok((code, message)),
            Kind::Close(close) => Err(close),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Told { code, message } => write!(f, "{code}: {message}"),
            Kind::Close(close) => write!(f, "close with {}", close.code()),
        }
    }
}

impl std::error::Error for Failure {}

impl From<&'static str> for Failure {
    fn from(message: &'static str) -> Self {
        Self::new("failed", message)
    }
}

impl From<String> for Failure {
    fn from(message: String) -> Self {
        Self::new("failed", message)
    }
}

/// The connection is closed.
impl From<Close> for Failure {
    fn from(close: Close) -> Self {
        Self(Kind::Close(close))
    }
}

impl<M> From<SendError<M>> for Failure {
    fn from(error: SendError<M>) -> Self {
        match error.reason() {
            Refused::Full => Self::new("busy", "too much waits; try again later"),
            Refused::Gone => Self::new("gone", "whom this was for has stopped"),
        }
    }
}

impl From<AskError> for Failure {
    fn from(error: AskError) -> Self {
        Self::new("failed", error.to_string())
    }
}

impl From<RoomError> for Failure {
    fn from(error: RoomError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}
