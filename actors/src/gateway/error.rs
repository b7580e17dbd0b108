//! What is wrong with a message.

use crate::sbe::DecodeError;
use std::{error, fmt};

/// Why a message was not handed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum GatewayError {
    /// It is text.
    Text {
        /// How many bytes of it.
        bytes: usize,
    },
    /// It is no message of the schema, or no batch of such.
    Decode(DecodeError),
}

impl fmt::Display for GatewayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text { bytes } => write!(f, "text is not taken, and this is {bytes} bytes of it"),
            Self::Decode(error) => error.fmt(f),
        }
    }
}

impl error::Error for GatewayError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Text { .. } => None,
            Self::Decode(error) => Some(error),
        }
    }
}

impl From<DecodeError> for GatewayError {
    fn from(error: DecodeError) -> Self {
        Self::Decode(error)
    }
}
