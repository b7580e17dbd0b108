//! Middleware before the routes of the real server.

use super::harness::{Client, Local, Said};
use corewire::connection::middleware::outbound;
use corewire::prelude::*;

/// Says what it hears, or panics over it.
struct Parrot;
impl Session for Parrot {
    fn message(&mut self, message: Message, cx: &mut Context<Self>) -> Result<(), Close> {
        assert_ne!(message.as_text(), Some("panic"), "as it was told");
        Ok(cx.client().send(message)?)
    }
}

#[test]
fn middleware_stands_before_its_route_and_no_other() {
    let server = Local::with(
        |_| (),
        |server| {
            server
                .with(Logging::of)
                .with(Recovery::saying(Close::new(4500, "sorry")))
                .with(Counters::of)
                .with(|_: &Upgrade| {
                    Ok(outbound(|message, passage| {
                        let text = message.as_text().unwrap_or_default().to_uppercase();
                        Ok(Some(passage.text(&text)?))
                    }))
                })
                .at("/loud", |_: &Upgrade| Ok(Parrot))
                .at("/", |_: &Upgrade| Ok(Parrot))
        },
    );
    let (mut loud, _) = Client::open_at(server.address, "/loud", &[]);
    let mut plain = server.client();
    for (client, hello, panicked) in
        [(&mut loud, "HELLO", (4500, "sorry")), (&mut plain, "hello", (1011, "the session failed"))]
    {
        client.text("hello");
        assert_eq!(client.next(), Said::Text(hello.into()));
        client.text("panic");
        let (code, reason) = panicked;
        assert_eq!(client.next(), Said::Close(Some(code), reason.into()));
    }
    assert_eq!(server.handle.stats().panics, 2);
}
