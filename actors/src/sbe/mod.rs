//! Simple Binary Encoding (SBE 1.0): fixed fields at fixed places behind a header of eight bytes, read where they lie.
//!
//! A message is decoded as a view on the bytes that it came in: nothing is copied, nothing is allocated, any alignment will do,
//! and no bytes make it panic. It is encoded into the caller's slice or straight into an outgoing block.
//!
//! - [`Trade`], [`Order`], [`Position`]: what the trade gateway takes, as `trade.xml` ([`SCHEMA`]) says
//! - [`sbe_message!`](crate::sbe_message): messages of a schema of your own
//! - [`Header`]: what is before each message; [`Batch`]: messages of one kind, packed
//!
//! Who sends and who reads may be of different versions of a schema: of a newer message is read what we know, and a field
//! that an older one does not have is absent. Groups and data of variable length are not done.
//!
//! Does not know: WebSockets, actors.
//!
//! ```
//! use corewire_actors::sbe::{Trade, TradeView};
//!
//! let trade = Trade { trade_id: 12345, symbol: b'B', price: 100.5, quantity: 1000, venue: None };
//! let mut room = [0; 64];
//! let bytes = trade.encode(&mut room)?;
//! assert_eq!(bytes, 29);
//!
//! let view: TradeView = Trade::decode(&room[..bytes])?;
//! assert_eq!((view.trade_id(), view.price()), (12345, 100.5)); // read where they lie
//! assert_eq!(view.to_owned(), trade);
//!
//! let error = Trade::decode(&room[..20]).unwrap_err();
//! assert_eq!(error.to_string(), "insufficient data: expected 29 bytes, got 20");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod batch;
mod error;
mod field;
mod header;
mod message;
mod trade;

pub use batch::{Batch, Batched};
pub use error::{DecodeError, NoRoomFor};
pub use field::Field;
pub use header::{HEADER_BYTES, Header};
pub use message::{Message, decode, decode_at};
pub use trade::{Order, OrderView, Position, PositionView, Side, Trade, TradeView};

/// The schema of [`Trade`], [`Order`] and [`Position`], for other programs to read.
pub const SCHEMA: &str = include_str!("trade.xml");

/// Its number.
pub const SCHEMA_ID: u16 = 1;

/// Its version: what is newer has fields behind those that we know.
pub const SCHEMA_VERSION: u16 = 1;
