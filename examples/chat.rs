//! The chat: a page at `/`, WebSockets at `/ws`, rooms that span all shards. `make chat` runs it.
//!
//! Who says JSON (the page, by `chat/corewire.js`) has names, rooms, history and recovery: requests are `nick`, `join`,
//! `leave`, `publish`, `who` and `ping`, and what comes back is told by `corewire_actors::rooms`. Who says plain text (wscat) is in
//! the lobby, hears what is said there as it was said, and has the commands `/nick`, `/join` and `/who`.

use clap::{CommandFactory, FromArgMatches, Parser};
use corewire::actor::ActorId;
use corewire::prelude::*;
use corewire::topology::{Machine, Policy, plan};
use corewire_actors::cli::ServerFlags;
use corewire_actors::rooms::{Body, InRooms, Join, Note, Room, RoomError, RoomRules, Rooms, RoomsConfig};
use corewire_actors::sessions::{InSessions, Sessions, SessionsConfig, SignInError};
use corewire_actors::typed::{Data, Failure, SendTyped, Typed};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::process::ExitCode;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

/// A chat server: open its page in two windows, or talk with wscat
#[derive(Parser)]
#[command(version, name = "chat")]
struct Flags {
    /// Where to listen; ":8080" is every address of this machine
    #[arg(long, env = "COREWIRE_ADDR", default_value = ":8080")]
    addr: String,
    /// Parts into which users are divided; each knows the sessions of its users
    #[arg(long, env = "COREWIRE_SHARDS", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..))]
    shards: u16,
    /// Refused: TCP in user space is out of scope; see --busy-poll
    #[arg(long)]
    dpdk: bool,
    #[command(flatten)]
    server: ServerFlags,
}

// ---- a client ----

struct Talk {
    /// It says and hears JSON.
    json: bool,
    /// What it is called, once it has said so.
    name: Option<Arc<str>>,
    rooms: Vec<Room>,
}

static TALK: LazyLock<Typed<Talk>> = LazyLock::new(|| {
    Typed::new()
        .on("nick", Talk::nick)
        .on("join", Talk::join)
        .on("leave", Talk::leave)
        .on("who", Talk::who)
        .on_data("publish", Talk::publish)
        .on("ping", |_: &mut Talk, (): (), cx: &mut Context<Talk>| cx.client().send_typed("pong", &()))
});

impl Session for Talk {
    const MIGRATION: Option<Migration<Self>> = Migration::ALLOWED;

    fn open(&mut self, cx: &mut Context<Self>) -> Result<(), Close> {
        if let Some(clients) = cx.service::<Clients>() {
            let me = cx.address().id();
            cx.send(clients, Came(me))?;
        }
        if !self.json {
            self.enter(LOBBY.into(), Join::plain().history(PLAIN_HISTORY), cx)?;
        }
        Ok(())
    }

    fn message(&mut self, message: Message, cx: &mut Context<Self>) -> Result<(), Close> {
        if !self.json && message.as_text().is_some_and(is_object) {
            self.json = true; // and it hears no plain text any more
            self.leave_all(cx)?;
        }
        if self.json {
            return TALK.handle(self, &message, cx);
        }
        match message.as_text().and_then(|text| text.strip_prefix('/')) {
            None => self.say(message, cx),
            Some(command) => match self.command(command.trim(), cx) {
                Ok(answer) if answer.is_empty() => Ok(()),
                Ok(answer) => Ok(cx.client().send_text(&answer)?),
                Err(failure) => Ok(cx.client().send_text(&failure.to_string())?),
            },
        }
    }
}

impl Talk {
    fn enter(&mut self, room: Room, join: Join, cx: &mut Context<Self>) -> Result<(), RoomError> {
        if self.rooms.contains(&room) {
            return Err(RoomError::AlreadyIn);
        }
        let join = match &self.name {
            Some(name) => join.named(name.clone()),
            None => join,
        };
        cx.join_room(&room, join)?;
        let _ = cx.note_subscription(room.name(), true); // for those who look, and no reason to refuse
        self.rooms.push(room);
        Ok(())
    }

    fn leave_all(&mut self, cx: &mut Context<Self>) -> Result<(), RoomError> {
        self.rooms.drain(..).try_for_each(|room| {
            let _ = cx.note_subscription(room.name(), false);
            cx.leave_room(room)
        })
    }

    fn is_in(&self, room: &str) -> Result<&Room, RoomError> {
        self.rooms.iter().find(|known| known.name() == room).ok_or(RoomError::NotIn)
    }

