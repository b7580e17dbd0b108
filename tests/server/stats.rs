//! What the shards of the real server tell, while they work.

use super::harness::{Local, Said};
use corewire::prelude::*;
use std::time::Duration;

/// Sends itself so many notes before it answers its client.
struct Busy {
    left: u32,
}

struct Note;

impl Session for Busy {
    fn message(&mut self, _: Message, cx: &mut Context<Self>) -> Result<(), Close> {
        self.left = 2000;
        let me = cx.address();
        Ok(cx.send(me, Note)?)
    }
}

impl Handler<Note> for Busy {
    type Reply = ();
    fn handle(&mut self, _: Note, cx: &mut Context<Self>) {
        self.left -= 1;
        if self.left > 0 {
            let me = cx.address();
            cx.send(me, Note).expect("there is room");
        } else {
            cx.client().send_text("done").expect("the client reads");
        }
    }
}

#[test]
fn handlers_are_timed_now_and_then_and_all_shards_tell() {
    let server =
        Local::with(|_| (), |server| server.with(Counters::of).at("/", |_: &Upgrade| Ok(Busy { left: 0 })));
    let mut clients = [server.client(), server.client(), server.client()];
    for client in &mut clients {
        for _ in 0..3 {
            client.text("go");
            assert_eq!(client.next(), Said::Text("done".into()));
        }
    }
    let stats = server.handle.outside().stats().wait(Duration::from_secs(20)).expect("both shards turn");
    assert_eq!(stats.shards.len(), 2);
    assert_eq!((stats.probe("active_connections"), stats.probe("handler.processed")), (3, 9));
    assert_eq!(stats.probe("messages_processed"), 9);
    assert_eq!(stats.sum(|shard| shard.handled), 18_000);
    let handlers = stats.handlers();
    let notes = handlers.iter().find(|handler| handler.message.ends_with("Note")).expect("there were many");
    assert!(notes.actor.ends_with("Busy"), "{notes:?}");
    assert!((60..=75).contains(&notes.time.count()), "one in 251 of 18,000: {notes:?}");
    assert!(notes.time.max() > 0 && notes.time.max() < 1_000_000_000, "{notes:?}");
    assert_eq!((notes.depth.quantile(0.5), notes.depth.max()), (Some(1), 1), "itself");
}
