//! Promises of `shard` by itself.

mod alarm;
mod mesh;
mod wheel;
