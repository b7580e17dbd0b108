//! A header that can be read is written back byte for byte: there is one way to write it. Masking in pieces is
//! masking at once.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../src/wire/mod.rs"]
#[allow(dead_code, unused_imports, reason = "a target uses part of the room")]
mod wire;

use wire::{frame, mask};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(Some((header, header_bytes))) = frame::parse_header(bytes) {
        let mut out = [0; frame::HEADER_BYTES_MAX];
        assert_eq!(frame::encode_header(&header, &mut out), header_bytes);
        assert_eq!(out[..header_bytes], bytes[..header_bytes]);
        assert_eq!(frame::header_bytes(header.payload_bytes, header.key.is_some()), header_bytes);
    }
    if let [k0, k1, k2, k3, cut, payload @ ..] = bytes {
        let key = [*k0, *k1, *k2, *k3];
        let expected: Vec<u8> = payload.iter().enumerate().map(|(i, byte)| byte ^ key[i % 4]).collect();
        let mut masked = payload.to_vec();
        let (a, b) = masked.split_at_mut(usize::from(*cut).min(payload.len()));
        mask::apply(b, mask::apply(a, key));
        assert_eq!(masked, expected);
    }
});
