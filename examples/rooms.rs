//! Rooms by path: what a client of /room/NAME says, everybody there hears, on whatever core they are.

use clap::Parser;
use corewire::prelude::*;
use corewire_actors::cli::ServerFlags;
use corewire_actors::rooms::{InRooms, Join, Room, Rooms, RoomsConfig};

/// Rooms by path: what a client of /room/NAME says, everybody there hears
#[derive(Parser)]
#[command(version, name = "rooms")]
struct Flags {
    /// Where to listen; ":9001" is every address of this machine
    #[arg(long, env = "COREWIRE_ADDR", default_value = ":9001")]
    addr: String,
    #[command(flatten)]
    server: ServerFlags,
}

struct Member(Room);
impl Session for Member {
    fn open(&mut self, cx: &mut Context<Self>) -> Result<(), Close> {
        Ok(cx.join_room(&self.0, Join::plain())?)
    }
    fn message(&mut self, message: Message, cx: &mut Context<Self>) -> Result<(), Close> {
        Ok(cx.publish(&self.0, message)?) // it moves to the room, which writes it once for all
    }
}

fn main() -> corewire::Result {
    let flags = Flags::parse();
    flags.server.log();
    Server::bind(flags.addr)
        .config(flags.server.config())
        .service(Rooms::service(RoomsConfig::default()))
        .at("/room/*", |upgrade: &Upgrade| Ok(Member(Room::from(upgrade.path()))))
        .run_with(|running| {
            let port = running.address().port();
            println!(
                "listening on {}; try: npx wscat -c ws://localhost:{port}/room/lobby",
                running.address()
            );
        })
}
