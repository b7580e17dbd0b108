//! The messages of `trade.xml`.

use super::field::Field;

crate::sbe_message! {
    /// It has happened. 29 bytes, and 31 where it says at which venue.
    pub struct Trade / TradeView: schema super::SCHEMA_ID, template 1 {
        /// Its number.
        trade_id: u64,
        /// Of what, in one character.
        symbol: u8,
        /// At what price.
        price: f64,
        /// How many.
        quantity: u32,
    }
    since 1 {
        /// Where.
        venue: u16,
    }
}

crate::sbe_message! {
    /// Somebody wants it. 30 bytes.
    pub struct Order / OrderView: schema super::SCHEMA_ID, template 2 {
        /// Its number.
        order_id: u64,
        /// Of what, in one character.
        symbol: u8,
        /// To buy or to sell.
        side: Side,
        /// At what price, at the worst.
        price: f64,
        /// How many.
        quantity: u32,
    }
}

crate::sbe_message! {
    /// What somebody has. 29 bytes.
    pub struct Position / PositionView: schema super::SCHEMA_ID, template 3 {
        /// Who.
        account: u32,
        /// Of what, in one character.
        symbol: u8,
        /// How many; less than none are owed.
        quantity: i64,
        /// What one of them has cost.
        average_price: f64,
    }
}

/// Which side of a trade.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// `B`
    Buy,
    /// `S`
    Sell,
    /// What a newer schema may call something.
    Other(u8),
}

impl Field for Side {
    const BYTES: usize = 1;
    const NULL: Self = Self::Other(0);

    #[inline(always)]
    fn read(bytes: &[u8]) -> Self {
        match u8::read(bytes) {
            b'B' => Self::Buy,
            b'S' => Self::Sell,
            other => Self::Other(other),
        }
    }

    #[inline(always)]
    fn write(self, to: &mut [u8]) {
        let byte = match self {
            Self::Buy => b'B',
            Self::Sell => b'S',
            Self::Other(other) => other,
        };
        byte.write(to);
    }

    #[inline(always)]
    fn is_null(self) -> bool {
        self == Self::NULL
    }
}

const _: () = assert!(Trade::BLOCK_BYTES == 21 && Trade::BYTES == 29 && Trade::BYTES_MAX == 31);
const _: () = assert!(size_of::<Trade>() <= 32); // it is sent to an actor without a box
