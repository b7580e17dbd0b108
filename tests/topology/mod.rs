//! Promises of `topology`.

mod discovery;
mod limits;
mod placement;
mod report;
