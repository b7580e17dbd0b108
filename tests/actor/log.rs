//! What the log says of a panic.

use super::Book;
use super::trail::listen;
use corewire::prelude::*;
use corewire::sim::{Client, World};
use std::fmt::Write;
use std::time::Duration;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Writes down what is said in it, a line an event, or more if a field has them.
struct Log(Book);

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        write!(self.0, " {field}={value:?}").expect("a string takes all");
    }
}

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(event.metadata().level().to_string());
        event.record(&mut line);
        self.0.note(line.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// Panics at whatever it hears.
struct Grumpy;

impl Session for Grumpy {
    fn message(&mut self, message: Message, _: &mut Context<Self>) -> Result<(), Close> {
        panic!("do not say {}", message.as_text().unwrap_or_default());
    }
}

#[test]
fn a_panic_is_in_the_log_with_its_words_its_place_and_once_a_second_where_it_came_from() {
    let book = Book::default();
    listen(Log(book.clone()), || {
        let mut world = World::new(1).at("/", |_: &Upgrade| Ok(Grumpy));
        for ms in [0, 500, 1500] {
            world.client(Client::at("/").later(Duration::from_millis(ms)).text("hello"));
        }
        world.run_for(5000);
        world.shut_down_after_panics(3);
    });
    let noted = book.take();
    let panics: Vec<_> = noted.iter().filter(|line| line.contains("an actor panicked")).collect();
    assert_eq!(panics.len(), 3, "{noted:?}");
    for line in &panics {
        assert!(
            line.starts_with("ERROR") && line.contains("do not say hello") && line.contains("Grumpy"),
            "{line}"
        );
        assert!(line.contains("place=\"tests/actor/log.rs:"), "{line}");
    }
    let traced: Vec<_> =
        panics.iter().map(|line| line.contains("backtrace=") && line.contains("log.rs:")).collect();
    assert_eq!(traced, [true, false, true]);
    assert!(panics[0].matches("log.rs").count() > 1, "the place, and in the backtrace: {}", panics[0]);
}
