//! The session of a gateway's client: from a message's bytes to the handler that it is for.
//!
//! Does not know: what handlers do.

use super::{Cx, Gateway, GatewayError};
use crate::sbe::{self, Batch, DecodeError, HEADER_BYTES, Header, Message as Kept, Order, Position, Trade};
use corewire::prelude::*;
use corewire::wire::Kind;
use std::ops::{Deref, DerefMut};

/// What becomes of a connection whose message could not be read. [`Gateway::on_error`] was told before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnBad {
    /// It goes on, and the shard counts one more of [`BAD_MESSAGES`](Self::BAD_MESSAGES).
    #[default]
    Count,
    /// It goes on.
    Skip,
    /// It is closed with 1007, and the client is told why.
    Close,
}

impl OnBad {
    /// The name under which they are counted, in the statistics of the server.
    pub const BAD_MESSAGES: &str = "gateway_bad_messages";
}

/// A client of a gateway: the [`Session`] that a route answers with. It derefs to the gateway, for closures that get it:
///
/// ```
/// use corewire::prelude::*;
/// use corewire_actors::gateway::{Cx, Gateway, Served};
/// use corewire_actors::sbe::{OrderView, TradeView};
///
/// struct Desk { checked: u32 }
/// impl Gateway for Desk {
///     fn on_trade(&mut self, _: TradeView<'_>, _: &mut Cx<'_, Self>) -> Result<(), Close> { Ok(()) }
///
///     fn on_order(&mut self, order: OrderView<'_>, cx: &mut Cx<'_, Self>) -> Result<(), Close> {
///         let order = order.to_owned(); // the view ends with this call
///         let checked = cx.work(move || order.price > 0.0); // a thread of the pool does it
///         checked.then(|desk: &mut Served<Self>, is_good, _| desk.checked += u32::from(is_good == Ok(true)))?;
///         Ok(())
///     }
/// }
/// ```
#[derive(Debug)]
pub struct Served<G> {
    gateway: G,
    on_bad: OnBad,
}

impl<G: Gateway> Served<G> {
    /// A client whose messages are for `gateway`.
    pub fn new(gateway: G, on_bad: OnBad) -> Self {
        Self { gateway, on_bad }
    }

    #[inline(always)]
    fn hear(&mut self, kind: Kind, bytes: &[u8], cx: &mut Cx<'_, G>) -> Result<(), Close> {
        let heard = match kind {
            Kind::Binary => self.hand_on(bytes, cx),
            Kind::Text => Err(GatewayError::Text { bytes: bytes.len() }),
        };
        heard.unwrap_or_else(|error| self.bad(error, cx))
    }

    /// What the handler says, if it could be handed on.
    #[inline(always)]
    fn hand_on(&mut self, bytes: &[u8], cx: &mut Cx<'_, G>) -> Result<Result<(), Close>, GatewayError> {
        let Some(header) = bytes.first_chunk::<HEADER_BYTES>().map(Header::read) else {
            return Err(DecodeError::Insufficient { expected: Trade::BYTES, found: bytes.len() }.into());
        };
        let gateway = &mut self.gateway;
        Ok(match header.template_id {
            // A handler for one is not to pay for those for many.
            Trade::TEMPLATE_ID if bytes.len() <= header.message_bytes() => {
                gateway.on_trade(Trade::decode(bytes)?, cx)
            }
            Trade::TEMPLATE_ID => gateway.on_trades(Trade::batch(bytes)?, cx),
            Order::TEMPLATE_ID => each::<Order>(bytes, |order| gateway.on_order(order, cx))?,
            Position::TEMPLATE_ID => each::<Position>(bytes, |position| gateway.on_position(position, cx))?,
            found => return Err(unknown(&header, found).into()),
        })
    }

    #[cold]
    fn bad(&mut self, error: GatewayError, cx: &mut Cx<'_, G>) -> Result<(), Close> {
        self.gateway.on_error(&error, cx);
        match (error, self.on_bad) {
            (GatewayError::Text { .. }, _) => Err(Close::new(1003, "binary messages only")),
            (_, OnBad::Count) => {
                cx.count(OnBad::BAD_MESSAGES, 1);
                Ok(())
            }
            (_, OnBad::Skip) => Ok(()),
            (_, OnBad::Close) => Err(Close::new(1007, error.to_string())),
        }
    }
}

/// Hands on one or several, until a handler wants to close.
fn each<'a, M: Kept>(
    bytes: &'a [u8],
    hand_on: impl FnMut(M::View<'a>) -> Result<(), Close>,
) -> Result<Result<(), Close>, DecodeError> {
    Ok(Batch::<M>::new(bytes)?.iter().try_for_each(hand_on))
}

#[cold]
fn unknown(header: &Header, found: u16) -> DecodeError {
    if header.schema_id == sbe::SCHEMA_ID {
        DecodeError::UnknownTemplate { found }
    } else {
        DecodeError::Schema { expected: sbe::SCHEMA_ID, found: header.schema_id }
    }
}

impl<G: Gateway> Session for Served<G> {
    const VIEWS: bool = true;

    fn open(&mut self, cx: &mut Context<'_, Self>) -> Result<(), Close> {
        self.gateway.on_connect(cx)
    }

    #[inline]
    fn view(&mut self, kind: Kind, bytes: &[u8], cx: &mut Context<'_, Self>) -> Result<(), Close> {
        self.hear(kind, bytes, cx)
    }

    fn message(&mut self, message: Message, cx: &mut Context<'_, Self>) -> Result<(), Close> {
        self.hear(message.kind(), message.as_bytes(), cx)
    }

    fn closed(&mut self, reason: CloseReason, cx: &mut Context<'_, Self>) {
        self.gateway.on_disconnect(reason, cx);
    }
}

impl<G> Deref for Served<G> {
    type Target = G;

    fn deref(&self) -> &G {
        &self.gateway
    }
}

impl<G> DerefMut for Served<G> {
    fn deref_mut(&mut self) -> &mut G {
        &mut self.gateway
    }
}
