//! Crash and recovery: a parser that panics is made anew at the same address until it has done so too often; then its
//! supervisor fails, and an actor on another shard is told. `cargo run --example supervised` prints what happens, and
//! ends.

use corewire::actor::{Down, Restart, Supervision};
use corewire::prelude::*;
use corewire::shard::ShardId;
use std::error::Error;
use std::time::Duration;

/// Trusts its input, as it should not.
struct Parser {
    life: u32,
    parsed: u32,
}

/// A line of input. The answer is the number on it.
struct Line(&'static str);

impl Actor for Parser {
    fn started(&mut self, _: &mut Context<Self>) {
        println!("parser, life {}: ready", self.life);
    }
}

impl Handler<Line> for Parser {
    type Reply = u64;
    fn handle(&mut self, Line(line): Line, _: &mut Context<Self>) -> u64 {
        let number = line.parse().expect("a line is a number"); // a panic is a crash of this actor, and of nothing else
        self.parsed += 1;
        println!("parser, life {}: {line} is the {}. line", self.life, self.parsed);
        number
    }
}

/// Has the parser made anew, at most twice a minute.
struct Supervisor {
    parser: Option<Address<Parser>>,
}

/// Where is the parser? Its address stays good, so one question is enough.
struct Where;

impl Actor for Supervisor {
    const SUPERVISION: Supervision = Supervision::ONE_FOR_ONE
        .restarts(2, Duration::from_secs(60))
        .back_off(Duration::from_millis(50), Duration::from_secs(1));

    fn started(&mut self, cx: &mut Context<Self>) {
        let mut life = 0;
        let make = move || {
            life += 1;
            Parser { life, parsed: 0 } // nothing of the state that crashed is left
        };
        self.parser = cx.spawn_child(Restart::OnFailure, make).ok();
    }

    fn stopped(&mut self, reason: &Reason, _: &mut Context<Self>) {
        println!("supervisor: over, because {reason}");
    }
}

impl Handler<Where> for Supervisor {
    type Reply = Option<Address<Parser>>;
    fn handle(&mut self, _: Where, _: &mut Context<Self>) -> Self::Reply {
        self.parser
    }
}

/// Watches the supervisor from another shard.
struct Guard {
    supervisor: Address<Supervisor>,
    told: flume::Sender<()>,
}

impl Actor for Guard {
    fn started(&mut self, cx: &mut Context<Self>) {
        if let Err(error) = cx.watch(self.supervisor) {
            println!("guard: {error}");
        }
    }
}

impl Handler<Down> for Guard {
    type Reply = ();
    fn handle(&mut self, down: Down, _: &mut Context<Self>) {
        println!("guard, on another shard: {:?} is down: {}", down.who, down.reason);
        let _ = self.told.send(()); // main may have stopped waiting
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut config = Config::default();
    config.workers = 2;
    config.pin = false;
    let server = Server::bind("127.0.0.1:0").config(config).at("/", |_: &Upgrade| Ok(Nobody)).start()?;
    let handle = server.handle();
    let outside = handle.outside();
    let patience = Duration::from_secs(5);

    let supervisor = outside.spawn_on(ShardId(0), Supervisor { parser: None }).wait(patience)?;
    let (told, hear) = flume::bounded(1);
    outside.spawn_on(ShardId(1), Guard { supervisor, told }).wait(patience)?;
    let parser = outside.ask(supervisor, Where).wait()?.ok_or("no slot for a parser")?;

    for line in ["17", "4", "4711x", "23", "", "42", "over"] {
        match outside.ask(parser, Line(line)).wait() {
            Ok(number) => println!("main: {number}"),
            Err(error) => println!("main: no number on {line:?}: {error}"),
        }
    }
    hear.recv_timeout(patience)?;
    let restarts = handle.stats().restarts;
    println!("main: {restarts} restarts; now everything stops");
    handle.stop();
    server.join()?;
    Ok(())
}

/// A server serves somebody; here that is not the point.
struct Nobody;
impl Session for Nobody {
    fn message(&mut self, _: Message, _: &mut Context<Self>) -> Result<(), Close> {
        Ok(())
    }
}
