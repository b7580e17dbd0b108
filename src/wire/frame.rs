//! The base framing protocol: a frame's header, read and written (RFC 6455 §5.2).
//!
//! What can be told from one header alone is checked here; what depends on the frames before it, in the
//! [`Machine`](super::Machine).

use super::error::Violation;
use super::mask::{self, Key};

/// The longest header: 2 bytes, 8 of length, 4 of mask.
pub const HEADER_BYTES_MAX: usize = 14;
/// The longest payload of a control frame (RFC 6455 §5.5).
pub const CONTROL_BYTES_MAX: usize = 125;

/// What a frame is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Opcode {
    /// More of the message that has begun.
    Continuation = 0,
    /// A message of text begins, or is whole.
    Text = 1,
    /// A message of any bytes begins, or is whole.
    Binary = 2,
    /// The peer closes; the first half of the closing handshake, or the second.
    Close = 8,
    /// To be answered with a pong.
    Ping = 9,
    /// The answer to a ping, or a heartbeat.
    Pong = 10,
}

impl Opcode {
    /// Close, ping or pong; may come between the fragments of a message.
    #[inline]
    pub const fn is_control(self) -> bool {
        self as u8 >= 8
    }

    #[inline]
    const fn from_bits(bits: u8) -> Result<Self, Violation> {
        Ok(match bits {
            0 => Self::Continuation,
            1 => Self::Text,
            2 => Self::Binary,
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            _ => return Err(Violation::ReservedOpcode(bits)),
        })
    }
}

/// The three bits of a header that belong to extensions, where they stand in its first byte.
///
/// ```
/// use corewire::wire::frame::Rsv;
/// let claimed = Rsv::RSV1; // permessage-deflate: "this message is compressed"
/// assert!(claimed.contains(Rsv::RSV1) && claimed.contains(Rsv::NONE));
/// assert!(!claimed.contains(Rsv::from_bits(0x60)));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rsv(u8);

impl Rsv {
    /// No bit.
    pub const NONE: Self = Self(0);
    /// The first bit, 0x40.
    pub const RSV1: Self = Self(0x40);

    /// The bits 0x40, 0x20 and 0x10 of `bits`; the others are dropped.
    #[inline]
    pub const fn from_bits(bits: u8) -> Self {
        Self(bits & 0x70)
    }

    /// The bits, as in a header's first byte.
    #[inline]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Whether every bit of `other` is set here too.
    #[inline]
    pub const fn contains(self, other: Self) -> bool {
        other.0 & !self.0 == 0
    }
}

/// A frame's header.
///
/// ```
/// use corewire::wire::frame::{self, Header, Opcode, Rsv};
/// let header = Header { fin: true, rsv: Rsv::NONE, opcode: Opcode::Text, key: None, payload_bytes: 300 };
/// let mut out = [0; 14];
/// let header_bytes = frame::encode_header(&header, &mut out);
/// assert_eq!(header_bytes, frame::header_bytes(300, false));
/// assert_eq!(out[..header_bytes], [0x81, 126, 1, 44]);
/// assert_eq!(frame::parse_header(&out[..header_bytes]), Ok(Some((header, header_bytes))));
/// assert_eq!(frame::parse_header(&out[..3]), Ok(None), "one byte is missing");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The last frame of its message.
    pub fin: bool,
    /// The extensions' bits.
    pub rsv: Rsv,
    /// What the frame is for.
    pub opcode: Opcode,
    /// The mask; a client's frame has one, a server's none.
    pub key: Option<Key>,
    /// How long the payload is; below 2^63.
    pub payload_bytes: u64,
}

/// Read a header and how many bytes it takes; `None`: more bytes are needed.
#[inline]
pub fn parse_header(bytes: &[u8]) -> Result<Option<(Header, usize)>, Violation> {
    let [first, second, rest @ ..] = bytes else { return Ok(None) };
    let fin = first & 0x80 != 0;
    let opcode = Opcode::from_bits(first & 0x0F)?;
    let short = second & 0x7F;
    if opcode.is_control() {
        if !fin {
            return Err(Violation::ControlFragmented);
        }
        if usize::from(short) > CONTROL_BYTES_MAX {
            return Err(Violation::ControlTooLong);
        }
    }
    let (payload_bytes, rest) = match short {
        126 => {
            let Some((long, rest)) = rest.split_first_chunk() else { return Ok(None) };
            let payload_bytes = u64::from(u16::from_be_bytes(*long));
            if payload_bytes < 126 {
                return Err(Violation::NonMinimalLength);
            }
            (payload_bytes, rest)
        }
        127 => {
            let Some((long, rest)) = rest.split_first_chunk() else { return Ok(None) };
            let payload_bytes = u64::from_be_bytes(*long);
            if payload_bytes >> 63 != 0 {
                return Err(Violation::LengthTopBit);
            }
            if payload_bytes <= u64::from(u16::MAX) {
                return Err(Violation::NonMinimalLength);
            }
            (payload_bytes, rest)
        }
        _ => (u64::from(short), rest),
    };
    let (key, rest) = if second & 0x80 != 0 {
        let Some((key, rest)) = rest.split_first_chunk() else { return Ok(None) };
        (Some(*key), rest)
    } else {
        (None, rest)
    };
    let header = Header { fin, rsv: Rsv::from_bits(*first), opcode, key, payload_bytes };
    Ok(Some((header, bytes.len() - rest.len())))
}

