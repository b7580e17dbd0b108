//! Why a server does not start, or ended badly.

use crate::shard::uring::probe::Lack;
use crate::topology::{DiscoverError, PlanError};
use std::fmt;
use std::io;

/// Why a server does not start, or ended badly. Says whose fault it is and what to do.
#[non_exhaustive]
pub enum Error {
    /// The configuration asks for what cannot be.
    Config(String),
    /// The machine lacks something.
    Machine(Lack),
    /// The machine's cores cannot be found out.
    Discover(DiscoverError),
    /// The cores that were asked for are not there.
    Plan(PlanError),
    /// The address cannot be listened on.
    Listen {
        /// As it was given.
        address: String,
        /// What the kernel says.
        error: io::Error,
    },
    /// A shard could not start.
    Shard(io::Error),
    /// A thread of the worker pool could not start.
    Pool(io::Error),
    /// Memory was not home at the end: another thread still keeps a message, or it is a mistake of ours. How many blocks.
    BlocksLost(u64),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(what) => f.write_str(what),
            Self::Machine(lack) => lack.fmt(f),
            Self::Discover(error) => error.fmt(f),
            Self::Plan(error) => error.fmt(f),
            Self::Listen { address, error } => {
                let fix = match error.kind() {
                    io::ErrorKind::AddrInUse => "; another program has it: stop that, or choose another port",
                    io::ErrorKind::PermissionDenied => "; ports below 1024 need CAP_NET_BIND_SERVICE",
                    io::ErrorKind::InvalidInput => {
                        "; expected \":9001\", \"127.0.0.1:9001\" or \"[::1]:9001\""
                    }
                    _ => "",
                };
                write!(f, "cannot listen on {address:?}: {error}{fix}")
            }
            Self::Shard(error) => write!(f, "a shard could not start: {error}"),
            Self::Pool(error) => {
                write!(f, "a thread of the worker pool could not start: {error}; ask for fewer (--pool)")
            }
            Self::BlocksLost(blocks) => {
                write!(
                    f,
                    "{blocks} blocks of memory were not home at the end: another thread still keeps a message, \
                     or it is a mistake of corewire"
                )
            }
        }
    }
}

/// As [`Display`](fmt::Display): it is what `fn main() -> corewire::Result` prints.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Error {}

impl From<Lack> for Error {
    fn from(lack: Lack) -> Self {
        Self::Machine(lack)
    }
}

impl From<PlanError> for Error {
    fn from(error: PlanError) -> Self {
        Self::Plan(error)
    }
}

impl From<DiscoverError> for Error {
    fn from(error: DiscoverError) -> Self {
        Self::Discover(error)
    }
}