    /// Takes another name, and goes out and in again by it. Who hears JSON tells by the numbers what it has heard already.
    fn rename(&mut self, name: &str, cx: &mut Context<Self>) -> Result<(), Failure> {
        let name = name.trim();
        if name.is_empty() || name.len() > NAME_BYTES_MAX || name.contains(char::is_control) {
            return Err(Failure::new("bad_name", "a name has 1 to 64 bytes, and no line breaks"));
        }
        if self.name.as_deref() == Some(name) {
            return Ok(());
        }
        if self.name.replace(name.into()).is_some() {
            let _ = cx.sign_out();
        }
        let device = if self.json { "page" } else { "text" };
        let signed_in = cx.sign_in(name, device, |_: &mut Self, session, cx| match session {
            Ok(_) | Err(SignInError::SignedOut) => {} // it has another name by now
            Err(error) => cx.client().close(error.into()),
        });
        signed_in.map_err(Close::from)?;
        for room in std::mem::take(&mut self.rooms) {
            cx.leave_room(&room)?;
            let join = if self.json { Join::json().history(HISTORY_MAX) } else { Join::plain() };
            self.enter(room, join, cx)?;
        }
        Ok(())
    }

    fn signed(&self, note: Note) -> Note {
        match &self.name {
            Some(name) => note.from(name.clone()),
            None => note,
        }
    }
}

// ---- what it says in JSON ----

#[derive(Deserialize, Serialize)]
struct Nick {
    name: String,
}

#[derive(Deserialize)]
struct Joining {
    room: String,
    since: Option<Since>,
    #[serde(default)]
    history: u32,
}

#[derive(Deserialize)]
struct Since {
    epoch: String,
    seq: u64,
}

#[derive(Deserialize)]
struct OfRoom {
    room: String,
}

#[derive(Deserialize)]
struct Publishing<'a> {
    #[serde(borrow)]
    room: Cow<'a, str>,
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    /// Passed on as it is written.
    #[serde(borrow)]
    data: &'a RawValue,
}

impl Talk {
    fn nick(&mut self, Nick { name }: Nick, cx: &mut Context<Self>) -> Result<(), Failure> {
        self.rename(&name, cx)?;
        let name = self.name.as_deref().unwrap_or_default().into();
        Ok(cx.client().send_typed("nick", &Nick { name })?)
    }

    fn join(
        &mut self,
        Joining { room, since, history }: Joining,
        cx: &mut Context<Self>,
    ) -> Result<(), Failure> {
        let join = match since {
            Some(Since { epoch, seq }) => Join::json().since(&epoch, seq),
            None => Some(Join::json().history(history)),
        };
        let join = join.ok_or_else(|| Failure::new("bad_epoch", "that is no epoch of a room"))?;
        Ok(self.enter(Room::from(&*room), join, cx)?)
    }

    fn leave(&mut self, OfRoom { room }: OfRoom, cx: &mut Context<Self>) -> Result<(), Failure> {
        let room = self.is_in(&room)?.clone();
        self.rooms.retain(|known| *known != room);
        let _ = cx.note_subscription(room.name(), false);
        Ok(cx.leave_room(room)?)
    }

    fn who(&mut self, OfRoom { room }: OfRoom, cx: &mut Context<Self>) -> Result<(), Failure> {
        Ok(cx.ask_who(self.is_in(&room)?)?)
    }

    fn publish(&mut self, data: Data<'_>, cx: &mut Context<Self>) -> Result<(), Failure> {
        let Publishing { room, id, data } = data.read()?;
        let mut note = self.signed(Note::new(Body::Json(data.get().into())));
        match id {
            Some(id) if id.len() > ID_BYTES_MAX => {
                return Err(Failure::new("bad_id", "an id has 64 bytes at most"));
            }
            Some(id) => note = note.id(id),
            None => {}
        }
        cx.note_activity();
        Ok(cx.publish(self.is_in(&room)?, note)?)
    }
}

// ---- what it says in plain text ----

/// What begins as an object does is typed JSON.
fn is_object(text: &str) -> bool {
    text.trim_start().strip_prefix('{').is_some_and(|rest| rest.trim_start().starts_with('"'))
}

impl Talk {
    fn say(&mut self, message: Message, cx: &mut Context<Self>) -> Result<(), Close> {
        let room = self.rooms.last().ok_or_else(|| Close::new(1011, "it is in no room"))?;
        Ok(cx.publish(room, self.signed(message.into()))?)
    }

    /// What is answered to a command; nothing if its room answers.
    fn command(&mut self, command: &str, cx: &mut Context<Self>) -> Result<String, Failure> {
        let (word, about) =
            command.split_once(' ').map_or((command, ""), |(word, about)| (word, about.trim()));
        match (word, about) {
            ("nick", name) if !name.is_empty() => {
                self.rename(name, cx)?;
                Ok(format!("you are {name}"))
            }
            ("join", room) if !room.is_empty() => {
                let room = Room::from(room);
                self.leave_all(cx)?; // one at a time: there is no telling which one a text is for
                self.enter(room, Join::plain().history(PLAIN_HISTORY), cx)?;
                Ok(format!("you are in {about}"))
            }
            ("who", _) => {
                cx.ask_who(self.rooms.last().ok_or(RoomError::NotIn)?)?;
                Ok(String::new())
            }
            _ => Ok("commands: /nick NAME, /join ROOM, /who".into()),
        }
    }
}

