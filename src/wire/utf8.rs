//! UTF-8 that arrives in pieces (RFC 6455 §8.1), refused at the first byte that cannot be.
//!
//! [`Utf8`] carries the beginning of a character, at most three bytes, from one piece to the next; all else is
//! checked in bulk by simdutf8.

/// Below this simdutf8 leaves it to the standard library, after a call that costs more than the check.
const BULK_BYTES: usize = 64;

/// The text is not UTF-8: a sequence that no further byte can mend, or a character cut off by the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidUtf8;

impl std::fmt::Display for InvalidUtf8 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("text is not UTF-8")
    }
}

impl std::error::Error for InvalidUtf8 {}

/// A check in progress; four bytes.
///
/// ```
/// use corewire::wire::utf8::Utf8;
/// let mut text = Utf8::new();
/// let (a, b) = "é".as_bytes().split_at(1);
/// text.push(a).unwrap();
/// assert!(text.finish().is_err(), "half a character");
/// text.push(b).unwrap();
/// assert!(text.finish().is_ok());
/// assert!(text.push(b"\xf4\x90").is_err(), "above U+10FFFF, whatever follows");
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Utf8 {
    carried: [u8; 3],
    carried_bytes: u8,
}

impl Utf8 {
    /// Nothing checked yet.
    pub const fn new() -> Self {
        Self { carried: [0; 3], carried_bytes: 0 }
    }

    /// Check the next piece; an error is final.
    #[inline]
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<(), InvalidUtf8> {
        if self.carried_bytes > 0 {
            bytes = self.finish_character(bytes)?;
        }
        let Err(error) = simdutf8::compat::from_utf8(bytes) else { return Ok(()) };
        if error.error_len().is_some() {
            return Err(InvalidUtf8);
        }
        self.carry(&bytes[error.valid_up_to()..]);
        Ok(())
    }

    /// Whether the text may end here: no character is half there.
    #[inline]
    pub fn finish(&self) -> Result<(), InvalidUtf8> {
        if self.carried_bytes == 0 { Ok(()) } else { Err(InvalidUtf8) }
    }

    /// Put bytes from the front of `bytes` to the carried ones until they make a character; returns the rest.
    fn finish_character<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], InvalidUtf8> {
        let carried = usize::from(self.carried_bytes);
        let character_bytes = match self.carried[0] {
            0xF0.. => 4,
            0xE0.. => 3,
            _ => 2,
        };
        let taken = bytes.len().min(character_bytes - carried);
        let mut character = [0; 4];
        character[..carried].copy_from_slice(&self.carried[..carried]);
        character[carried..carried + taken].copy_from_slice(&bytes[..taken]);
        let character = &character[..carried + taken];
        match std::str::from_utf8(character) {
            Ok(_) => self.carried_bytes = 0,
            Err(error) if error.error_len().is_none() => self.carry(character),
            Err(_) => return Err(InvalidUtf8),
        }
        Ok(&bytes[taken..])
    }

    /// Keep the beginning of a character: one to three bytes.
    fn carry(&mut self, beginning: &[u8]) {
        self.carried[..beginning.len()].copy_from_slice(beginning);
        self.carried_bytes = beginning.len() as u8;
    }
}

/// Check a text that is all there.
///
/// ```
/// use corewire::wire::utf8::{InvalidUtf8, check};
/// assert_eq!(check("é".as_bytes()), Ok(()));
/// assert_eq!(check(b"\xe9"), Err(InvalidUtf8));
/// ```
#[inline]
pub fn check(bytes: &[u8]) -> Result<(), InvalidUtf8> {
    if bytes.len() < BULK_BYTES {
        if bytes.is_ascii() {
            return Ok(()); // most short texts are, and it is known in a third of the time
        }
        return std::str::from_utf8(bytes).map(|_| ()).map_err(|_| InvalidUtf8);
    }
    simdutf8::basic::from_utf8(bytes).map(|_| ()).map_err(|_| InvalidUtf8)
}
