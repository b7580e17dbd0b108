//! A session that keeps its shard is seen, and named.

use super::harness::{Local, PATIENCE, Said, wait_until};
use corewire::prelude::*;
use corewire::wire::frame::Opcode;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

/// Does what no session should: it sleeps, until it is woken.
struct Sleeper(Arc<Mutex<mpsc::Receiver<()>>>);

impl Session for Sleeper {
    fn message(&mut self, message: Message, cx: &mut Context<Self>) -> Result<(), Close> {
        if message.as_bytes() == b"sleep" {
            let woken = self.0.lock().expect("nobody panics with it");
            woken.recv_timeout(PATIENCE).expect("the watchdog sees it before"); // the fault itself
        }
        Ok(cx.client().send(message)?)
    }
}

#[test]
fn who_keeps_a_shard_for_too_long_is_named_and_the_shard_goes_on() {
    let (wake, woken) = mpsc::channel();
    let woken = Arc::new(Mutex::new(woken));
    let server = Local::with(
        |config| config.turn_max = Duration::from_millis(50),
        |server| server.at("/", move |_: &Upgrade| Ok(Sleeper(woken.clone()))),
    );
    let mut client = server.client();
    client.check_echo("before");
    // A busy machine may keep a shard too; then another actor is named, or none.
    let before = server.handle.stats().stalls;
    let is_named = || server.handle.last_stalls().iter().flatten().any(|name| name.ends_with("Sleeper"));
    client.send(Opcode::Binary, b"sleep");
    wait_until("the watchdog names it", || server.handle.stats().stalls > before && is_named());
    wake.send(()).expect("it waits for it");
    assert_eq!(client.next(), Said::Binary(b"sleep".to_vec()));
    client.check_echo("after");
}
