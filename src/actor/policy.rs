//! What a mailbox does with more than it can take, and what comes first in it.

/// What comes first among the messages that wait for one actor.
///
/// ```
/// use corewire::actor::Priority;
/// use corewire::prelude::*;
///
/// struct Refill;
/// struct Stats(u64);
/// struct Boiler;
/// impl Actor for Boiler {}
/// impl Handler<Refill> for Boiler {
///     type Reply = ();
///     fn handle(&mut self, _: Refill, _: &mut Context<Self>) {}
/// }
/// impl Handler<Stats> for Boiler {
///     type Reply = ();
///     fn handle(&mut self, _: Stats, _: &mut Context<Self>) {}
/// }
///
/// fn tend(boiler: Address<Boiler>, cx: &mut Context<Boiler>) -> Result<(), Refused> {
///     cx.send_at(Priority::Low, boiler, Stats(3)).map_err(|error| error.reason())?;
///     cx.send_at(Priority::Critical, boiler, Refill).map_err(|error| error.reason()) // is handled before it
/// }
/// # use corewire::actor::Refused;
/// ```
///
/// Messages of one priority from one actor to another arrive in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Priority {
    /// After all others, but after at most [`LOW_WAITS`] of them.
    Low,
    /// What nothing else is said of.
    #[default]
    Normal,
    /// Before those.
    High,
    /// Before all others.
    Critical,
}

/// The first of the [`Priority::Low`] messages that wait for an actor is handled after at most so many others.
pub const LOW_WAITS: u32 = 16;

/// What an actor whose mailbox is full does with one more message: [`Actor::OVERFLOW`](super::Actor::OVERFLOW).
///
/// ```
/// use corewire::actor::{Actor, Context, Handler, Overflow};
///
/// struct Quote { symbol: u32, price: f64 }
///
/// /// Draws what it hears; who is behind wants the latest of each symbol and nothing older.
/// struct Chart;
/// impl Actor for Chart {
///     const MAILBOX_SLOTS: Option<u32> = Some(64);
///     const OVERFLOW: Overflow = Overflow::KeepLatest;
/// }
/// impl Handler<Quote> for Chart {
///     type Reply = ();
///     fn handle(&mut self, quote: Quote, _: &mut Context<Self>) {
///         println!("{} at {}", quote.symbol, quote.price);
///     }
///     fn key(quote: &Quote) -> Option<u64> {
///         Some(quote.symbol.into())
///     }
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Overflow {
    /// It goes back to its sender.
    #[default]
    Refuse,
    /// The oldest of the lowest [`Priority`] is dropped for it; it itself, if its own is lower still.
    DropOldest,
    /// It is dropped.
    DropNewest,
    /// Full or not, it takes the place of the message that waits with the same [`key`](super::Handler::key), type and
    /// priority, and that one is dropped. If there is none and the mailbox is full, it goes back to its sender.
    KeepLatest,
}
