//! SIGINT and SIGTERM while servers run: the first says goodbye to their clients, the next ends the process.
//!
//! One thread of a process waits for them, from its first server on, so that a server which comes after another hears its
//! own first signal. While none runs, a signal does what it does in any process.
//!
//! Does not know: how a server ends.

use super::Handle;
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A server that signals are meant for, until this is dropped.
#[derive(Debug)]
pub(super) struct Heeded(u64);

/// Those of this process.
struct Heeding {
    /// Somebody waits for signals.
    begun: bool,
    /// The number that was given last.
    last: u64,
    servers: Vec<Entry>,
}

struct Entry {
    number: u64,
    /// None while it starts.
    handle: Option<Handle>,
    told: bool,
}

static HEEDING: Mutex<Heeding> = Mutex::new(Heeding { begun: false, last: 0, servers: Vec::new() });

fn heeding() -> MutexGuard<'static, Heeding> {
    HEEDING.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Heeded {
    /// From now on a signal is for a server, though that may not have started yet.
    pub(super) fn begin() -> io::Result<Self> {
        let mut heeding = heeding();
        if !heeding.begun {
            let signals = Signals::new([libc::SIGINT, libc::SIGTERM])?;
            std::thread::Builder::new().name("signals".into()).spawn(move || wait_for(signals))?;
            heeding.begun = true;
        }
        heeding.last += 1;
        let number = heeding.last;
        heeding.servers.push(Entry { number, handle: None, told: false });
        Ok(Self(number))
    }

    /// It has started.
    pub(super) fn stops(&self, handle: Handle) {
        let mut heeding = heeding();
        let its = heeding.servers.iter_mut().find(|entry| entry.number == self.0);
        let entry = its.expect("it is there until it is dropped");
        if entry.told {
            stop(&handle);
        }
        entry.handle = Some(handle);
    }
}

impl Drop for Heeded {
    fn drop(&mut self) {
        heeding().servers.retain(|entry| entry.number != self.0);
    }
}

fn wait_for(mut signals: Signals) {
    for signal in signals.forever() {
        let mut heeding = heeding();
        if heeding.servers.is_empty() {
            drop(heeding);
            let _ = emulate_default_handler(signal); // it ends the process, or there is nothing to be done about it
        } else if heeding.servers.iter().all(|entry| entry.told) {
            drop(heeding);
            std::process::exit(130);
        } else {
            for entry in heeding.servers.iter_mut().filter(|entry| !entry.told) {
                entry.told = true;
                entry.handle.iter().for_each(stop);
            }
        }
    }
}

fn stop(handle: &Handle) {
    tracing::info!("stopping: saying goodbye to {} clients", handle.stats().connections);
    handle.stop();
}
