//! `wsload`: load for any WebSocket server, and what it costs the server.
//!
//! In reading order:
//! - [`flags`]: what can be asked for; [`error`]: whose fault it was; [`report`]: what is told
//! - [`modes`]: from the one to the other
//! - [`machine`], [`process`], [`kernel`]: what is asked of the machine, and what it knows of the server
//! - [`messages`], [`replies`], [`odd`]: what is sent, and whether it comes back byte for byte
//! - [`opening`], [`connection`], [`clients`]: sockets, and the one thread's epoll around them
//! - [`clock`], [`meter`], [`progress`]: time, what is counted, and a bar for those who wait
//! - [`closed`], [`open`]: the loops of `echo`
//! - [`rooms`], [`greeting`], [`broadcast`]: the loop of `broadcast`
//! - [`idle`]: connections that do nothing
//!
//! benches/README.md tells how to use it.

mod broadcast;
mod clients;
mod clock;
mod closed;
mod connection;
mod error;
mod flags;
mod greeting;
mod idle;
mod kernel;
mod machine;
mod messages;
mod meter;
mod modes;
mod odd;
mod open;
mod opening;
mod process;
mod progress;
mod replies;
mod report;
mod rooms;

use clap::Parser;
use error::Error;
use flags::{Flags, Mode};
use std::process::ExitCode;

fn main() -> ExitCode {
    match run(&Flags::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("wsload: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

fn run(flags: &Flags) -> Result<(), Error> {
    let (report, common) = match &flags.mode {
        Mode::Echo(flags) => (modes::echo(flags)?, &flags.common),
        Mode::Broadcast(flags) => (modes::broadcast(flags)?, &flags.common),
        Mode::Idle(flags) => (modes::idle(flags)?, &flags.common),
    };
    if common.json {
        let json = serde_json::to_string(&report).map_err(|error| Error::Machine(error.to_string()))?;
        println!("{json}");
    } else {
        println!("{report}");
    }
    Ok(())
}
