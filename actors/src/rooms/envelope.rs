//! What members of [`Format::Json`](super::Format::Json) hear, in writing: one object a frame, `{"type": .., "data": ..}`.
//!
//! Does not know: who hears it, or when.

use super::note::Body;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use corewire::connection::Message;
use corewire::wire::Kind;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::io::Write;

/// One message of a room.
pub(super) struct Said<'a> {
    pub(super) room: &'a str,
    pub(super) seq: u64,
    pub(super) from: Option<&'a str>,
    pub(super) id: Option<&'a str>,
    pub(super) at_ms: u64,
    pub(super) what: What<'a>,
}

/// What is said.
#[derive(Debug, Clone, Copy)]
pub(super) enum What<'a> {
    Text(&'a str),
    Json(&'a str),
    Binary(&'a [u8]),
}

impl<'a> What<'a> {
    pub(super) fn of(body: &'a Body) -> Self {
        match body {
            Body::Message(Message::Text(text)) => Self::Text(text.as_str()),
            Body::Message(Message::Binary(bytes)) => Self::Binary(bytes),
            Body::Json(json) => Self::Json(json),
            Body::Text(text) => Self::Text(text),
        }
    }
}

/// What a plain member hears of a value in JSON: the text of a string, else the value as it is written.
pub(super) fn plain_of(json: &str) -> Cow<'_, str> {
    if json.trim_start().starts_with('"')
        && let Ok(text) = serde_json::from_str::<String>(json)
    {
        return text.into();
    }
    json.into()
}

/// What a plain member hears of a message that was written for members of [`Format::Json`](super::Format::Json).
pub(super) fn plain_of_said(said: &[u8]) -> (Kind, Cow<'_, [u8]>) {
    #[derive(Deserialize)]
    struct Object<'a> {
        #[serde(borrow)]
        data: Data<'a>,
    }
    #[derive(Deserialize)]
    struct Data<'a> {
        #[serde(borrow)]
        data: Option<&'a RawValue>,
        #[serde(borrow)]
        base64: Option<&'a str>,
    }
    let Ok(Object { data: Data { data, base64 } }) = serde_json::from_slice(said) else {
        return (Kind::Text, said.into()); // we wrote it; a value that is no JSON was said to be checked
    };
    match (data, base64) {
        (_, Some(bytes)) => (Kind::Binary, STANDARD.decode(bytes).unwrap_or_default().into()),
        (Some(json), None) => match plain_of(json.get()) {
            Cow::Borrowed(json) => (Kind::Text, json.as_bytes().into()),
            Cow::Owned(text) => (Kind::Text, text.into_bytes().into()),
        },
        (None, None) => (Kind::Text, Cow::default()),
    }
}

impl Said<'_> {
    /// Writes it to `out`, which is a frame's payload then.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(br#"{"type":"message","data":{"room":"#);
        string(out, self.room);
        let _ = write!(out, r#","seq":{}"#, self.seq); // a Vec takes all
        if let Some(from) = self.from {
            out.extend_from_slice(br#","from":"#);
            string(out, from);
        }
        if let Some(id) = self.id {
            out.extend_from_slice(br#","id":"#);
            string(out, id);
        }
        let _ = write!(out, r#","at":{}"#, self.at_ms);
        match self.what {
            What::Text(text) => {
                out.extend_from_slice(br#","data":"#);
                string(out, text);
            }
            What::Json(json) => {
                out.extend_from_slice(br#","data":"#);
                out.extend_from_slice(json.as_bytes());
            }
            What::Binary(bytes) => {
                out.extend_from_slice(br#","base64":""#);
                out.extend_from_slice(STANDARD.encode(bytes).as_bytes());
                out.push(b'"');
            }
        }
        out.extend_from_slice(b"}}");
    }
}

/// Somebody is in a room.
pub(super) fn joined(out: &mut Vec<u8>, room: &str, epoch: u64, seq: u64, recovered: bool, members: usize) {
    out.extend_from_slice(br#"{"type":"joined","data":{"room":"#);
    string(out, room);
    let _ =
        write!(out, r#","epoch":"{epoch:x}","seq":{seq},"recovered":{recovered},"members":{members}}}}}"#);
}

/// Somebody is not in a room any more.
pub(super) fn left(out: &mut Vec<u8>, room: &str) {
    out.extend_from_slice(br#"{"type":"left","data":{"room":"#);
    string(out, room);
    out.extend_from_slice(b"}}");
}

/// Who has come and gone.
pub(super) fn presence<'a>(
    out: &mut Vec<u8>,
    room: &str,
    joined: impl Iterator<Item = &'a str>,
    left: impl Iterator<Item = &'a str>,
    members: usize,
) {
    out.extend_from_slice(br#"{"type":"presence","data":{"room":"#);
    string(out, room);
    out.extend_from_slice(br#","joined":"#);
    strings(out, joined);
    out.extend_from_slice(br#","left":"#);
    strings(out, left);
    let _ = write!(out, r#","members":{members}}}}}"#);
}

/// Who is there.
pub(super) fn members<'a>(
    out: &mut Vec<u8>,
    room: &str,
    names: impl Iterator<Item = &'a str>,
    members: usize,
) {
    out.extend_from_slice(br#"{"type":"members","data":{"room":"#);
    string(out, room);
    out.extend_from_slice(br#","names":"#);
    strings(out, names);
    let _ = write!(out, r#","members":{members}}}}}"#);
}

/// What was asked for cannot be done.
pub(super) fn error(out: &mut Vec<u8>, of: &str, room: &str, id: Option<&str>, code: &str, message: &str) {
    out.extend_from_slice(br#"{"type":"error","data":{"of":"#);
    string(out, of);
    if let Some(id) = id {
        out.extend_from_slice(br#","id":"#);
        string(out, id);
    }
    out.extend_from_slice(br#","room":"#);
    string(out, room);
    out.extend_from_slice(br#","code":"#);
    string(out, code);
    out.extend_from_slice(br#","message":"#);
    string(out, message);
    out.extend_from_slice(b"}}");
}

fn strings<'a>(out: &mut Vec<u8>, texts: impl Iterator<Item = &'a str>) {
    out.push(b'[');
    for (index, text) in texts.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        string(out, text);
    }
    out.push(b']');
}

fn string(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).expect("a string can be written to a Vec");
}
