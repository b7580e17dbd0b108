//! A typed message's envelope: what was read of it, written again, must be read the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::value::RawValue;

#[path = "../../actors/src/typed/envelope.rs"]
mod envelope;

use envelope::{Envelope, Problem, id_of};

fuzz_target!(|text: &str| {
    let Ok(read) = Envelope::read(text) else { return };
    let data: &RawValue = serde_json::from_str(read.data).expect("data are JSON");
    let kind = serde_json::to_string(&read.kind).expect("a text");
    let again = format!("{{\"data\":{data},\"type\":{kind}}}");
    let again = Envelope::read(&again).expect("it is what it was");
    assert_eq!((&read.kind, read.data), (&again.kind, again.data));
    assert!(read.kind.starts_with(read.short_kind()) && read.short_kind().len() <= 64);

    let id = id_of(read.data);
    assert!(id.is_none_or(|id| !id.get().starts_with(['{', '[']) && id.get().len() <= 130));
    let problem = Problem { of: Some(read.short_kind()), id, code: "failed", message: text };
    serde_json::to_string(&problem).expect("a problem can be told");
});
