//! What is said to a client, as a typed message.
//!
//! Does not know: handlers.

use super::Failure;
use corewire::actor::{Refused, SendError};
use corewire::connection::{Client, Close};
use serde::Serialize;
use std::cell::Cell;
use std::fmt;

/// Typed messages to a client, by its [`Client`]. The [module](super) has an example.
pub trait SendTyped {
    /// Sends `{"type": kind, "data": data}`.
    ///
    /// # Errors
    /// It was not sent, see [`Unsent`]; in a handler `?` does what is right.
    fn send_typed<T: Serialize + ?Sized>(&mut self, kind: &str, data: &T) -> Result<(), Unsent>;
}

impl SendTyped for Client<'_> {
    fn send_typed<T: Serialize + ?Sized>(&mut self, kind: &str, data: &T) -> Result<(), Unsent> {
        #[derive(Serialize)]
        struct Fields<'a, T: ?Sized> {
            #[serde(rename = "type")]
            kind: &'a str,
            data: &'a T,
        }
        // Taken and put back, so that a `Serialize` that sends does no harm.
        let mut json = SCRATCH.take();
        json.clear();
        let written = serde_json::to_writer(&mut json, &Fields { kind, data }).map_err(Unsent::NoJson);
        let sent = written.and_then(|()| {
            let text = std::str::from_utf8(&json).expect("JSON is written as UTF-8");
            self.send_text(text).map_err(|error| Unsent::from_send(&error))
        });
        if json.capacity() <= SCRATCH_BYTES_MAX {
            SCRATCH.set(json);
        }
        sent
    }
}

thread_local! {
    /// What is being written on this shard: kept, so that an answer allocates nothing.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

const SCRATCH_BYTES_MAX: usize = 64 << 10;

/// Why a typed message was not sent.
#[derive(Debug)]
pub enum Unsent {
    /// Too much waits for this client already. As a [`Close`], and as a [`Failure`], it is 1013: a client that does not
    /// read cannot be told either.
    Full,
    /// The connection is closing.
    Gone,
    /// The data have no form in JSON: a map whose keys are no texts, or a `Serialize` that fails.
    NoJson(serde_json::Error),
}

impl Unsent {
    fn from_send<M>(error: &SendError<M>) -> Self {
        match error.reason() {
            Refused::Full => Self::Full,
            Refused::Gone => Self::Gone,
        }
    }
}

impl fmt::Display for Unsent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("too much waits for this client; it does not read"),
            Self::Gone => f.write_str("the connection is closing"),
            Self::NoJson(error) => write!(f, "the data have no form in JSON: {error}"),
        }
    }
}

impl std::error::Error for Unsent {}

impl From<Unsent> for Close {
    fn from(unsent: Unsent) -> Self {
        match unsent {
            Unsent::Full => SendError::Full(()).into(),
            Unsent::Gone => SendError::Gone(()).into(),
            Unsent::NoJson(_) => Self::new(1011, "an answer could not be written"),
        }
    }
}

impl From<Unsent> for Failure {
    fn from(unsent: Unsent) -> Self {
        match unsent {
            Unsent::Full | Unsent::Gone => Close::from(unsent).into(),
            Unsent::NoJson(error) => Self::new("failed", format!("the answer could not be written: {error}")),
        }
    }
}