// ---- who is there ----

/// Counts the clients of its shard.
struct Clients(i64);

/// A client has come.
struct Came(ActorId);

impl Actor for Clients {
    fn started(&mut self, cx: &mut Context<Self>) {
        if let Err(full) = cx.register_probe("active_clients", |clients| clients.0) {
            tracing::warn!("{full}");
        }
    }
}

impl Handler<Came> for Clients {
    type Reply = ();
    fn handle(&mut self, Came(client): Came, cx: &mut Context<Self>) {
        self.0 += i64::from(cx.watch(client).is_ok());
    }
}

impl Handler<Down> for Clients {
    type Reply = ();
    fn handle(&mut self, _: Down, _: &mut Context<Self>) {
        self.0 -= 1;
    }
}

// ---- the server ----

fn main() -> ExitCode {
    let flags = Flags::command()
        .mut_arg("workers", |workers| workers.default_value("4").help(WORKERS_HELP))
        .mut_arg("max_message", |bytes| bytes.default_value("65536"));
    let flags = Flags::from_arg_matches(&flags.get_matches()).unwrap_or_else(|error| error.exit());
    flags.server.log();
    match run(flags) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("chat: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(flags: Flags) -> Result<(), Box<dyn std::error::Error>> {
    if flags.dpdk {
        return Err("--dpdk is refused: TCP in user space is out of scope here; --busy-poll US trades CPU for latency".into());
    }
    let mut config = flags.server.config();
    if config.pin && config.workers > 0 {
        let all = Policy { workers: 0, numa: config.numa, pin: true };
        let cores = plan(&Machine::discover()?, &all)?.shards.len() as u32;
        config.workers = config.workers.min(cores);
    }
    // The rooms, the sessions and who counts the clients watch each of them.
    let clients = if config.clients_per_shard_max > 0 { config.clients_per_shard_max } else { CLIENTS_MAX };
    config.watches_max = config.watches_max.max(clients.saturating_mul(3));
    let rules = RoomRules { history_age: Duration::from_secs(24 * 3600), ..RoomRules::default() };
    let rooms = RoomsConfig::default().rules(move |_| rules.clone());
    let mut sessions = SessionsConfig::default();
    sessions.partitions = flags.shards;
    sessions.sessions_max = sessions.sessions_max.max(clients);
    let server = Server::bind(flags.addr)
        .config(config)
        .service(Sessions::with(sessions))
        .service(Rooms::service(rooms))
        .service(|_| Clients(0))
        .page("/", "text/html; charset=utf-8", include_bytes!("chat/index.html").as_slice())
        .page("/corewire.js", "text/javascript; charset=utf-8", include_bytes!("chat/corewire.js").as_slice())
        .at_with("/ws", &[JSON], |upgrade: &Upgrade| {
            let json = upgrade.subprotocols().any(|offered| offered == JSON);
            Ok(Talk { json, name: None, rooms: Vec::new() })
        });
    server.run_with(|running| {
        let (address, port) = (running.address(), running.address().port());
        println!(
            "listening on {address}; open http://localhost:{port}/ in two windows, or try: npx wscat -c ws://localhost:{port}/ws"
        );
        let shards = running.handle().outside().clone();
        std::thread::spawn(move || {
            loop {
                std::thread::sleep(STATISTICS_EVERY);
                if let Ok(stats) = shards.stats().wait(STATISTICS_EVERY) {
                    let messages = stats.sum(|shard| shard.messages_in);
                    println!("Active: {}, Msgs: {messages}", stats.probe("active_clients"));
                }
            }
        });
    })?;
    Ok(())
}

/// On one shard, where the flags say nothing of it.
const CLIENTS_MAX: u32 = 1 << 18;
/// Where everybody begins who says nothing else.
const LOBBY: &str = "lobby";
/// The subprotocol of those who say JSON from the beginning.
const JSON: &str = "corewire.json";
const WORKERS_HELP: &str =
    "Shards, each on a core of its own, as far as there are cores; 0 = one per physical core";
const STATISTICS_EVERY: Duration = Duration::from_secs(5);
const NAME_BYTES_MAX: usize = 64;
const ID_BYTES_MAX: usize = 64;
/// More than a room remembers.
const HISTORY_MAX: u32 = 1000;
/// What who hears plain text hears of what was said before.
const PLAIN_HISTORY: u32 = 20;
