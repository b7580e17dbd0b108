//! Promises of `shard` that need no kernel.

mod mesh;
mod wheel;
