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
