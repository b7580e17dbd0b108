//! Actors for WebSocket servers on pinned io_uring shards.
//!
//! The modules stand in reading order, and a module names only modules above it.

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

pub use server::Server;

/// The result of running a server.
pub type Result<T = (), E = server::Error> = std::result::Result<T, E>;

/// What a server is usually written with.
pub mod prelude {
    pub use crate::actor::{Actor, Address, Context, Handler};
    pub use crate::connection::{Close, CloseReason, Message, Session, Upgrade};
    pub use crate::server::{Config, Server};
    pub use crate::wire::http::Refusal;
}
