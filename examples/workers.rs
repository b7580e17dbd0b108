//! Heavy work beside an echo: what begins with "hash " is hashed by a thread of the worker pool, which takes about a second;
//! everything else, of this client and of all others, comes back at once.

use clap::Parser;
use corewire::actor::{Priority, WorkError};
use corewire::prelude::*;
use corewire_actors::cli::ServerFlags;
use sha1::{Digest, Sha1};

/// An echo server that also hashes, slowly
#[derive(Parser)]
#[command(version, name = "workers")]
struct Flags {
    /// Where to listen; ":9001" is every address of this machine
    #[arg(long, env = "COREWIRE_ADDR", default_value = ":9001")]
    addr: String,
    /// Rounds of hashing; a million take about a second
    #[arg(long, default_value_t = 1_000_000)]
    rounds: u32,
    #[command(flatten)]
    server: ServerFlags,
}

struct Desk {
    rounds: u32,
}

impl Session for Desk {
    fn message(&mut self, message: Message, cx: &mut Context<Self>) -> Result<(), Close> {
        let Some(password) = message.as_text().and_then(|text| text.strip_prefix("hash ")) else {
            return Ok(cx.client().send(message)?);
        };
        let (password, rounds) = (password.to_owned(), self.rounds);
        // Not a message is handled later for it. A queue that is full closes the connection with 1013.
        cx.work(move || hash(&password, rounds)).at(Priority::Low).then(Self::hashed)?;
        Ok(())
    }
}

impl Desk {
    fn hashed(&mut self, hash: Result<String, WorkError>, cx: &mut Context<Self>) {
        let answer = hash.unwrap_or_else(|error| error.to_string());
        let _ = cx.client().send_text(&answer); // a client that is not there any more needs no answer
    }
}

/// What would keep a shard from everybody else.
fn hash(password: &str, rounds: u32) -> String {
    let mut hash = Sha1::digest(password);
    for _ in 1..rounds {
        hash = Sha1::digest(hash);
    }
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn main() -> corewire::Result {
    let flags = Flags::parse();
    flags.server.log();
    let rounds = flags.rounds;
    let server = Server::bind(flags.addr).config(flags.server.config());
    server.at("/", move |_: &Upgrade| Ok(Desk { rounds })).run_with(|running| {
        let port = running.address().port();
        println!(
            "listening on {}; try: npx wscat -c ws://localhost:{port}, and say: hash secret",
            running.address()
        );
    })
}
