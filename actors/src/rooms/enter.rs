//! What sessions, and other actors, say to rooms.

use super::note::Note;
use super::rules::{MEMBER_NAME_BYTES_MAX, ROOM_NAME_BYTES_MAX};
use super::{Room, Rooms};
use corewire::actor::{Actor, ActorId, Address, Context, Outside, Refused, SendError};
use corewire::connection::Close;
use std::fmt;
use std::sync::Arc;

/// What a member hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// Messages as they were published, and nothing else.
    #[default]
    Plain,
    /// Objects `{"type": .., "data": ..}`: messages with their numbers, who comes and goes, answers, errors.
    Json,
}

/// How somebody enters a room.
///
/// ```
/// use corewire_actors::rooms::Join;
///
/// let first = Join::json().named("ann").history(50);
/// let again = Join::json().named("ann").since("5f3a91", 120).unwrap(); // what `joined` said, and the last number heard
/// assert!(Join::json().since("no number", 1).is_none());
/// # drop((first, again));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Join {
    pub(super) format: Format,
    pub(super) name: Option<Arc<str>>,
    pub(super) since: super::item::Since,
}

impl Join {
    /// To hear messages as they are published, from now on.
    pub fn plain() -> Self {
        Self { format: Format::Plain, name: None, since: super::item::Since::Last(0) }
    }

    /// To hear objects in JSON, from now on.
    pub fn json() -> Self {
        Self { format: Format::Json, ..Self::plain() }
    }

    /// Known to the others by this name, of at most 64 bytes.
    #[must_use]
    pub fn named(mut self, name: impl Into<Arc<str>>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// And as many of the last messages as the room remembers, up to `count`.
    #[must_use]
    pub fn history(mut self, count: u32) -> Self {
        self.since = super::item::Since::Last(count);
        self
    }

    /// And all that was missed after message `seq` of `epoch`, as [`Format::Json`] tells both: the number of the last message
    /// that was heard or, where none was since, of `joined`, which is the number before those that follow it. If the room does not remember
    /// all of it, `joined` says that it is not recovered, and what it does remember follows. `None`: that is no epoch.
    #[must_use]
    pub fn since(mut self, epoch: &str, seq: u64) -> Option<Self> {
        let epoch = u64::from_str_radix(epoch, 16).ok()?;
        self.since = super::item::Since::Number { epoch, seq };
        Some(self)
    }
}

/// A session enters a room: to the [`Rooms`] of its shard. What [`InRooms::join_room`] sends.
#[derive(Debug)]
pub struct Enter {
    pub(super) room: Room,
    pub(super) who: ActorId,
    pub(super) join: Join,
}

/// A session leaves a room: to the [`Rooms`] of its shard.
#[derive(Debug)]
pub struct Leave {
    pub(super) room: Room,
    pub(super) who: ActorId,
}

/// Something is said in a room: to the [`Rooms`] of any shard. What [`InRooms::publish`] sends.
#[derive(Debug)]
pub struct Publish {
    pub(super) room: Room,
    pub(super) note: Note,
}

/// A member wants to know who is there: to the [`Rooms`] of its shard.
#[derive(Debug)]
pub struct Who {
    pub(super) room: Room,
    pub(super) who: ActorId,
}

/// Why a room does not do what it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RoomError {
    /// Too much is under way.
    Busy,
    /// No `Rooms` run on this server: see [`Rooms::service`].
    NoRooms,
    /// A room's name has 1 to 255 bytes, a member's 1 to 64.
    BadName,
    /// As many rooms, or members, or rooms of one session, or watches as there may be.
    TooMany,
    /// A note of more than 8 MiB, or than half of a shard's memory.
    TooLarge,
    /// Whoever asks is in it already.
    AlreadyIn,
    /// Whoever asks is not in it.
    NotIn,
}

impl fmt::Display for RoomError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Busy => "too much is under way; try again later",
            Self::NoRooms => "this server has no rooms; start it with Server::service(Rooms::service(..))",
            Self::BadName => "a room's name has 1 to 255 bytes, a member's 1 to 64",
            Self::TooMany => "there are as many rooms, members or watches as there may be: rooms_max, members_max, rooms_per_session_max, watches_max",
            Self::TooLarge => "more is said at once than a room takes",
            Self::AlreadyIn => "already in this room",
            Self::NotIn => "not in this room",
        })
    }
}

impl std::error::Error for RoomError {}

impl RoomError {
    /// In one word, for clients.
    pub fn code(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::NoRooms => "no_rooms",
            Self::BadName => "bad_name",
            Self::TooMany => "too_many",
            Self::TooLarge => "too_large",
            Self::AlreadyIn => "already_in",
            Self::NotIn => "not_in",
        }
    }
}

/// What the client is told: 1013 where it may try again, else 1011.
impl From<RoomError> for Close {
    fn from(error: RoomError) -> Self {
        let code = if matches!(error, RoomError::Busy | RoomError::TooMany) { 1013 } else { 1011 };
        Self::new(code, error.to_string())
    }
}

