//! Typed messages: `{"type": "shout", "data": {..}}` finds the handler of that name, with `data` as a type of yours.
//!
//! - [`Typed`]: the table of handlers; [`Typed::handle`] gives it a client's message, [`Data`] is what that says
//! - [`SendTyped`]: what is said to the client, in the same form
//! - [`Failure`]: what a client is told when it did not go well
//! - `envelope`: what it looks like on the wire; `place`: where in it something is wrong
//!
//! What cannot be handled is answered to that client alone, and its connection goes on:
//! `{"type": "error", "data": {"of": "shout", "id": 7, "code": "bad_data", "message": "missing field `text` .."}}`.
//! `of` is the type, if it could be read, and `id` is that of the data, if it has one: a number, or a text of up to 128
//! bytes. How deep data may nest is serde_json's limit (128); how much there is, the frame's.
//!
//! Does not know: rooms, other sessions, what the messages mean.
//!
//! ```
//! use corewire::prelude::*;
//! use corewire_actors::typed::{Failure, SendTyped, Typed};
//! use serde::{Deserialize, Serialize};
//! use std::sync::LazyLock;
//!
//! /// Made once, for all sessions of all shards.
//! static TALK: LazyLock<Typed<Talk>> =
//!     LazyLock::new(|| Typed::new().on("nick", Talk::nick).on("shout", Talk::shout));
//!
//! struct Talk { nick: String }
//!
//! impl Session for Talk {
//!     fn message(&mut self, message: Message, cx: &mut Context<Self>) -> Result<(), Close> {
//!         TALK.handle(self, &message, cx)
//!     }
//! }
//!
//! #[derive(Deserialize)]
//! struct Nick { name: String }
//!
//! #[derive(Deserialize)]
//! struct Shout { text: String }
//!
//! #[derive(Serialize)]
//! struct Loud<'a> { from: &'a str, text: &'a str }
//!
//! impl Talk {
//!     fn nick(&mut self, Nick { name }: Nick, _: &mut Context<Self>) -> Result<(), Failure> {
//!         if name.is_empty() {
//!             return Err(Failure::new("bad_name", "a name has a letter at least"));
//!         }
//!         self.nick = name;
//!         Ok(())
//!     }
//!
//!     fn shout(&mut self, Shout { text }: Shout, cx: &mut Context<Self>) -> Result<(), Failure> {
//!         cx.client().send_typed("loud", &Loud { from: &self.nick, text: &text.to_uppercase() })?;
//!         Ok(())
//!     }
//! }
//!
//! let server = Server::bind(":9001").at("/", |_: &Upgrade| Ok(Talk { nick: "somebody".into() }));
//! ```

mod envelope;
mod failure;
mod handler;
mod place;
mod send;

pub use failure::Failure;
pub use handler::Data;
pub use send::{SendTyped, Unsent};

use corewire::prelude::*;
use envelope::{Envelope, Problem, id_of};
use handler::{Handles, Of, OfData};
use serde::de::DeserializeOwned;
use std::fmt;

/// Handlers by the types of their messages, for sessions of one kind. Made once, in a static say, and shared by all.
///
/// The [module](self) has an example.
pub struct Typed<S> {
    /// In the order of their names, for the look-up.
    entries: Vec<Entry<S>>,
    closes_on_binary: bool,
}

struct Entry<S> {
    name: &'static str,
    handler: Box<dyn Handles<S>>,
}

impl<S: Session> Typed<S> {
    /// No handlers yet.
    pub fn new() -> Self {
        Self { entries: Vec::new(), closes_on_binary: false }
    }

