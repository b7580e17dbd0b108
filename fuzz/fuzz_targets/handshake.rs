//! The first byte says where the head is cut; what is known of the beginning must hold of the whole.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../src/wire/mod.rs"]
#[allow(dead_code, unused_imports, reason = "a target uses part of the room")]
mod wire;

use wire::handshake::{self, Answer, Key, Progress};
use wire::http::HeadLimits;

fuzz_target!(|bytes: &[u8]| {
    let [cut, head @ ..] = bytes else { return };
    let limits = HeadLimits { head_bytes_max: 1000, headers_max: 16 };
    let beginning = &head[..head.len() * usize::from(*cut) / 255];
    let whole = handshake::parse(head, &limits);
    match (handshake::parse(beginning, &limits), &whole) {
        (Ok(Progress::Incomplete), _) => {}
        (Ok(Progress::Plain { .. }), Ok(Progress::Plain { .. })) => {}
        (Ok(Progress::Upgrade { head_bytes: a, .. }), Ok(Progress::Upgrade { head_bytes: b, .. }))
            if a == *b => {}
        (Err(a), Err(b)) if a == *b => {}
        (a, b) => panic!("{a:?} became {b:?}"),
    }
    match &whole {
        Ok(Progress::Upgrade { request, key, head_bytes }) => {
            assert!(*head_bytes <= head.len().min(1000));
            assert!(request.path().starts_with('/') && request.host().is_some());
            let offered: Vec<&str> = request.subprotocols().collect();
            let mut answer = Vec::new();
            handshake::response(key, &offered, offered.first().copied(), &[], &mut answer).expect("offered");
            let open = handshake::check_response(&answer, key, &offered, &HeadLimits::default());
            let expected = Answer::Open { subprotocol: offered.first().copied(), head_bytes: answer.len() };
            assert_eq!(open, Ok(expected));
        }
        Err(error) => error.refusal().encode(false, &mut Vec::new()),
        Ok(_) => {}
    }
    let key = Key::from_nonce(*b"the sample nonce");
    if let Ok(Answer::Open { head_bytes, .. }) = handshake::check_response(head, &key, &[], &limits) {
        assert!(head_bytes <= head.len().min(1000));
    }
});
