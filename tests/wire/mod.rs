//! Promises of `wire`.
