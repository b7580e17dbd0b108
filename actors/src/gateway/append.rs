//! Messages straight into a block that is sent.
//!
//! Does not know: who hears them.

use crate::sbe::{Message, NoRoomFor};
use corewire::buf::Buf;

/// A block of memory to which messages are written as they are, one behind the other.
///
/// ```
/// use corewire::prelude::*;
/// use corewire_actors::gateway::{Append, Cx, Gateway, Served};
/// use corewire_actors::sbe::{Batch, Trade, TradeView};
///
/// /// Says all trades back, at twice the price.
/// struct Doubled;
/// impl Gateway for Doubled {
///     fn on_trade(&mut self, trade: TradeView<'_>, cx: &mut Cx<'_, Self>) -> Result<(), Close> {
///         let (mut room, trade) = ([0; Trade::BYTES_MAX], trade.to_owned());
///         let bytes = Trade { price: trade.price * 2.0, ..trade }.encode(&mut room).expect("there is room for the longest");
///         Ok(cx.client().send_binary(&room[..bytes])?) // few bytes are copied next to their neighbours anyway
///     }
///
///     fn on_trades(&mut self, trades: Batch<'_, Trade>, cx: &mut Cx<'_, Self>) -> Result<(), Close> {
///         let mut block = cx.buffer(trades.len() * Trade::BYTES_MAX + 10)?;
///         block.leave_headroom(10); // for the frame's header
///         for trade in trades {
///             let trade = trade.to_owned();
///             block.append(&Trade { price: trade.price * 2.0, ..trade }).expect("it was made with room for all");
///         }
///         Ok(cx.client().send(Message::Binary(block))?) // from where it was written
///     }
/// }
/// ```
pub trait Append {
    /// Writes `message` behind what is there.
    ///
    /// # Errors
    /// It does not fit; nothing is written.
    fn append<M: Message>(&mut self, message: &M) -> Result<(), NoRoomFor>;
}

impl Append for Buf {
    #[inline]
    fn append<M: Message>(&mut self, message: &M) -> Result<(), NoRoomFor> {
        let mut encoded = Ok(0);
        self.fill(|room| {
            encoded = message.encode(room);
            encoded.unwrap_or(0)
        });
        encoded.map(drop)
    }
}
