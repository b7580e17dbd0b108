//! Actors for WebSocket servers on pinned io_uring shards.
//!
//! Every connection is an actor on a shard: one thread, one core, one io_uring, its own memory. The ten-line server:
//!
#![doc = "```no_run"]
#![doc = include_str!("../examples/minimal.rs")]
#![doc = "```"]
//!
//! [`guide`] begins at the beginning. Or begin with [`Session`](connection::Session), [`Client`](connection::Client) and [`Server`]; [`actor`] has what is not
//! a connection. In reading order the modules are [`sync`], [`wire`], [`topology`], [`ring`], [`buf`], [`shard`], [`actor`],
//! [`connection`], [`server`] and beside it [`sim`]; a module names only modules before it. ARCHITECTURE.md in the
//! repository tells how they work together.

pub mod sync;

pub mod wire;

pub mod topology;

#[expect(unsafe_code, reason = "memory that two cores touch at once; model-checked by loom-tests")]
pub mod ring;

#[expect(unsafe_code, reason = "memory that the kernel writes into and that goes home by itself")]
pub mod buf;

pub mod shard;

pub mod actor;

pub mod connection;

pub mod server;

pub mod sim;

pub mod guide;

pub use server::Server;

/// glommio as shards know it: another version would not find them. See [`on_reactor`](shard::on_reactor).
pub use glommio;

/// The result of running a server.
pub type Result<T = (), E = server::Error> = std::result::Result<T, E>;

/// What a server is usually written with.
pub mod prelude {
    pub use crate::actor::{
        Actor, Address, AskError, Context, Down, Handler, Outside, Reason, Recipient, ReplyTo, Request,
        Returned, SendError, Stopping,
    };
    pub use crate::connection::middleware::{Counters, Logging, Recovery};
    pub use crate::connection::{
        Client, Close, CloseReason, ClosedBy, Message, Middleware, Migration, Passage, Rules, Session, Text,
        Ticket, Upgrade,
    };
    pub use crate::server::{Config, Server};
    pub use crate::wire::http::Refusal;
}
