//! Masking: every byte of a client's payload is XORed with a key of four (RFC 6455 §5.3).
//!
//! The same operation masks and unmasks, in place. A frame may come in several pieces: [`apply`] returns the key
//! turned to where the next piece starts. Wide words do the bulk; written so that the compiler vectorises it, and
//! without alignment, which costs nothing on the machines that we run on (benches/benches/wire.rs).

/// Four bytes, chosen anew by the client for every frame.
pub type Key = [u8; 4];

/// Bytes a step of the wide loop takes: four SSE registers, or two of AVX.
const WIDE_BYTES: usize = 64;

/// XOR `bytes` with `key`, in place; returns the key for the byte that follows.
///
/// ```
/// use corewire::wire::mask;
/// let key = [1, 2, 3, 4];
/// let mut bytes = *b"hello";
/// let next = mask::apply(&mut bytes[..2], key); // the first piece
/// mask::apply(&mut bytes[2..], next); // goes on where the first ended
/// mask::apply(&mut bytes, key); // twice is not at all
/// assert_eq!(&bytes, b"hello");
/// ```
#[inline]
pub fn apply(bytes: &mut [u8], key: Key) -> Key {
    let next = turned(key, bytes.len());
    if key == [0; 4] {
        return next; // a key of zeros masks nothing; a server's frames have none
    }
    let word = u64::from(u32::from_ne_bytes(key)) * 0x1_0000_0001; // the key twice, in memory order
    let (wide, rest) = bytes.as_chunks_mut::<WIDE_BYTES>();
    for chunk in wide {
        xor_words(chunk.as_chunks_mut::<8>().0, word);
    }
    let (words, tail) = rest.as_chunks_mut::<8>();
    xor_words(words, word);
    let (halves, tail) = tail.as_chunks_mut::<4>();
    if let [half] = halves {
        *half = (u32::from_ne_bytes(*half) ^ u32::from_ne_bytes(key)).to_ne_bytes();
    }
    for (byte, key) in tail.iter_mut().zip(word.to_ne_bytes()) {
        *byte ^= key;
    }
    next
}

/// The key as it stands `bytes` further on.
#[inline]
fn turned(mut key: Key, bytes: usize) -> Key {
    key.rotate_left(bytes % 4);
    key
}

#[inline]
fn xor_words(words: &mut [[u8; 8]], key: u64) {
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ key).to_ne_bytes();
    }
}
