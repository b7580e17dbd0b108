//! Actors that come with corewire, built on its public interface only.
//!
//! - [`rooms`]: rooms that span shards
//! - [`sessions`]: who is there, by session and by user
//! - [`packets`]: what services of one kind say to each other from shard to shard
//! - [`typed`]: messages in JSON, `{"type": .., "data": ..}`, to handlers by their type
//! - [`sbe`]: Simple Binary Encoding: messages that are read where they lie
//! - [`gateway`]: trades in it, from clients to a handler of yours, without a copy
//! - [`cli`]: the demos' flags

pub mod cli;
pub mod gateway;
pub mod packets;
pub mod rooms;
pub mod sbe;
pub mod sessions;
pub mod typed;
