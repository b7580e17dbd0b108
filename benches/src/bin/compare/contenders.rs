//! Who can take part: programs that were built beside this one.

use corewire_bench::compare::cells::Mode;
use corewire_bench::compare::record::Entrant;
use corewire_bench::compare::{FIRST_RIVAL, OURS};
use std::path::{Path, PathBuf};

/// A server, which may be one program for all modes, or lack some.
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    what: &'static str,
    /// The crate whose version is told, and the lock file that knows it.
    version: Option<(&'static str, &'static str)>,
    programs: &'static [Program],
}

/// A program, and what it can do.
pub(crate) struct Program {
    pub(crate) mode: Mode,
    /// Below the target directory.
    path: &'static str,
    /// `PORT` stands for the port.
    arguments: &'static [&'static str],
}

pub(crate) const ALL: [Contender; 4] = [
    Contender {
        name: OURS,
        what: "this repository, examples/echo and examples/rooms with one worker; io_uring",
        version: None,
        programs: &[
            Program { mode: Mode::Echo, path: "release/examples/echo", arguments: OUR_ARGUMENTS },
            Program { mode: Mode::Rooms, path: "release/examples/rooms", arguments: OUR_ARGUMENTS },
        ],
    },
    Contender {
        name: FIRST_RIVAL,
        what: "C++, epoll, -O3 -flto -march=native; sources of",
        version: Some(("libuwebsockets-sys", "benches/rivals/uwebsockets/Cargo.lock")),
        programs: &[
            Program { mode: Mode::Echo, path: "rivals/uwebsockets", arguments: PORT },
            Program { mode: Mode::Rooms, path: "rivals/uwebsockets", arguments: PORT },
        ],
    },
    Contender {
        name: "fastwebsockets",
        what: "hyper and tokio, one write for one read;",
        version: Some(("fastwebsockets", "Cargo.lock")),
        programs: &[Program { mode: Mode::Echo, path: "release/rival-fastwebsockets", arguments: PORT }],
    },
    Contender {
        name: "tokio-tungstenite",
        what: "read buffer of 16 KiB, flushed once a read, rooms by tokio's broadcast channel;",
        version: Some(("tokio-tungstenite", "Cargo.lock")),
        programs: &[
            Program { mode: Mode::Echo, path: "release/rival-tungstenite", arguments: PORT },
            Program { mode: Mode::Rooms, path: "release/rival-tungstenite", arguments: PORT },
        ],
    },
];

const PORT: &[&str] = &["--port", "PORT"];
const OUR_ARGUMENTS: &[&str] = &["--addr", "127.0.0.1:PORT", "--workers", "1"];

impl Contender {
    /// What it does `mode` with, if that is built.
    pub(crate) fn program(&self, mode: Mode, target: &Path) -> Option<&'static Program> {
        self.programs.iter().find(|program| program.mode == mode && program.file(target).exists())
    }

    /// For the record; with the reason if nothing of it is there.
    pub(crate) fn entrant(&self, target: &Path, repository: &Path) -> Entrant {
        let version = self.version.map(|(package, lock)| {
            let version = locked_version(&repository.join(lock), package).unwrap_or_else(|| "?".into());
            format!(" {package} {version}")
        });
        let is_there = self.programs.iter().any(|program| program.file(target).exists());
        let missing = self.programs.first().filter(|_| !is_there).map(|program| program.file(target));
        Entrant {
            name: self.name.into(),
            what: format!("{}{}", self.what, version.unwrap_or_default()),
            skipped: missing.map(|file| format!("{} is not built", file.display())),
        }
    }
}

impl Program {
    pub(crate) fn file(&self, target: &Path) -> PathBuf {
        target.join(self.path)
    }

    pub(crate) fn arguments(&self, port: u16) -> Vec<String> {
        self.arguments.iter().map(|argument| argument.replace("PORT", &port.to_string())).collect()
    }
}

/// The version of a package in a lock file.
fn locked_version(lock: &Path, package: &str) -> Option<String> {
    let text = std::fs::read_to_string(lock).ok()?;
    let (_, after) = text.split_once(&format!("name = \"{package}\"\nversion = \""))?;
    Some(after.split('"').next()?.into())
}
