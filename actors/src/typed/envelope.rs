//! What a typed message looks like on the wire: read without copying what is in it.
//!
//! Does not know: handlers, sessions, clients.

use serde::de::Error as _;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// A message in two parts; other fields are left alone.
pub(super) struct Envelope<'a> {
    /// What it is. Borrowed, unless it is written with escapes.
    pub(super) kind: Cow<'a, str>,
    /// What it says, as it stands there. `null` if it says nothing.
    pub(super) data: &'a str,
}

#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

impl<'a> Envelope<'a> {
    /// Data are skipped over, in one go and without recursion: however deep they nest, they are read by a handler or not
    /// at all.
    pub(super) fn read(text: &'a str) -> Result<Self, serde_json::Error> {
        if text.trim_ascii_start().starts_with('[') {
            return Err(serde_json::Error::custom("expected an object")); // serde takes a list's fields by their order
        }
        let Fields { kind, data } = serde_json::from_str(text)?;
        Ok(Self { kind, data: data.map_or("null", RawValue::get) })
    }

    /// The type as it is told in an error: cut, since it is the client's.
    pub(super) fn short_kind(&self) -> &str {
        &self.kind[..self.kind.floor_char_boundary(KIND_BYTES_MAX)]
    }
}

/// The id in a message's data, as it is told in an error, so that a client knows which of its messages that was.
pub(super) fn id_of(data: &str) -> Option<&RawValue> {
    #[derive(Deserialize)]
    struct WithId<'a> {
        #[serde(borrow)]
        id: Option<&'a RawValue>,
    }
    let id = serde_json::from_str::<WithId<'_>>(data).ok()?.id?;
    let is_short = id.get().len() <= ID_BYTES_MAX;
    (is_short && !id.get().starts_with(['{', '['])).then_some(id)
}

/// What is wrong, for the client: the data of an `error`.
#[derive(Serialize)]
pub(super) struct Problem<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) of: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<&'a RawValue>,
    pub(super) code: &'a str,
    pub(super) message: &'a str,
}

const KIND_BYTES_MAX: usize = 64;
const ID_BYTES_MAX: usize = 130; // its quotes included
