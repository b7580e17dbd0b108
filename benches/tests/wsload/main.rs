//! What `wsload` promises: that it sees what a server does wrong, and that what it counts is so.
//!
//! - `peer`: servers that do as they are told, one thread a connection
//! - `run`: `wsload` as a process, its report and its complaint
//! - `echo`, `wrong`, `open`, `broadcast`, `idle`: by mode, and for echo by whose fault it is
//! - `flags`: what it refuses

mod broadcast;
mod echo;
mod flags;
mod idle;
mod open;
mod peer;
mod run;
mod wrong;
