//! What a peer says, and what is said to it.

use crate::buf::Buf;
use crate::wire::Kind;
use std::fmt;

/// A message, owned. It can be kept, sent to another actor, or sent back, without a copy of what is in it.
///
/// Once given away it cannot be used:
///
/// ```compile_fail,E0382
/// use corewire::connection::{Client, Message};
/// fn echo(client: &mut Client<'_>, message: Message) {
///     let _ = client.send(message);
///     println!("{} bytes", message.len()); // the bytes are the connection's now
/// }
/// ```
#[derive(Debug)]
pub enum Message {
    /// UTF-8, and checked.
    Text(Text),
    /// Any bytes.
    Binary(Buf),
}

impl Message {
    /// How many bytes it has.
    pub fn len(&self) -> usize {
        self.as_bytes().len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => &text.0,
            Self::Binary(bytes) => bytes,
        }
    }

    /// Text or binary.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Text(_) => Kind::Text,
            Self::Binary(_) => Kind::Binary,
        }
    }

    /// The text, if it is text.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text.as_str()),
            Self::Binary(_) => None,
        }
    }

    /// Its bytes, owned.
    pub fn into_bytes(self) -> Buf {
        match self {
            Self::Text(text) => text.0,
            Self::Binary(bytes) => bytes,
        }
    }

    /// The wire has checked that it is UTF-8 if `kind` says text.
    pub(crate) fn checked(kind: Kind, bytes: Buf) -> Self {
        match kind {
            Kind::Text => Self::Text(Text(bytes)),
            Kind::Binary => Self::Binary(bytes),
        }
    }
}

/// Bytes that are UTF-8.
#[derive(Debug)]
pub struct Text(Buf);

impl Text {
    /// Text from bytes.
    ///
    /// # Errors
    /// They are not UTF-8; they come back.
    pub fn from_utf8(bytes: Buf) -> Result<Self, Buf> {
        if simdutf8::basic::from_utf8(&bytes).is_ok() { Ok(Self(bytes)) } else { Err(bytes) }
    }

    /// The text. Checks it again, at several bytes a nanosecond, since nothing unsafe is done here for less.
    pub fn as_str(&self) -> &str {
        simdutf8::basic::from_utf8(&self.0)
            .expect("it was checked when it was made, and nobody could change it since")
    }

    /// How many bytes it has.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Its bytes, owned.
    pub fn into_bytes(self) -> Buf {
        self.0
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
