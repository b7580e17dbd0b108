//! Actors that come with corewire, built on its public interface only.
//!
//! - [`cli`]: the demos' flags
//! - [`packets`]: what services of different shards say to each other

pub mod cli;
pub mod packets;
