//! What a connection may do and how long it may take.

use crate::wire::{Limits, http::HeadLimits};
use std::time::Duration;

/// Limits and times of every connection of a server. All bounds are per connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// The HTTP request's head.
    pub head: HeadLimits,
    /// Frames, messages and fragments.
    pub wire: Limits,
    /// From the TCP connection to the complete request, however it trickles in.
    pub handshake_timeout: Duration,
    /// Nothing heard for this long, not even a pong: closed with 1001. A client that does not read is not heard either.
    pub idle_timeout: Duration,
    /// Nothing heard for this long: a ping is sent. None is sent if this is not shorter than `idle_timeout`.
    pub ping_interval: Duration,
    /// From our close frame to the client's, and then until the client hangs up; after that the connection is reset.
    pub close_timeout: Duration,
    /// Bytes that may wait for a client that does not read. While less than a quarter of it waits for a client
    /// that reads, a message fits whatever its size.
    /// Half as much may wait besides of what [others deliver](crate::connection::Terms).
    pub send_queue_bytes_max: usize,
    /// A mistake made on purpose, for the test that the simulator finds it. Looked at only on rare paths.
    #[doc(hidden)]
    pub planted: Option<Planted>,
}

/// Mistakes that can be planted, each a real one that somebody could make.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Planted {
    /// The rest of a short send is lost.
    RestLost,
    /// Reading is not resumed after the queue has drained.
    NotResumed,
    /// Bytes that come after a pause are read before those that wait.
    Overtaken,
    /// The block of a message that is cut off does not come home.
    Leaked,
    /// A lane is published, and the shard that sleeps is not rung.
    NotRung,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            head: HeadLimits::default(),
            // Fragments cost no memory here beyond their bytes, so many are allowed.
            wire: Limits { fragments_max: 131_072, ..Limits::default() },
            handshake_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            ping_interval: Duration::from_secs(25),
            close_timeout: Duration::from_secs(2),
            send_queue_bytes_max: 1 << 20,
            planted: None,
        }
    }
}
