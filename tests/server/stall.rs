//! A session that keeps its shard is seen, and named.

use super::harness::{Local, Said, wait_until};
use corewire::prelude::*;
use corewire::wire::frame::Opcode;
use std::time::Duration;

/// Does what no session should: it sleeps.
struct Sleeper;

impl Session for Sleeper {
    fn message(&mut self, message: Message, cx: &mut Context<Self>) -> Result<(), Close> {
        if message.as_bytes() == b"sleep" {
            // The fault itself, not a wait for anything. Eleven times `turn_max` is seen for sure.
            std::thread::sleep(Duration::from_millis(800));
        }
        Ok(cx.client().send(message)?)
    }
}

#[test]
fn who_keeps_a_shard_for_too_long_is_named_and_the_shard_goes_on() {
    let server = Local::with(
        |config| config.turn_max = Duration::from_millis(50),
        |server| server.at("/", |_: &Upgrade| Ok(Sleeper)),
    );
    let mut client = server.client();
    client.check_echo("before");
    assert_eq!(server.handle.stats().stalls, 0);
    client.send(Opcode::Binary, b"sleep");
    wait_until("the watchdog sees it", || server.handle.stats().stalls > 0);
    assert!(server.handle.last_stalls().iter().flatten().any(|name| name.ends_with("Sleeper")));
    assert_eq!(client.next(), Said::Binary(b"sleep".to_vec()));
    client.check_echo("after");
}
