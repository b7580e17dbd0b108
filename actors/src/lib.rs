//! Actors that come with corewire, built on its public interface only.
//!
//! - [`cli`]: the demos' flags
//! - [`packets`]: what services of different shards say to each other
//! - [`sessions`]: who is there, by session and by user

pub mod cli;
pub mod packets;
pub mod sessions;
