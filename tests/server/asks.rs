//! Questions across shards that sleep, of the real server: each is answered, by its handler or by another thread, or
//! ends on time.

use super::harness::{Client, Local, Said};
use corewire::prelude::*;
use corewire::shard::ShardId;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// One a shard.
#[derive(Default)]
struct Mirror(Vec<ReplyTo<String>>);
impl Actor for Mirror {}

struct Echo(String);
/// Answered, or let go, by a thread.
struct Aside {
    text: String,
    answers: bool,
}
struct Keep;

impl Handler<Echo> for Mirror {
    type Reply = String;
    fn handle(&mut self, Echo(text): Echo, _: &mut Context<Self>) -> String {
        text
    }
}

impl Handler<Request<Aside, String>> for Mirror {
    type Reply = ();
    fn handle(&mut self, Request { message, reply }: Request<Aside, String>, _: &mut Context<Self>) {
        std::thread::spawn(move || {
            if message.answers {
                reply.send_from_outside(message.text);
            }
        });
    }
}

impl Handler<Request<Keep, String>> for Mirror {
    type Reply = ();
    fn handle(&mut self, request: Request<Keep, String>, _: &mut Context<Self>) {
        self.0.push(request.reply);
    }
}

type Mirrors = Arc<Mutex<Vec<(ShardId, Address<Mirror>)>>>;

/// Asks another shard's mirror, and tells its client the answer.
struct Asking(Mirrors);

impl Session for Asking {
    fn open(&mut self, cx: &mut Context<Self>) -> Result<(), Close> {
        let mut mirrors = self.0.lock().expect("nobody panics");
        if mirrors.iter().all(|(shard, _)| *shard != cx.shard()) {
            let mirror = cx.spawn(Mirror::default()).map_err(|error| Close::new(1011, error.to_string()))?;
            mirrors.push((cx.shard(), mirror));
        }
        Ok(())
    }

    fn message(&mut self, message: Message, cx: &mut Context<Self>) -> Result<(), Close> {
        let text = message.as_text().unwrap_or_default().to_owned();
        let mirrors = self.0.lock().expect("nobody panics");
        let other = mirrors.iter().find(|(shard, _)| *shard != cx.shard());
        let Some(&(_, mirror)) = other else { return Err(Close::new(1011, "there is no other shard yet")) };
        match text.as_str() {
            "keep" => cx.ask(mirror, Keep).within(Duration::from_millis(30)).then(Self::tell)?,
            "aside" | "forget" => {
                let answers = text == "aside";
                cx.ask(mirror, Aside { text, answers }).then(Self::tell)?;
            }
            _ => cx.ask(mirror, Echo(text)).then(Self::tell)?,
        }
        Ok(())
    }
}

impl Asking {
    fn tell(&mut self, answer: Result<String, AskError>, cx: &mut Context<Self>) {
        let text = answer.unwrap_or_else(|error| format!("{error:?}"));
        cx.client().send_text(&text).expect("the client reads");
    }
}

#[test]
fn a_question_to_a_shard_that_sleeps_is_answered_by_a_shard_a_thread_or_the_clock() {
    let mirrors = Mirrors::default();
    let server = Local::with(|_| (), |server| server.at("/", move |_: &Upgrade| Ok(Asking(mirrors.clone()))));
    let mut clients: Vec<Client> = (0..32).map(|_| server.client()).collect();
    let (mut asked, mut failed) = (0, 0);
    for round in 0..30 {
        for client in &mut clients {
            for (text, expected) in
                [("hello", "hello"), ("aside", "aside"), ("forget", "NoReply"), ("keep", "TimedOut")]
            {
                if text != "keep" || round % 10 == 0 {
                    client.text(text);
                    assert_eq!(client.next(), Said::Text(expected.into()));
                    asked += 1;
                    failed += u64::from(text != expected);
                }
            }
        }
    }
    let stats = server.handle.stats();
    assert_eq!((stats.asks, stats.asks_failed, stats.wakes_lost), (asked, failed, 0), "{stats:?}");
}
