//! The echo demo: every message goes back to its client. `make echo` runs it.

use clap::Parser;
use corewire::prelude::*;
use corewire_actors::cli::ServerFlags;
use std::process::ExitCode;
use std::time::Duration;

/// An echo server: every message goes back to its client
#[derive(Parser)]
#[command(version, name = "echo")]
struct Flags {
    /// Where to listen; ":9001" is every address of this machine
    #[arg(long, env = "COREWIRE_ADDR", default_value = ":9001")]
    addr: String,
    #[command(flatten)]
    server: ServerFlags,
}

struct Echo;
impl Session for Echo {
    const MIGRATION: Option<Migration<Self>> = Migration::ALLOWED; // for --rebalance

    fn message(&mut self, message: Message, cx: &mut Context<Self>) -> Result<(), Close> {
        Ok(cx.client().send(message)?)
    }
}

fn main() -> ExitCode {
    let flags = Flags::parse();
    flags.server.log();
    match run(flags) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("echo: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(flags: Flags) -> corewire::Result {
    let server = Server::bind(flags.addr).config(flags.server.config()).at("/", |_: &Upgrade| Ok(Echo));
    server.run_with(|running| {
        let (address, port) = (running.address(), running.address().port());
        println!(
            "listening on {address}; try: npx wscat -c ws://localhost:{port} (or: curl -i localhost:{port})"
        );
        let handle = running.handle();
        std::thread::spawn(move || {
            loop {
                std::thread::sleep(Duration::from_secs(5));
                let stats = handle.stats();
                println!("Active: {}, Msgs: {}", stats.connections, stats.messages_in);
            }
        });
    })
}
