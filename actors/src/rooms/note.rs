//! What is said in a room.

use corewire::actor::{ActorId, Priority};
use corewire::connection::Message;
use std::sync::Arc;

/// Something to be said in a room.
///
/// ```
/// use corewire::actor::Priority;
/// use corewire_actors::rooms::{Body, Note};
///
/// let note = Note::new(Body::Json(r#"{"price":12}"#.into())).from("desk").keyed(7).at(Priority::High);
/// # drop(note);
/// ```
#[derive(Debug)]
pub struct Note {
    pub(super) from: Option<Arc<str>>,
    pub(super) id: Option<Box<str>>,
    pub(super) priority: Priority,
    pub(super) key: Option<u64>,
    pub(super) body: Body,
    /// The session that is not read from if members are behind, and is told if it is not said.
    pub(super) author: Option<ActorId>,
}

/// What it says.
#[derive(Debug)]
pub enum Body {
    /// A message as it came: text, or bytes. Its bytes move, they are not copied on the way to the room.
    Message(Message),
    /// A value in JSON, which who publishes has checked. Plain members hear a string's text, and of other values their JSON.
    Json(Box<str>),
    /// Text from the server itself.
    Text(Box<str>),
}

impl Note {
    /// With nothing but what it says.
    pub fn new(body: Body) -> Self {
        Self { from: None, id: None, priority: Priority::Normal, key: None, body, author: None }
    }

    /// Who says it.
    #[must_use]
    pub fn from(mut self, name: impl Into<Arc<str>>) -> Self {
        self.from = Some(name.into());
        self
    }

    /// By what its author knows it again. It is told to everybody.
    #[must_use]
    pub fn id(mut self, id: impl Into<Box<str>>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// How urgent it is: for members who are behind. What is urgent leaves before what other rooms have for such a member, and
    /// takes what was said in its own room before along. Of a room of which too much waits the least urgent is dropped first.
    #[must_use]
    pub fn at(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// Who has heard a later note with the same key need not hear this one: see
    /// [`SlowRule::KeepLatest`](super::SlowRule::KeepLatest).
    #[must_use]
    pub fn keyed(mut self, key: u64) -> Self {
        self.key = Some(key);
        self
    }

    /// What it says.
    pub fn body(&self) -> &Body {
        &self.body
    }

    /// How much it takes, in bytes.
    pub(super) fn len(&self) -> usize {
        let text = |text: Option<&str>| text.map_or(0, str::len);
        self.body.len() + text(self.from.as_deref()) + text(self.id.as_deref())
    }

    /// Takes what it says back.
    pub fn into_body(self) -> Body {
        self.body
    }
}

impl From<Message> for Note {
    fn from(message: Message) -> Self {
        Self::new(Body::Message(message))
    }
}

impl Body {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Message(message) => message.len(),
            Self::Json(text) | Self::Text(text) => text.len(),
        }
    }
}
