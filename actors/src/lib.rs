//! Actors that come with corewire, built on its public interface only.
//!
//! - [`cli`]: the demos' flags
//! - [`typed`]: messages in JSON, `{"type": .., "data": ..}`, to handlers by their type

pub mod cli;
pub mod typed;
