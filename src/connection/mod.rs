//! A socket as an actor: the protocol inside, the user's session on top, limits around.
//!
//! - [`Session`], [`Close`], [`CloseReason`]: what people write, and how connections end
//! - [`Message`], [`Text`]: what a client says
//! - [`Client`]: what a session does to its client
//! - [`Upgrade`]: the request that a session comes from; [`Ticket`]: answering it later
//! - [`Frames`], [`FrameWriter`]: what goes to many, written once; [`Terms`], [`Slow`], [`Delivered`]: handing it to each
//! - [`Rules`]: limits and times
//! - `handshake`, `cell`, `farewell`: a connection's three lives in its slot, in order
//! - [`middleware`]: what stands between client and session; `guard`: what a connection sees of it, if there is any
//! - `bulk`: when large messages are read, and not received
//! - `later`: what waits for a client that is behind
//! - `link`: what lies under a session: queues, back-pressure, silence
//!
//! Does not know: how sockets are accepted, which route made a session, other connections.
//!
//! A message comes from `shard` as bytes and leaves for the user's [`Session`]; what that sends leaves for `shard` at
//! the end of the turn.

mod bulk;
mod cell;
mod client;
mod deliver;
mod farewell;
mod frames;
pub(crate) mod guard;
pub(crate) mod handshake;
mod later;
pub(crate) mod link;
mod message;
pub mod middleware;
mod moving;
mod rules;
mod session;
mod ticket;

pub(crate) use cell::Connection;
pub use client::{Client, Stream};
pub use deliver::Delivered;
pub use frames::{FRAME_HEADER_BYTES_MAX, FrameWriter, Frames, FramesTicket, FramesTickets};
pub use handshake::Upgrade;
pub use later::{Slow, Terms};
pub use message::{Message, Text};
pub use middleware::{Middleware, Passage};
pub use moving::Migration;
#[doc(hidden)]
pub use rules::Planted;
pub use rules::Rules;
pub use session::{Close, CloseReason, ClosedBy, Session};
pub use ticket::Ticket;
