//! An echo server in ten lines.

use corewire::prelude::*;

struct Echo;
impl Session for Echo {
    fn message(&mut self, message: Message, cx: &mut Context<Self>) -> Result<(), Close> {
        Ok(cx.client().send(message)?) // moves the bytes; a full queue closes with 1013
    }
}

fn main() -> corewire::Result {
    Server::bind(":9001").at("/", |_: &Upgrade| Ok(Echo)).run()
}
