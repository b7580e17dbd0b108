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
}

impl fmt::Display for SpawnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => {
                "the shard has as many actors as actors_max allows; start it elsewhere, or raise it"
            }
            Self::Ending => "the server, or who wanted to start it, is ending",
        })
    }
}

impl std::error::Error for SpawnError {}
