//! Actors that come with corewire, built on its public interface only.
//!
//! - [`cli`]: the demos' flags

pub mod cli;
