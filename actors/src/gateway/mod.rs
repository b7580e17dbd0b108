//! A gateway for trades: what clients say in [SBE](crate::sbe) reaches handlers as views on the bytes that were received.
//!
//! A binary message is one message of the schema, or several of a kind, packed back to back. Text is refused with 1003. What
//! cannot be read is told to [`Gateway::on_error`], and then [`OnBad`] says what becomes of the connection. What is bad in a
//! batch spoils all of it: nothing of it was handed on.
//!
//! A view is good for one call. Whoever is to have the trade later gets a copy of it, [`TradeView::to_owned`]: 32 bytes that
//! travel in a message to another actor as they are, which costs less than to move the buffer that they came in, and keeps
//! nothing of what is received into.
//!
//! Does not know: what trades are for.
//!
//! ```
//! use corewire::prelude::*;
//! use corewire_actors::gateway::{Cx, Gateway, GatewayError, OnBad, Served};
//! use corewire_actors::sbe::{Batch, Trade, TradeView};
//!
//! #[derive(Default)]
//! struct Volume(u64);
//!
//! impl Gateway for Volume {
//!     fn on_trade(&mut self, trade: TradeView<'_>, _: &mut Cx<'_, Self>) -> Result<(), Close> {
//!         self.0 += u64::from(trade.quantity());
//!         Ok(())
//!     }
//!
//!     /// Without this, each trade of a batch is an `on_trade`.
//!     fn on_trades(&mut self, trades: Batch<'_, Trade>, _: &mut Cx<'_, Self>) -> Result<(), Close> {
//!         self.0 += trades.iter().map(|trade| u64::from(trade.quantity())).sum::<u64>();
//!         Ok(())
//!     }
//!
//!     fn on_error(&mut self, error: &GatewayError, _: &mut Cx<'_, Self>) {
//!         println!("{error}"); // insufficient data: expected 29 bytes, got 20
//!     }
//! }
//!
//! let server = Server::bind(":9001").at("/", |_: &Upgrade| Ok(Served::new(Volume::default(), OnBad::Close)));
//! ```

mod append;
mod error;
mod served;

pub use append::Append;
pub use error::GatewayError;
pub use served::{OnBad, Served};

use crate::sbe::{Batch, OrderView, PositionView, Trade, TradeView};
use corewire::prelude::*;

/// What a gateway's handlers may do: send to its client and to other actors, have work done, and so on.
pub type Cx<'a, G> = Context<'a, Served<G>>;

/// What is done with what a client says. One value for each client, on that client's shard.
///
/// Handlers must not block; what takes long goes to the worker pool by [`Context::work`](Context::work). The
/// [module](self) has an example, and `examples/gateway.rs` in the repository is a whole server.
pub trait Gateway: Sized + 'static {
    /// The connection is open; nothing has been received.
    ///
    /// # Errors
    /// Closes the connection.
    fn on_connect(&mut self, cx: &mut Cx<'_, Self>) -> Result<(), Close> {
        let _ = cx;
        Ok(())
    }

    /// A trade has come.
    ///
    /// # Errors
    /// Closes the connection.
    fn on_trade(&mut self, trade: TradeView<'_>, cx: &mut Cx<'_, Self>) -> Result<(), Close>;

    /// Trades have come, packed into one message. If this is not written, each of them is an [`Self::on_trade`].
    ///
    /// # Errors
    /// Closes the connection.
    fn on_trades(&mut self, trades: Batch<'_, Trade>, cx: &mut Cx<'_, Self>) -> Result<(), Close> {
        trades.iter().try_for_each(|trade| self.on_trade(trade, cx))
    }

    /// An order has come. If this is not written, it closes the connection with 1003.
    ///
    /// # Errors
    /// Closes the connection.
    fn on_order(&mut self, order: OrderView<'_>, cx: &mut Cx<'_, Self>) -> Result<(), Close> {
        let _ = (order, cx);
        Err(Close::new(1003, "no orders are taken here"))
    }

    /// A position has come. If this is not written, it closes the connection with 1003.
    ///
    /// # Errors
    /// Closes the connection.
    fn on_position(&mut self, position: PositionView<'_>, cx: &mut Cx<'_, Self>) -> Result<(), Close> {
        let _ = (position, cx);
        Err(Close::new(1003, "no positions are taken here"))
    }

    /// The connection has ended, for whatever reason but a panic of a handler. Nothing is called after.
    fn on_disconnect(&mut self, reason: CloseReason, cx: &mut Cx<'_, Self>) {
        let _ = (reason, cx);
    }

    /// A message could not be read, and nothing of it was handed on.
    fn on_error(&mut self, error: &GatewayError, cx: &mut Cx<'_, Self>) {
        let _ = (error, cx);
    }
}
