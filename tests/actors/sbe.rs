//! SBE: what is written is read, wherever it lies and by whatever version; what is no message is told, and does no harm.

use corewire_actors::sbe::{
    Batch, DecodeError, HEADER_BYTES, Header, Message, NoRoomFor, Order, Position, SCHEMA, SCHEMA_ID,
    SCHEMA_VERSION, Side, Trade,
};
use proptest::collection::vec;
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::HashMap;
use std::fmt::Debug;
use std::str::FromStr;

const TRADE: Trade = Trade { trade_id: 12345, symbol: b'B', price: 100.5, quantity: 1000, venue: None };

/// By hand, from the schema: header, trade_id, symbol, price, quantity.
const TRADE_BYTES: [u8; 29] = [
    21, 0, 1, 0, 1, 0, 0, 0, //
    0x39, 0x30, 0, 0, 0, 0, 0, 0,    //
    b'B', //
    0, 0, 0, 0, 0, 0x20, 0x59, 0x40, //
    0xe8, 0x03, 0, 0,
];

fn encoded<M: Message>(message: &M) -> Vec<u8> {
    let mut room = [0; 64];
    let bytes = message.encode(&mut room).expect("there is room");
    room[..bytes].to_vec()
}

fn trades() -> impl Strategy<Value = Trade> {
    (any::<u64>(), any::<u8>(), any::<f64>(), any::<u32>(), prop::option::of(0..u16::MAX)).prop_map(
        |(trade_id, symbol, price, quantity, venue)| Trade { trade_id, symbol, price, quantity, venue },
    )
}

/// Equal in each bit, as NaN is not otherwise.
fn is_same(a: Trade, b: Trade) -> bool {
    let price = |trade: Trade| trade.price.to_bits();
    price(a) == price(b) && Trade { price: 0.0, ..a } == Trade { price: 0.0, ..b }
}

/// As much as can be asked of any bytes. The fuzz target `sbe` has the same body.
fn check_any_bytes(bytes: &[u8]) {
    check_any::<Trade>(bytes);
    check_any::<Order>(bytes);
    check_any::<Position>(bytes);
    if let Ok(trade) = Trade::decode(bytes) {
        let again = encoded(&trade.to_owned());
        let read = Trade::decode(&again).expect("it was just written");
        assert!(is_same(read.to_owned(), trade.to_owned()), "{trade:?}");
        assert_eq!(
            again[HEADER_BYTES..],
            bytes[HEADER_BYTES..again.len()],
            "what is known is written back as it was"
        );
    }
}