/// Bytes that the header of such a frame takes: 2 to [`HEADER_BYTES_MAX`].
#[inline]
pub const fn header_bytes(payload_bytes: u64, masked: bool) -> usize {
    let length = match payload_bytes {
        ..126 => 2,
        126..=0xFFFF => 4,
        _ => 10,
    };
    if masked { length + 4 } else { length }
}

/// Write a header to the front of `out`, its length in the fewest bytes; returns how many bytes it took.
#[inline]
pub fn encode_header(header: &Header, out: &mut [u8; HEADER_BYTES_MAX]) -> usize {
    let masked = header.key.is_some();
    out[0] = u8::from(header.fin) << 7 | header.rsv.bits() | header.opcode as u8;
    let mask_bit = u8::from(masked) << 7;
    match header.payload_bytes {
        short @ ..126 => out[1] = mask_bit | short as u8,
        long @ 126..=0xFFFF => {
            out[1] = mask_bit | 126;
            out[2..4].copy_from_slice(&(long as u16).to_be_bytes());
        }
        long => {
            out[1] = mask_bit | 127;
            out[2..10].copy_from_slice(&long.to_be_bytes());
        }
    }
    let header_bytes = header_bytes(header.payload_bytes, masked);
    if let Some(key) = header.key {
        out[header_bytes - 4..header_bytes].copy_from_slice(&key);
    }
    header_bytes
}

/// The header of a whole message that is not masked and short: how many of the bytes it is stands beside it.
#[inline]
pub(crate) fn short_header(opcode: Opcode, payload_bytes: u16) -> ([u8; 4], usize) {
    let first = 0x80 | opcode as u8;
    match payload_bytes {
        short @ ..126 => ([first, short as u8, 0, 0], 2),
        long => {
            let [high, low] = long.to_be_bytes();
            ([first, 126, high, low], 4)
        }
    }
}

/// Write a whole frame, FIN set, to the front of `out`; `None`, and nothing written, if it does not fit.
/// A client gives a `key` that nobody can foresee (RFC 6455 §5.3); a server none.
///
/// ```
/// use corewire::wire::frame::{self, Opcode};
/// let mut out = [0; 64];
/// let frame_bytes = frame::write(Opcode::Text, None, b"hi", &mut out).unwrap();
/// assert_eq!(out[..frame_bytes], *b"\x81\x02hi");
/// assert_eq!(frame::write(Opcode::Text, None, b"hi", &mut out[..3]), None);
/// ```
#[inline]
pub fn write(opcode: Opcode, key: Option<Key>, payload: &[u8], out: &mut [u8]) -> Option<usize> {
    let (header, header_bytes) = whole(opcode, key, payload);
    let out = out.get_mut(..header_bytes + payload.len())?;
    let (head, body) = out.split_at_mut(header_bytes);
    head.copy_from_slice(&header[..header_bytes]);
    body.copy_from_slice(payload);
    mask::apply(body, key.unwrap_or_default());
    Some(out.len())
}

/// Append a whole frame, FIN set, to `out`; else as [`write()`].
///
/// ```
/// use corewire::wire::frame::{self, Opcode};
/// let mut out = Vec::new();
/// frame::append(Opcode::Ping, None, b"", &mut out);
/// frame::append(Opcode::Text, None, b"hi", &mut out);
/// assert_eq!(out, b"\x89\x00\x81\x02hi");
/// assert!(Opcode::Ping.is_control() && !Opcode::Text.is_control());
/// ```
pub fn append(opcode: Opcode, key: Option<Key>, payload: &[u8], out: &mut Vec<u8>) {
    let (header, header_bytes) = whole(opcode, key, payload);
    out.reserve(header_bytes + payload.len());
    out.extend_from_slice(&header[..header_bytes]);
    let body = out.len();
    out.extend_from_slice(payload);
    mask::apply(&mut out[body..], key.unwrap_or_default());
}

#[inline]
fn whole(opcode: Opcode, key: Option<Key>, payload: &[u8]) -> ([u8; HEADER_BYTES_MAX], usize) {
    let mut out = [0; HEADER_BYTES_MAX];
    let header = Header { fin: true, rsv: Rsv::NONE, opcode, key, payload_bytes: payload.len() as u64 };
    let header_bytes = encode_header(&header, &mut out);
    (out, header_bytes)
}
