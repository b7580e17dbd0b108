//! What the bytes mean: RFC 6455 as a state machine, both ends of it, without IO.
//!
//! Read in this order; each file cites the sections that it obeys.
//! - [`http`]: a request's head as a view, a refusal
//! - [`handshake`]: from HTTP to WebSocket, both ends (§4)
//! - [`frame`]: a frame's header, read and written (§5.2)
//! - [`mask`]: the XOR over a client's payload (§5.3)
//! - [`utf8`]: text that comes in pieces (§8.1)
//! - [`close`]: codes, and who closes when (§7)
//! - `message`: fragments and limits (§5.4, §10.4)
//! - `event`, `error`: what comes out, and what a peer can do wrong
//! - `machine`: all of these as one state per connection
//!
//! Bytes come in as arguments and are unmasked where they lie; what they mean goes out as return values, payloads as
//! ranges into those bytes. Nothing is allocated for a message.
//!
//! Does not know: sockets, where buffers come from, shards, actors, the clock. Deadlines are the connection's.
//!
//! A message comes from `shard` as bytes and leaves for `connection` as an [`Event`].

pub mod close;
mod error;
mod event;
pub mod frame;
pub mod handshake;
pub mod http;
mod machine;
pub mod mask;
mod message;
pub mod utf8;

pub use close::CloseCode;
pub use error::{Violation, WireError};
pub use event::{Event, Payload, Step, Whole};
pub use machine::{Machine, Role};
pub use message::{Kind, Limits};
