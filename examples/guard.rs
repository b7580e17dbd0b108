//! Middleware: who may come in, how much they may say, and what is never said to them. Serves until it is stopped.

use clap::Parser;
use corewire::connection::middleware::outbound;
use corewire::prelude::*;
use corewire_actors::cli::ServerFlags;

/// Middleware at work: tokens, a pace, and words that are never said
#[derive(Parser)]
#[command(version, name = "guard")]
struct Flags {
    /// Where to listen
    #[arg(long, env = "COREWIRE_ADDR", default_value = ":9001")]
    addr: String,
    #[command(flatten)]
    server: ServerFlags,
}

/// Who has shown a token.
#[derive(Clone)]
struct User(String);

/// Lets in who has a token in the query, and tells the route who it is.
fn authenticate(upgrade: &Upgrade<'_>) -> Result<(), Refusal> {
    let token = upgrade.query().and_then(|query| query.strip_prefix("token="));
    let user = token.and_then(|token| token.strip_prefix("user-")).ok_or_else(|| Refusal::new(401))?;
    upgrade.attach(User(user.to_owned()));
    Ok(())
}

/// So many messages a second, and the rest is not heard.
struct Pace {
    a_second: u32,
    second: u64,
    heard: u32,
}

impl Pace {
    fn limit(a_second: u32) -> impl Fn(&Upgrade<'_>) -> Result<Self, Refusal> {
        move |_| Ok(Self { a_second, second: 0, heard: 0 })
    }
}

impl Middleware for Pace {
    fn inbound(&mut self, message: Message, passage: &mut Passage<'_>) -> Result<Option<Message>, Close> {
        let second = passage.now().as_millis() / 1000;
        if second != self.second {
            (self.second, self.heard) = (second, 0);
        }
        self.heard += 1;
        if self.heard <= self.a_second {
            return Ok(Some(message));
        }
        passage.count("pace.refused", 1);
        passage.client().send_text("slow down")?;
        Ok(None)
    }

    fn sees_outbound(&self) -> bool {
        false
    }
}

/// Says what it hears, with the name of who said it.
struct Desk(User);
impl Session for Desk {
    fn message(&mut self, message: Message, cx: &mut Context<Self>) -> Result<(), Close> {
        let text = message.as_text().ok_or_else(|| Close::new(1003, "text only"))?;
        assert_ne!(text, "crash", "somebody asked for it");
        Ok(cx.client().send_text(&format!("{}: {text}", self.0.0))?)
    }
}

fn main() -> corewire::Result {
    let flags = Flags::parse();
    flags.server.log();
    let server = Server::bind(flags.addr)
        .config(flags.server.config())
        .with(Logging::of) // the outermost comes first
        .with(Recovery::saying(Close::new(1011, "sorry; we look into it")))
        .with(authenticate)
        .with(Pace::limit(5))
        .with(|_: &Upgrade| {
            Ok(outbound(|message, passage| match message.as_text() {
                Some(text) if text.contains("password") => Ok(Some(passage.text("(removed)")?)),
                _ => Ok(Some(message)),
            }))
        })
        .with(Counters::of)
        .at("/", |upgrade: &Upgrade| Ok(Desk(upgrade.attached().ok_or_else(|| Refusal::new(500))?)));
    server.run_with(|running| {
        let port = running.address().port();
        println!("listening on port {port}; try: npx wscat -c 'ws://localhost:{port}/?token=user-ann'");
        println!("say a few things quickly, something with \"password\" in it, and \"crash\"");
    })
}
