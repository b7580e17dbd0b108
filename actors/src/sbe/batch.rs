//! Messages that are packed back to back: looked at once as a whole, then read one by one.

use super::Message;
use super::error::DecodeError;
use super::header::{HEADER_BYTES, Header};
use std::fmt;
use std::marker::PhantomData;
use std::slice::ChunksExact;

/// Messages of one kind, version and length, packed back to back. That they are has been checked, so it is known how many
/// there are, and reading them cannot fail. A batch that is wrong anywhere is none: nothing of it is handed on.
///
/// ```
/// use corewire_actors::sbe::{Batch, Trade};
///
/// let mut packed = [0; 3 * Trade::BYTES];
/// for (n, room) in packed.chunks_exact_mut(Trade::BYTES).enumerate() {
///     Trade { trade_id: n as u64, symbol: b'A', price: 1.5, quantity: 10, venue: None }.encode(room)?;
/// }
/// let batch: Batch<Trade> = Trade::batch(&packed)?;
/// assert_eq!(batch.len(), 3);
/// assert_eq!(batch.iter().map(|trade| trade.trade_id()).sum::<u64>(), 3);
/// assert!(Trade::batch(&packed[..60]).is_err()); // the third is cut off
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Batch<'a, M> {
    bytes: &'a [u8],
    message_bytes: usize,
    version: u16,
    of: PhantomData<M>,
}

impl<'a, M: Message> Batch<'a, M> {
    /// Of bytes that are nothing else.
    ///
    /// # Errors
    /// They are none, or one of them is no such message, has another header than the first, or is not all there.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let Some(first) = bytes.first_chunk::<HEADER_BYTES>() else {
            let expected = HEADER_BYTES + M::block_bytes(0);
            return Err(DecodeError::Insufficient { expected, found: bytes.len() });
        };
        let header = Header::read(first);
        header.check::<M>()?;
        let message_bytes = header.message_bytes();
        let messages = bytes.chunks_exact(message_bytes);
        if !messages.remainder().is_empty() || !messages.clone().all(|message| message.starts_with(first)) {
            return Err(Self::wrong(messages, first, message_bytes));
        }
        Ok(Self { bytes, message_bytes, version: header.version, of: PhantomData })
    }

    /// How many there are: one at least.
    #[inline]
    #[expect(clippy::len_without_is_empty, reason = "it is never empty")]
    pub fn len(&self) -> usize {
        self.bytes.len() / self.message_bytes
    }

    /// The one at this place, from 0.
    #[inline]
    pub fn get(&self, index: usize) -> Option<M::View<'a>> {
        let message = self.bytes.get(index.checked_mul(self.message_bytes)?..)?.get(..self.message_bytes)?;
        M::view(&message[HEADER_BYTES..], self.version)
    }

    /// All of them, in order.
    #[inline]
    pub fn iter(&self) -> Batched<'a, M> {
        let messages = self.bytes.chunks_exact(self.message_bytes);
        Batched { messages, version: self.version, of: PhantomData }
    }

    /// All their bytes, headers too.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    #[cold]
    fn wrong(messages: ChunksExact<'_, u8>, first: &[u8; HEADER_BYTES], message_bytes: usize) -> DecodeError {
        let rest = messages.remainder();
        let mut all = messages.chain([rest]);
        match all.position(|message| message.len() >= HEADER_BYTES && !message.starts_with(first)) {
            Some(at) => DecodeError::Mixed { at },
            None => DecodeError::Insufficient { expected: message_bytes, found: rest.len() },
        }
    }
}

impl<M> Clone for Batch<'_, M> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<M> Copy for Batch<'_, M> {}

impl<M> fmt::Debug for Batch<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Batch({} messages)", self.bytes.len() / self.message_bytes)
    }
}

impl<'a, M: Message> IntoIterator for Batch<'a, M> {
    type Item = M::View<'a>;
    type IntoIter = Batched<'a, M>;

    #[inline]
    fn into_iter(self) -> Batched<'a, M> {
        self.iter()
    }
}

/// The messages of a [`Batch`], in order.
pub struct Batched<'a, M> {
    messages: ChunksExact<'a, u8>,
    version: u16,
    of: PhantomData<M>,
}

impl<'a, M: Message> Iterator for Batched<'a, M> {
    type Item = M::View<'a>;

    #[inline(always)]
    fn next(&mut self) -> Option<M::View<'a>> {
        let message = self.messages.next()?;
        M::view(message.get(HEADER_BYTES..)?, self.version)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.messages.size_hint()
    }
}

impl<M: Message> ExactSizeIterator for Batched<'_, M> {}

impl<M> fmt::Debug for Batched<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Batched({} messages)", self.messages.len())
    }
}
