//! The header before each message: which one it is, of which schema and version, and how long its block is.

use super::Message;
use super::error::DecodeError;
use super::field::Field;

/// Bytes of a [`Header`].
pub const HEADER_BYTES: usize = 8;

/// What is before each message.
///
/// ```
/// use corewire_actors::sbe::Header;
/// let header = Header::read(&[21, 0, 1, 0, 1, 0, 0, 0]);
/// assert_eq!(header, Header { block_length: 21, template_id: 1, schema_id: 1, version: 0 });
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Bytes of the message's fixed fields, as who wrote it knows them.
    pub block_length: u16,
    /// Which message it is.
    pub template_id: u16,
    /// Of which schema.
    pub schema_id: u16,
    /// And of which version of that.
    pub version: u16,
}

impl Header {
    /// From its bytes.
    #[inline(always)]
    pub fn read(bytes: &[u8; HEADER_BYTES]) -> Self {
        Self {
            block_length: u16::read(bytes),
            template_id: u16::read(&bytes[2..]),
            schema_id: u16::read(&bytes[4..]),
            version: u16::read(&bytes[6..]),
        }
    }

    /// As bytes.
    #[inline(always)]
    pub const fn write(&self) -> [u8; HEADER_BYTES] {
        let [a, b] = self.block_length.to_le_bytes();
        let [c, d] = self.template_id.to_le_bytes();
        let [e, f] = self.schema_id.to_le_bytes();
        let [g, h] = self.version.to_le_bytes();
        [a, b, c, d, e, f, g, h]
    }

    /// How many bytes a message with this header has, header and all.
    #[inline(always)]
    pub fn message_bytes(&self) -> usize {
        HEADER_BYTES + usize::from(self.block_length)
    }

    /// Whether this is the header of a message `M`, of whatever version.
    ///
    /// # Errors
    /// Which it is instead, or that its block is too short.
    #[inline(always)]
    pub fn check<M: Message>(&self) -> Result<(), DecodeError> {
        let expected = M::block_bytes(self.version);
        let found = usize::from(self.block_length);
        if self.schema_id == M::SCHEMA_ID && self.template_id == M::TEMPLATE_ID && found >= expected {
            return Ok(());
        }
        Err(self.wrong::<M>(expected))
    }

    #[cold]
    fn wrong<M: Message>(&self, expected: usize) -> DecodeError {
        if self.schema_id != M::SCHEMA_ID {
            DecodeError::Schema { expected: M::SCHEMA_ID, found: self.schema_id }
        } else if self.template_id != M::TEMPLATE_ID {
            DecodeError::Template { expected: M::TEMPLATE_ID, found: self.template_id }
        } else {
            DecodeError::BlockLength { version: self.version, expected, found: self.block_length.into() }
        }
    }
}
