//! Promises of `topology`.
