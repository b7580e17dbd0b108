//! When a connection is read in bulk: while its reads or its frames are large.
//!
//! Receiving is cheapest for small messages: one request to the kernel for all that ever comes, and no call of our own.
//! But it brings bytes where the kernel puts them, and as many as it likes. Reading costs a call, and puts a large frame
//! where it is to be, no more of it than can be answered.

/// Whether a connection is read in bulk, and for how long yet. One byte, since there may be a million.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Bulk(u8);

impl Bulk {
    /// The connection is read in bulk, or about to be.
    pub(crate) fn is_on(self) -> bool {
        self.0 & SMALL_READS_LEFT > 0
    }

    /// The last frame was so large that it got a block of its own, and the next may be.
    pub(crate) fn expects_large(self) -> bool {
        self.0 & LARGE > 0
    }

    /// A frame of so many bytes begins.
    pub(crate) fn frame(&mut self, bytes: u64) {
        self.0 = self.0 & SMALL_READS_LEFT | if bytes >= LARGE_BYTES_MIN { LARGE } else { 0 };
    }

    /// So many bytes came at once, and so many are missing of the frame. Says whether to begin or to end reading in bulk.
    pub(crate) fn heard(&mut self, bytes: usize, missing: u64) -> Option<bool> {
        let was_on = self.is_on();
        if bytes as u64 >= BULK_BYTES_MIN || missing >= BULK_BYTES_MIN {
            self.0 = self.0 & LARGE | SMALL_READS_MAX;
        } else if was_on {
            self.0 -= 1;
        }
        (self.is_on() != was_on).then_some(!was_on)
    }
}

/// A read or a frame of so many bytes is worth a call.
const BULK_BYTES_MIN: u64 = 8 << 10;
/// A frame of so many bytes is read straight into a block of its size.
const LARGE_BYTES_MIN: u64 = 64 << 10;
/// So many reads in a row with less than [`BULK_BYTES_MIN`], and it is over.
const SMALL_READS_MAX: u8 = 16;

const SMALL_READS_LEFT: u8 = 0x7f;
const LARGE: u8 = 0x80;
