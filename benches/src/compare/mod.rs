//! corewire beside its rivals: what is measured, what must be reached, and how it is told.
//!
//! In reading order:
//! - [`cells`]: each load, what is asked of it, and the bar; [`measure`]: what a load generator's report answers
//! - [`record`]: what was measured, as it is kept in `benches/results/latest.json`
//! - [`ratio`]: medians of pairs, and when a bar is reached; [`judge`]: from a record to rows
//! - [`table`]: from rows to Markdown; [`plot`] and [`svg`]: from rows to pictures
//!
//! Does not know: processes, files, the clock.
//!
//! A sample comes from the `compare` binary and leaves as a line of a table and a dot of a plot.

pub mod cells;
pub mod judge;
pub mod measure;
pub mod plot;
pub mod ratio;
pub mod record;
pub mod svg;
pub mod table;

/// The server that all others are compared with.
pub const OURS: &str = "corewire";
/// The rival that the bars of [`cells`] are about.
pub const FIRST_RIVAL: &str = "uWebSockets";
/// What the ratio to every other rival's CPU a message must not exceed.
pub const OTHERS_BAR: f64 = 0.95;
