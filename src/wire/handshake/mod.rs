//! The opening handshake (RFC 6455 §4): what makes of an HTTP request a WebSocket connection.
//!
//! - here: the key, and the proof that the server has read it
//! - `server`: [`parse`] the request, write the [`response`] (§4.2)
//! - `error`: what can be wrong with a request, and the status that answers it
//! - `client`: write the [`request`], check the response ([`check_response`], §4.1)

mod client;
mod error;
mod server;

use std::fmt;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use sha1::{Digest as _, Sha1};

pub use client::{Answer, AnswerError, check_response, request};
pub use error::HandshakeError;
pub use server::{Progress, parse, response};

/// RFC 6455 §1.3; a value that nobody who does not know WebSocket would come up with.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Some clients write 22 random letters and `==`: the last letter's spare bits need not be zero.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

/// The value of `Sec-WebSocket-Key`: 16 bytes in base64, chosen anew for every connection.
///
/// ```
/// use corewire::wire::handshake::{Key, accept};
/// let key = Key::parse("dGhlIHNhbXBsZSBub25jZQ==").unwrap();
/// assert_eq!(key, Key::from_nonce(*b"the sample nonce"));
/// assert_eq!(&accept(&key), b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Key([u8; 24]);

impl Key {
    /// From 16 random bytes.
    pub fn from_nonce(nonce: [u8; 16]) -> Self {
        let mut key = [0; 24];
        STANDARD.encode_slice(nonce, &mut key).expect("16 bytes make 24 of base64");
        Self(key)
    }

    /// As it stands in a header; `None` if it is not 16 bytes in base64.
    pub fn parse(value: &str) -> Option<Self> {
        let key = value.as_bytes().try_into().ok()?;
        let mut nonce = [0; 18]; // what 24 letters can hold at most
        let nonce_bytes = LENIENT.decode_slice(value, &mut nonce).ok()?;
        (nonce_bytes == 16).then_some(Self(key))
    }

    /// As it stands in a header; ASCII.
    pub fn as_bytes(&self) -> &[u8; 24] {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.0.escape_ascii())
    }
}

/// The value of `Sec-WebSocket-Accept` that proves that the server has read `key` (RFC 6455 §4.2.2); ASCII.
pub fn accept(key: &Key) -> [u8; 28] {
    let digest = Sha1::new().chain_update(key.0).chain_update(GUID).finalize();
    let mut accept = [0; 28];
    STANDARD.encode_slice(digest, &mut accept).expect("20 bytes make 28 of base64");
    accept
}