    /// Messages of the type `name` go to `handler`: a method of the session's that takes what it is about, or a closure.
    /// A message without data has `null`. An error that the handler returns is told to the client, see [`Failure`].
    ///
    /// # Panics
    /// If there is one of that name.
    #[must_use]
    pub fn on<T, E, F>(self, name: &'static str, handler: F) -> Self
    where
        F: Fn(&mut S, T, &mut Context<'_, S>) -> Result<(), E> + Send + Sync + 'static,
        T: DeserializeOwned + 'static,
        E: Into<Failure> + 'static,
    {
        self.add(name, Box::new(Of::new(handler)))
    }

    /// As [`Self::on`], for a handler that reads the data itself, and so needs to copy nothing.
    ///
    /// ```
    /// use corewire::prelude::*;
    /// use corewire_actors::typed::{Data, Failure, SendTyped, Typed};
    /// use serde::{Deserialize, Serialize};
    /// use serde_json::value::RawValue;
    ///
    /// # struct Talk;
    /// # impl Session for Talk {
    /// #     fn message(&mut self, _: Message, _: &mut Context<Self>) -> Result<(), Close> { Ok(()) }
    /// # }
    /// /// Whatever it says, it comes back as it is.
    /// #[derive(Deserialize, Serialize)]
    /// struct Echo<'a> {
    ///     #[serde(borrow)]
    ///     data: &'a RawValue,
    /// }
    ///
    /// let talk = Typed::new().on_data("echo", |_: &mut Talk, data: Data<'_>, cx: &mut Context<Talk>| {
    ///     let echo: Echo = data.read()?;
    ///     Ok::<_, Failure>(cx.client().send_typed("echo", &echo)?)
    /// });
    /// ```
    ///
    /// # Panics
    /// If there is one of that name.
    #[must_use]
    pub fn on_data<E, F>(self, name: &'static str, handler: F) -> Self
    where
        F: Fn(&mut S, Data<'_>, &mut Context<'_, S>) -> Result<(), E> + Send + Sync + 'static,
        E: Into<Failure> + 'static,
    {
        self.add(name, Box::new(OfData::new(handler)))
    }

    /// A binary message closes its connection with 1003. Otherwise it is answered as other mistakes are.
    #[must_use]
    pub fn closes_on_binary(mut self) -> Self {
        self.closes_on_binary = true;
        self
    }

    fn add(mut self, name: &'static str, handler: Box<dyn Handles<S>>) -> Self {
        match self.find(name) {
            Ok(_) => panic!("there are two handlers for messages of the type {name:?}"),
            Err(at) => self.entries.insert(at, Entry { name, handler }),
        }
        self
    }

    fn find(&self, name: &str) -> Result<usize, usize> {
        self.entries.binary_search_by_key(&name, |entry| entry.name)
    }

    /// Handles a message of `session`'s client, and tells the client if that did not go well.
    ///
    /// # Errors
    /// The connection is to be closed: the client does not read what it is told (1013), the handler wants it so
    /// (a [`Close`] that became its [`Failure`]), or the message is binary and [that closes](Self::closes_on_binary).
    pub fn handle(&self, session: &mut S, message: &Message, cx: &mut Context<'_, S>) -> Result<(), Close> {
        let Some(text) = message.as_text() else {
            if self.closes_on_binary {
                return Err(Close::new(1003, "text only"));
            }
            let problem =
                Problem { of: None, id: None, code: "binary", message: "messages are JSON, as text" };
            return Ok(cx.client().send_typed("error", &problem)?);
        };
        let envelope = match Envelope::read(text) {
            Ok(envelope) => envelope,
            Err(error) => {
                let message = error.to_string();
                let problem = Problem { of: None, id: None, code: "bad_json", message: &message };
                return Ok(cx.client().send_typed("error", &problem)?);
            }
        };
        let failure = match self.find(&envelope.kind) {
            Ok(at) => match self.entries[at].handler.handle(session, Data::new(envelope.data), cx) {
                Ok(()) => return Ok(()),
                Err(failure) => failure,
            },
            Err(_) => self.unknown_type(),
        };
        tell(&envelope, failure, cx)
    }

    #[cold]
    fn unknown_type(&self) -> Failure {
        let names: Vec<&str> = self.entries.iter().map(|entry| entry.name).collect();
        Failure::new("unknown_type", format!("no such type; there are: {}", names.join(", ")))
    }
}

#[cold]
fn tell<S: Session>(envelope: &Envelope<'_>, failure: Failure, cx: &mut Context<'_, S>) -> Result<(), Close> {
    let (code, message) = failure.into_words()?;
    let problem =
        Problem { of: Some(envelope.short_kind()), id: id_of(envelope.data), code: &code, message: &message };
    Ok(cx.client().send_typed("error", &problem)?)
}

impl<S: Session> Default for Typed<S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> fmt::Debug for Typed<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.entries.iter().map(|entry| entry.name)).finish()
    }
}
