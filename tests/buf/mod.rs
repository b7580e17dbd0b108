//! Promises of `buf`.
