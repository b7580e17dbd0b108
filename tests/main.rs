//! Promises of the library, one test binary; a test's name is its promise.

mod actor;
mod actors;
mod buf;
mod server;
mod shard;
mod sim;
mod tidy;
mod topology;
mod wire;
