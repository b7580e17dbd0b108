//! Through middleware a full queue is an answer too.

use super::*;

/// Sends until there is no room, and again when there is.
struct Flood {
    left: u32,
    refused: u32,
    done: bool,
}

impl Flood {
    fn go_on(&mut self, cx: &mut Context<Self>) {
        while self.left > 0 {
            let bytes = format!("{:>1000}", self.left);
            match cx.client().send_text(&bytes) {
                Ok(()) => self.left -= 1,
                Err(SendError::Full(back)) => {
                    assert_eq!(back, bytes, "what comes back is what was sent");
                    self.refused += 1;
                    return;
                }
                Err(SendError::Gone(_)) => return,
            }
        }
        if !self.done {
            assert!(self.refused > 0, "the test is about queues that are full");
            self.done = cx.client().send_text("done").is_ok();
        }
    }
}

impl Session for Flood {
    fn message(&mut self, _: Message, cx: &mut Context<Self>) -> Result<(), Close> {
        self.go_on(cx);
        Ok(())
    }

    fn drained(&mut self, cx: &mut Context<Self>) {
        self.go_on(cx);
    }
}

#[test]
fn who_finds_the_queue_full_gets_its_message_back_unchanged() {
    sim::check(crate::sim::seeds(50), |world| {
        let faults = Faults::swarm(world.seed()).with(sim::Fault::Cut, 0.0);
        let larger = |message: Message, passage: &mut Passage<'_>| {
            let text = format!("+{}", message.as_text().unwrap_or_default());
            passage.text(&text).map(Some).map_err(Close::from)
        };
        let mut world = world
            .faults(faults)
            .configure(|config| {
                config.rules.send_queue_bytes_max = 20_000;
                config.rules.idle_timeout = std::time::Duration::from_secs(1800);
                config.rules.ping_interval = std::time::Duration::from_secs(7200);
            })
            .with(move |_: &Upgrade| Ok(outbound(larger)))
            .at("/", |_: &Upgrade| Ok(Flood { left: 200, refused: 0, done: false }));
        let ann = world.client(Client::at("/").text("go").until_heard(201).close(1000));
        world.run_until_quiet(7_200_000);
        let heard: Vec<Heard> = world.report(ann).messages().cloned().collect();
        let expected = (0..200).map(|n| text(&format!("+{:>1000}", 200 - n))).chain([text("+done")]);
        assert!(heard.iter().eq(&expected.collect::<Vec<_>>()), "each came once, in order, changed once");
        world.shut_down();
    });
}

/// Streams one message, piece by piece, of so many bytes.
struct Long(usize);

impl Long {
    fn go_on(&mut self, cx: &mut Context<Self>) -> Result<(), SendError<()>> {
        let mut client = cx.client();
        let mut stream = client.stream(Kind::Text);
        while self.0 > 0 {
            stream.write(&[b'x'; 1000])?;
            self.0 -= 1000;
        }
        stream.finish()
    }
}

impl Session for Long {
    fn message(&mut self, _: Message, cx: &mut Context<Self>) -> Result<(), Close> {
        let _ = self.go_on(cx); // it goes on when there is room
        Ok(())
    }

    fn drained(&mut self, cx: &mut Context<Self>) {
        let _ = self.go_on(cx);
    }
}

#[test]
fn a_stream_that_is_longer_than_middleware_can_be_shown_ends_its_connection() {
    for (bytes, expected) in [
        (20_000, [Heard::Text("x".repeat(20_000)), close(1000, "")]),
        (21_000, [close(1011, "a message was too long for us"), Heard::End]),
    ] {
        let book = Book::default();
        let mut world = World::new(1)
            .configure(|config| config.rules.send_queue_bytes_max = 20_000)
            .with(Watch::named("a", &book))
            .at("/", move |_: &Upgrade| Ok(Long(bytes)));
        let ann = world.client(Client::at("/").text("go").until_heard(1).close(1000));
        world.run_until_quiet(60_000);
        assert_eq!(world.report(ann).heard[..2], expected);
        world.shut_down();
    }
}

/// Sends until there is no room, and then more than the shard has memory.
struct Huge;
impl Session for Huge {
    fn message(&mut self, _: Message, cx: &mut Context<Self>) -> Result<(), Close> {
        while cx.client().send_text(&"x".repeat(1000)).is_ok() {}
        assert!(matches!(cx.client().send_text(&"x".repeat(8 << 20)), Err(SendError::Full(_))));
        Ok(())
    }
}

#[test]
fn who_finds_the_queue_full_takes_no_memory_that_others_need() {
    let mut world = World::new(1)
        .configure(|config| {
            config.rules.send_queue_bytes_max = 20_000;
            config.rules.wire.message_bytes_max = 1 << 20;
            config.outbound_bytes_max = 4 << 20;
        })
        .with(|_: &Upgrade| Ok(outbound(|message, _| Ok(Some(message)))))
        .at("/", |_: &Upgrade| Ok(Huge));
    let ann = world.client(Client::at("/").text("go").until_heard(5).close(1000));
    world.run_until_quiet(60_000);
    assert_eq!(world.report(ann).close_code(), Some(Some(1000)), "memory was short, and it was shed");
    world.shut_down();
}
