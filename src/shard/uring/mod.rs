//! `Driver` on io_uring: our own ring, inside a glommio executor. The only place that names either.
//!
//! - [`probe`]: what the kernel and the limits allow, and what to do where they do not
//! - `receive`: the ring of buffers that the kernel receives into
//! - [`driver`]: the ring itself
//! - [`waker`]: how a shard is woken
//! - [`host`]: the glommio executor that a shard runs in; `beside`: its turns, and sleeping there, while somebody needs them
//! - [`affinity`]: where other threads may run
//!
//! Receiving is multishot: one request a connection, as many completions as there is data. Sending is one request
//! a connection and turn, `MSG_DONTWAIT`, so the kernel has taken what it takes by the time that the submitting call
//! returns, and nothing need outlive that. All of a turn goes down in one `io_uring_enter`, the same one that
//! waits.

pub mod affinity;
mod beside;
pub mod driver;
pub mod host;
pub mod probe;
mod receive;
pub mod waker;

pub use driver::{Socket, UringDriver};
pub use waker::{Peers, Waker};
