//! SBE messages: no bytes make them panic, and what was read of them is written back as it was.
//!
//! `tests/actors/sbe.rs` has the same body, for seeded bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[allow(dead_code, unused_imports, reason = "what the target does not ask")]
#[path = "../../actors/src/sbe/mod.rs"]
mod sbe;

use sbe::{Batch, DecodeError, HEADER_BYTES, Header, Message, Order, Position, Trade, decode};

fuzz_target!(|bytes: &[u8]| {
    check::<Trade>(bytes);
    check::<Order>(bytes);
    check::<Position>(bytes);
    if let Ok(trade) = Trade::decode(bytes) {
        let mut room = [0; Trade::BYTES_MAX];
        let again = trade.to_owned().encode(&mut room).expect("there is room for the longest");
        assert_eq!(room[HEADER_BYTES..again], bytes[HEADER_BYTES..again], "what is known is as it was");
        Trade::decode(&room[..again]).expect("it was just written");
    }
});

fn check<M: Message>(bytes: &[u8]) {
    let header = bytes.first_chunk().map(Header::read);
    match decode::<M>(bytes) {
        Ok(_) => {
            let header = header.expect("a message has a header");
            assert_eq!((header.schema_id, header.template_id), (M::SCHEMA_ID, M::TEMPLATE_ID));
            assert!(usize::from(header.block_length) >= M::block_bytes(header.version));
            assert!(bytes.len() >= header.message_bytes());
        }
        Err(DecodeError::Insufficient { expected, found }) => {
            assert!(found == bytes.len() && found < expected);
        }
        Err(_) => assert!(bytes.len() >= HEADER_BYTES),
    }
    match Batch::<M>::new(bytes) {
        Ok(batch) => {
            assert_eq!(batch.iter().count(), batch.len());
            assert_eq!(batch.len() * header.map_or(0, |header| header.message_bytes()), bytes.len());
            assert!(batch.get(batch.len() - 1).is_some() && batch.get(batch.len()).is_none());
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
