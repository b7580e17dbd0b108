//! Why an actor was not started.

use std::fmt;

/// Why an actor was not started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SpawnError {
    /// The shard has as many actors as [`actors_max`](crate::server::Config::actors_max) allows.
    Full,
    /// The server is ending, or who wanted it is.
    Ending,
    /// There is no shard of this number.
    NoShard,
    /// As many questions of this shard's actors wait for their answers as [`asks_max`](crate::server::Config::asks_max)
    /// allows, and this would be one more.
    Busy,
}

impl fmt::Display for SpawnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => {
                "the shard has as many actors as actors_max allows; start it elsewhere, or raise it"
            }
            Self::NoShard => "there is no such shard; they are numbered from 0",
            Self::Busy => "as many questions are open as asks_max allows; start it later, or raise it",
            Self::Ending => "the server, or who wanted to start it, is ending",
        })
    }
}

impl std::error::Error for SpawnError {}