/// What sessions do in rooms. Rooms are named by text or, where it is done often, by a [`Room`], which saves an allocation.
pub trait InRooms {
    /// Enters a room, which need not be there yet. What the client hears of it comes in the order in which it is said; nothing
    /// is answered here. A session that ends leaves by itself.
    ///
    /// # Errors
    /// [`RoomError::BadName`], [`RoomError::Busy`], [`RoomError::NoRooms`]. What only the room knows is told to the client if
    /// it hears JSON.
    fn join_room(&mut self, room: impl Into<Room>, join: Join) -> Result<(), RoomError>;

    /// Leaves a room.
    ///
    /// # Errors
    /// As [`Self::join_room`].
    fn leave_room(&mut self, room: impl Into<Room>) -> Result<(), RoomError>;

    /// Says something in a room, in which one need not be. Who is in it hears it too. Where so much is on its way to the room's
    /// home that it would be too much, and where members are behind and the room's rule is
    /// [`SlowRule::Pause`](super::SlowRule::Pause), this session's client is not read from for a while.
    ///
    /// # Errors
    /// [`SendError::Full`]: too much is under way. [`SendError::Gone`]: this server has no rooms. The note comes back. What turns
    /// out at the room's home not to have room, because so much waits there, is counted (`rooms.refused`), and told to the
    /// client if it hears JSON.
    fn publish(&mut self, room: impl Into<Room>, note: impl Into<Note>) -> Result<(), SendError<Note>>;

    /// Has the client told who is in a room, in which it must be.
    ///
    /// # Errors
    /// As [`Self::join_room`].
    fn ask_who(&mut self, room: impl Into<Room>) -> Result<(), RoomError>;
}

/// Where an actor's seats are: on the shard where it was born, also if it lives on another by now.
fn rooms_of<A: Actor>(cx: &Context<'_, A>) -> Option<Address<Rooms>> {
    cx.service_on(cx.address().id().shard())
}

impl<A: Actor> InRooms for Context<'_, A> {
    fn join_room(&mut self, room: impl Into<Room>, join: Join) -> Result<(), RoomError> {
        let room = room.into();
        check(&room, join.name.as_deref())?;
        let rooms = rooms_of(self).ok_or(RoomError::NoRooms)?;
        let who = self.address().id();
        self.send(rooms, Enter { room, who, join }).map_err(|error| why(error.reason()))
    }

    fn leave_room(&mut self, room: impl Into<Room>) -> Result<(), RoomError> {
        let rooms = rooms_of(self).ok_or(RoomError::NoRooms)?;
        let (room, who) = (room.into(), self.address().id());
        self.send(rooms, Leave { room, who }).map_err(|error| why(error.reason()))
    }

    fn publish(&mut self, room: impl Into<Room>, note: impl Into<Note>) -> Result<(), SendError<Note>> {
        let (room, mut note) = (room.into(), note.into());
        let Some(rooms) = rooms_of(self) else { return Err(SendError::Gone(note)) };
        note.author = Some(self.address().id());
        self.send(rooms, Publish { room, note }).map_err(|error| match error {
            SendError::Full(publish) => SendError::Full(publish.note),
            SendError::Gone(publish) => SendError::Gone(publish.note),
        })
    }

    fn ask_who(&mut self, room: impl Into<Room>) -> Result<(), RoomError> {
        let rooms = rooms_of(self).ok_or(RoomError::NoRooms)?;
        let (room, who) = (room.into(), self.address().id());
        self.send(rooms, Who { room, who }).map_err(|error| why(error.reason()))
    }
}

/// What other threads do in rooms.
///
/// ```no_run
/// use corewire::prelude::*;
/// use corewire_actors::rooms::{Body, Note, RoomsFromOutside};
///
/// fn announce(shards: &Outside) {
///     let note = Note::new(Body::Text("back in a minute".into()));
///     if let Err(error) = shards.publish("lobby", note) {
///         println!("{error}");
///     }
/// }
/// ```
pub trait RoomsFromOutside {
    /// Says something in a room.
    ///
    /// # Errors
    /// [`SendError::Full`]: too much waits for the room's shard. [`SendError::Gone`]: this server has no rooms, or has ended. The
    /// note comes back.
    fn publish(&self, room: impl Into<Room>, note: impl Into<Note>) -> Result<(), SendError<Note>>;
}

impl RoomsFromOutside for Outside {
    fn publish(&self, room: impl Into<Room>, note: impl Into<Note>) -> Result<(), SendError<Note>> {
        let (room, note) = (room.into(), note.into());
        let Some(home) = self.service_on::<Rooms>(room.home(self.shards())) else {
            return Err(SendError::Gone(note));
        };
        self.send(home, Publish { room, note }).map_err(|error| match error {
            SendError::Full(publish) => SendError::Full(publish.note),
            SendError::Gone(publish) => SendError::Gone(publish.note),
        })
    }
}

pub(super) fn check(room: &Room, member: Option<&str>) -> Result<(), RoomError> {
    let is_good = (1..=ROOM_NAME_BYTES_MAX).contains(&room.name().len())
        && member.is_none_or(|name| (1..=MEMBER_NAME_BYTES_MAX).contains(&name.len()));
    if is_good { Ok(()) } else { Err(RoomError::BadName) }
}

fn why(refused: Refused) -> RoomError {
    match refused {
        Refused::Full => RoomError::Busy,
        Refused::Gone => RoomError::NoRooms,
    }
}