fn check_any<M: Message>(bytes: &[u8]) {
    let header = bytes.first_chunk().map(Header::read);
    match corewire_actors::sbe::decode::<M>(bytes) {
        Ok(_) => {
            let header = header.expect("a message has a header");
            assert_eq!((header.schema_id, header.template_id), (M::SCHEMA_ID, M::TEMPLATE_ID));
            assert!(usize::from(header.block_length) >= M::block_bytes(header.version));
            assert!(bytes.len() >= header.message_bytes());
        }
        Err(DecodeError::Insufficient { expected, found }) => {
            assert!(found == bytes.len() && found < expected);
        }
        Err(error) => assert!(bytes.len() >= HEADER_BYTES, "{error}"),
    }
    match Batch::<M>::new(bytes) {
        Ok(batch) => {
            assert_eq!(batch.iter().count(), batch.len());
            assert_eq!(batch.len() * header.map_or(0, |header| header.message_bytes()), bytes.len());
            assert!(batch.get(batch.len() - 1).is_some() && batch.get(batch.len()).is_none());
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

#[test]
fn a_trade_is_the_29_bytes_of_the_schema() {
    assert_eq!(encoded(&TRADE), TRADE_BYTES);
    let view = Trade::decode(&TRADE_BYTES).expect("it is one");
    assert_eq!((view.trade_id(), view.symbol(), view.price()), (12345, b'B', 100.5));
    assert_eq!((view.quantity(), view.venue()), (1000, None));
}

#[test]
fn orders_and_positions_are_read_as_they_were_written() {
    for side in [Side::Buy, Side::Sell, Side::Other(b'X')] {
        let order = Order { order_id: 7, symbol: b'A', side, price: 1.25, quantity: 3 };
        let bytes = encoded(&order);
        assert_eq!(bytes[..HEADER_BYTES], [22, 0, 2, 0, 1, 0, 0, 0]);
        assert_eq!(Order::decode(&bytes).map(|view| view.to_owned()), Ok(order));
    }
    let position = Position { account: 9, symbol: b'Z', quantity: -5, average_price: 0.1 };
    let bytes = encoded(&position);
    assert_eq!(bytes[..HEADER_BYTES], [21, 0, 3, 0, 1, 0, 0, 0]);
    assert_eq!(Position::decode(&bytes).map(|view| view.to_owned()), Ok(position));
}

#[test]
fn what_is_wrong_is_told_with_what_was_expected_and_found() {
    let with = |at: usize, bytes: &[u8]| {
        let mut message = TRADE_BYTES.to_vec();
        message[at..at + bytes.len()].copy_from_slice(bytes);
        message
    };
    let cases = [
        (TRADE_BYTES[..20].to_vec(), "insufficient data: expected 29 bytes, got 20"),
        (TRADE_BYTES[..7].to_vec(), "insufficient data: expected 29 bytes, got 7"),
        (vec![], "insufficient data: expected 29 bytes, got 0"),
        (with(4, &[9]), "wrong schema: expected 1, got 9"),
        (with(2, &[2]), "wrong template: expected 1, got 2"),
        (with(0, &[20]), "wrong block length: expected 21 bytes of version 0, got 20"),
        (with(6, &[1]), "wrong block length: expected 23 bytes of version 1, got 21"),
        (with(0, &[22]), "insufficient data: expected 30 bytes, got 29"),
        (with(0, &[0xff, 0xff]), "insufficient data: expected 65543 bytes, got 29"),
    ];
    for (bytes, says) in cases {
        let error = Trade::decode(&bytes).expect_err(says);
        assert_eq!(error.to_string(), says);
        assert_eq!(Trade::batch(&bytes).expect_err(says).to_string(), says, "and of a batch the same");
    }
    let error = Trade::decode_at(&TRADE_BYTES, 30).expect_err("that is behind the end");
    assert_eq!(error, DecodeError::Insufficient { expected: 29, found: 0 });
    let error = TRADE.encode(&mut [0; 28]).expect_err("it does not fit");
    assert_eq!(error, NoRoomFor { bytes: 29, room_bytes: 28 });
}

#[test]
fn a_batch_is_taken_whole_or_not_at_all() {
    let mut packed = TRADE_BYTES.repeat(3);
    assert_eq!(Trade::batch(&packed).map(|batch| batch.len()), Ok(3));
    packed.truncate(80);
    let cut = DecodeError::Insufficient { expected: 29, found: 22 };
    assert_eq!(Trade::batch(&packed).expect_err("the third is cut off"), cut);
    let mut packed = TRADE_BYTES.repeat(3);
    packed[29 + 6] = 1; // the second says that it is of version 1
    assert_eq!(Trade::batch(&packed).expect_err("they differ"), DecodeError::Mixed { at: 1 });
}

#[test]
fn an_older_message_lacks_what_came_later_and_a_newer_one_is_read_as_far_as_we_know_it() {
    let here = Trade { venue: Some(7), ..TRADE };
    let mut bytes = encoded(&here);
    assert_eq!((bytes.len(), &bytes[..8], &bytes[29..]), (31, &[23, 0, 1, 0, 1, 0, 1, 0][..], &[7, 0][..]));
    assert_eq!(Trade::decode(&bytes).map(|view| view.to_owned()), Ok(here));

    // Version 5 has appended three bytes more.
    bytes[0] = 26;
    bytes[6] = 5;
    bytes.extend([1, 2, 3]);
    let packed = bytes.repeat(2);
    let batch = Trade::batch(&packed).expect("it is one");
    assert!(batch.iter().all(|view| view.to_owned() == here) && batch.len() == 2);

    // What a block of version 0 has behind its fields is not ours to read.
    bytes[6] = 0;
    assert_eq!(Trade::decode(&bytes).map(|view| view.venue()), Ok(None));

    // And null is none.
    bytes[6] = 1;
    bytes[29..31].copy_from_slice(&[0xff; 2]);
    assert_eq!(Trade::decode(&bytes).map(|view| view.venue()), Ok(None));
}

#[test]
fn the_messages_are_those_of_the_schema() {
    let attribute = |tag: &str, name: &str| -> String {
        let value = tag.split_once(&format!(" {name}=\"")).and_then(|(_, rest)| rest.split_once('"'));
        value.unwrap_or_else(|| panic!("{tag} has no {name}")).0.to_owned()
    };
    let schema = SCHEMA.split('<').find(|tag| tag.starts_with("sbe:messageSchema")).expect("it is one");
    let schema = schema.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(attribute(&schema, "id"), SCHEMA_ID.to_string());
    assert_eq!(attribute(&schema, "version"), SCHEMA_VERSION.to_string());
    let messages: Vec<_> = SCHEMA
        .split('<')
        .filter(|tag| tag.starts_with("sbe:message "))
        .map(|tag| ["name", "id", "blockLength"].map(|name| attribute(tag, name)))
        .collect();
    let ours = |name: &str, template: u16, bytes_max: usize| {
        [name.to_owned(), template.to_string(), (bytes_max - HEADER_BYTES).to_string()]
    };
    let expected = [
        ours("Trade", Trade::TEMPLATE_ID, Trade::BYTES_MAX),
        ours("Order", Order::TEMPLATE_ID, Order::BYTES_MAX),
        ours("Position", Position::TEMPLATE_ID, Position::BYTES_MAX),
    ];
    assert_eq!(messages, expected);
}

/// What the Python package sbe has made of the same schema; `tests/clients/python_sbe.py` asks it again.
#[derive(Deserialize)]
struct Vector<'a> {
    message: &'a str,
    version: u16,
    bytes: &'a str,
    #[serde(borrow)]
    values: HashMap<&'a str, &'a RawValue>,
}

impl Vector<'_> {
    fn number<N: FromStr<Err: Debug>>(&self, field: &str) -> N {
        self.values[field].get().parse().expect("it is a number")
    }

    fn text(&self, field: &str) -> String {
        serde_json::from_str(self.values[field].get()).expect("it is text")
    }

    fn symbol(&self) -> u8 {
        self.text("symbol").as_bytes()[0]
    }

    #[track_caller]
    fn check<M: Message + PartialEq + Debug>(&self, message: &M, read: impl Fn(M::View<'_>) -> M) {
        let hex =
            |byte: &[u8]| u8::from_str_radix(str::from_utf8(byte).expect("it is ASCII"), 16).expect("hex");
        let bytes: Vec<u8> = self.bytes.as_bytes().chunks(2).map(hex).collect();
        let view = corewire_actors::sbe::decode::<M>(&bytes).expect("it is such a message");
        assert_eq!(read(view), *message, "{}", self.bytes);
        assert_eq!(Header::read(bytes.first_chunk().expect("it has one")).version, self.version);
        assert_eq!(encoded(message), bytes);
    }
}

#[test]
fn bytes_are_those_of_the_python_package() {
    let vectors = include_str!("../clients/sbe.json");
    let vectors: Vec<Vector<'_>> = serde_json::from_str(vectors).expect("they are JSON");
    assert_eq!(vectors.len(), 100);
    for of in vectors {
        match of.message {
            "Trade" => {
                let trade = Trade {
                    trade_id: of.number("trade_id"),
                    symbol: of.symbol(),
                    price: of.number("price"),
                    quantity: of.number("quantity"),
                    venue: of.values.contains_key("venue").then(|| of.number("venue")),
                };
                of.check(&trade, |view| view.to_owned());
            }
            "Order" => {
                let order = Order {
                    order_id: of.number("order_id"),
                    symbol: of.symbol(),
                    side: if of.text("side") == "Buy" { Side::Buy } else { Side::Sell },
                    price: of.number("price"),
                    quantity: of.number("quantity"),
                };
                of.check(&order, |view| view.to_owned());
            }
            _ => {
                let position = Position {
                    account: of.number("account"),
                    symbol: of.symbol(),
                    quantity: of.number("quantity"),
                    average_price: of.number("average_price"),
                };
                of.check(&position, |view| view.to_owned());
            }
        }
    }
}

#[test]
fn bytes_that_are_nearly_a_message_do_no_harm() {
    let mut random = fastrand::Rng::with_seed(6);
    for _ in 0..200_000 {
        let mut bytes = match random.u8(0..4) {
            0 => TRADE_BYTES.repeat(random.usize(1..4)),
            1 => encoded(&Trade { venue: Some(random.u16(..)), ..TRADE }).repeat(random.usize(1..4)),
            2 => encoded(&Order { order_id: 1, symbol: 2, side: Side::Buy, price: 3.0, quantity: 4 }),
            _ => encoded(&Position { account: 1, symbol: 2, quantity: 3, average_price: 4.0 }),
        };
        for _ in 0..random.usize(0..4) {
            let at = random.usize(..bytes.len());
            bytes[at] = if random.bool() { random.u8(..) } else { bytes[at].wrapping_add(1) };
        }
        if random.bool() {
            bytes.truncate(random.usize(..=bytes.len()));
        }
        check_any_bytes(&bytes);
    }
}

proptest! {
    #[test]
    fn what_is_written_anywhere_is_read_there(trade in trades(), before in 0..70_usize, behind in 0..40_usize) {
        let mut buffer = vec![0xa5; before + Trade::BYTES_MAX + behind];
        let bytes = trade.encode(&mut buffer[before..]).expect("there is room");
        prop_assert_eq!(bytes, trade.encoded_bytes());
        let read = Trade::decode_at(&buffer, before).expect("it is one");
        prop_assert!(is_same(read.to_owned(), trade));
        prop_assert!(buffer[..before].iter().chain(&buffer[before + bytes..]).all(|&byte| byte == 0xa5));
        for short in 0..bytes {
            let error = Trade::decode(&buffer[before..before + short]).expect_err("it is cut off");
            let is_told = matches!(error, DecodeError::Insufficient { found, .. } if found == short);
            prop_assert!(is_told, "{error}");
        }
    }

    #[test]
    fn a_batch_reads_as_its_trades_do(mut trades in vec(trades(), 1..20), here in any::<bool>(), before in 0..9_usize) {
        for trade in &mut trades {
            trade.venue = here.then(|| trade.venue.unwrap_or(3));
        }
        let mut buffer = vec![0; before];
        buffer.extend(trades.iter().flat_map(encoded));
        let batch = Trade::batch(&buffer[before..]).expect("all have one header");
        prop_assert_eq!(batch.len(), trades.len());
        prop_assert!(batch.iter().zip(&trades).all(|(view, &trade)| is_same(view.to_owned(), trade)));
        prop_assert!((0..trades.len()).all(|n| is_same(batch.get(n).expect("it has it").to_owned(), trades[n])));
    }

    #[test]
    fn no_bytes_do_harm(bytes in vec(any::<u8>(), 0..100)) {
        check_any_bytes(&bytes);
    }
}
