//! The trade gateway: what clients say comes to its handler, whole and in order, however it was cut; what cannot be read is told.

use corewire::prelude::*;
use corewire::sim::{self, Client, Fault, Faults, Heard, World};
use corewire_actors::gateway::{Append, Cx, Gateway, OnBad, Served};
use corewire_actors::sbe::{Batch, Order, OrderView, PositionView, Side, Trade, TradeView};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What one gateway saw, in order. One thread runs the world; the lock is for the compiler.
#[derive(Debug, Clone, PartialEq)]
enum Saw {
    Connect,
    Trade(Trade),
    Trades(usize),
    Order(u64),
    Error(String),
    Disconnect(u16),
}

type Book = Arc<Mutex<Vec<Saw>>>;

/// Writes down what it sees.
struct Clerk(Book);

impl Clerk {
    fn saw(&self, saw: Saw) {
        self.0.lock().unwrap().push(saw);
    }
}

impl Gateway for Clerk {
    fn on_connect(&mut self, _: &mut Cx<'_, Self>) -> Result<(), Close> {
        self.saw(Saw::Connect);
        Ok(())
    }

    fn on_trade(&mut self, trade: TradeView<'_>, _: &mut Cx<'_, Self>) -> Result<(), Close> {
        self.saw(Saw::Trade(trade.to_owned()));
        Ok(())
    }

    fn on_trades(&mut self, trades: Batch<'_, Trade>, cx: &mut Cx<'_, Self>) -> Result<(), Close> {
        self.saw(Saw::Trades(trades.len()));
        trades.iter().try_for_each(|trade| self.on_trade(trade, cx))
    }

    fn on_order(&mut self, order: OrderView<'_>, _: &mut Cx<'_, Self>) -> Result<(), Close> {
        self.saw(Saw::Order(order.order_id()));
        Ok(())
    }

    fn on_disconnect(&mut self, reason: CloseReason, _: &mut Cx<'_, Self>) {
        self.saw(Saw::Disconnect(reason.code));
    }

    fn on_error(&mut self, error: &corewire_actors::gateway::GatewayError, _: &mut Cx<'_, Self>) {
        self.saw(Saw::Error(error.to_string()));
    }
}

fn trade(trade_id: u64) -> Trade {
    Trade {
        trade_id,
        symbol: b'A' + (trade_id % 26) as u8,
        price: trade_id as f64 / 8.0,
        quantity: 1,
        venue: None,
    }
}

fn packed(ids: std::ops::Range<u64>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for id in ids {
        let mut room = [0; Trade::BYTES_MAX];
        let written = trade(id).encode(&mut room).expect("there is room for the longest");
        bytes.extend_from_slice(&room[..written]);
    }
    bytes
}

fn order(order_id: u64) -> Vec<u8> {
    let mut room = [0; Order::BYTES];
    let order = Order { order_id, symbol: b'A', side: Side::Sell, price: 1.0, quantity: 1 };
    order.encode(&mut room).expect("there is room for it");
    room.into()
}

/// What the gateway and its client see when the client says this.
fn run(on_bad: OnBad, script: Client) -> (Vec<Saw>, sim::Report, i64) {
    let book = Book::default();
    let clerks = book.clone();
    let mut world = World::new(1).at("/", move |_: &Upgrade| Ok(Served::new(Clerk(clerks.clone()), on_bad)));
    let client = world.client(script);
    world.run_until_quiet(60_000);
    let report = world.report(client).clone();
    let mut asked = world.outside().stats();
    world.run_for(1000);
    let stats = asked.ready().expect("a shard answers within a second").expect("it turns");
    let counted = stats.probe(OnBad::BAD_MESSAGES);
    world.shut_down();
    let saw = book.lock().unwrap().clone();
    (saw, report, counted)
}

#[test]
fn each_message_finds_its_handler() {
    let script =
        Client::at("/").binary(packed(1..2), 1).binary(packed(2..5), 1).binary(order(9), 1).close(1000);
    let (saw, ..) = run(OnBad::Close, script);
    let [one, two, three, four] = [1, 2, 3, 4].map(|id| Saw::Trade(trade(id)));
    let expected =
        [Saw::Connect, one, Saw::Trades(3), two, three, four, Saw::Order(9), Saw::Disconnect(1000)];
    assert_eq!(saw, expected);
}

#[test]
fn text_is_refused_with_1003() {
    let (saw, report, _) = run(OnBad::Skip, Client::at("/").text("hello").binary(packed(1..2), 1));
    assert_eq!(report.close_code(), Some(Some(1003)));
    let error = Saw::Error("text is not taken, and this is 5 bytes of it".into());
    assert_eq!(saw, [Saw::Connect, error, Saw::Disconnect(1003)]);
}

/// This is told as `says`, and then done with as the gateway was told.
#[track_caller]
fn check_bad(bytes: &[u8], says: &str) {
    let error = Saw::Error(says.into());
    for on_bad in [OnBad::Count, OnBad::Skip] {
        let script = Client::at("/").binary(bytes, 1).binary(packed(1..2), 1).close(1000);
        let (saw, _, counted) = run(on_bad, script);
        assert_eq!(saw, [Saw::Connect, error.clone(), Saw::Trade(trade(1)), Saw::Disconnect(1000)]);
        assert_eq!(counted, i64::from(on_bad == OnBad::Count));
    }
    let script = Client::at("/").binary(bytes, 1).binary(packed(1..2), 1);
    let (saw, report, counted) = run(OnBad::Close, script);
    assert_eq!(saw, [Saw::Connect, error, Saw::Disconnect(1007)]);
    assert!(report.heard.contains(&Heard::Close(Some(1007), says.into())), "{report:?}");
    assert_eq!(counted, 0);
}

#[test]
fn what_cannot_be_read_is_told_and_then_counted_skipped_or_closed() {
    let good = packed(1..4);
    let with = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        bytes
    };
    let mixed = "mixed messages: number 1 of those that are packed has another header";
    check_bad(&[], "insufficient data: expected 29 bytes, got 0");
    check_bad(&good[..20], "insufficient data: expected 29 bytes, got 20");
    check_bad(&good[..80], "insufficient data: expected 29 bytes, got 22");
    check_bad(&with(4, 7), "wrong schema: expected 1, got 7");
    check_bad(&with(2, 77), "unknown template: 77");
    check_bad(&with(0, 0), "wrong block length: expected 21 bytes of version 0, got 0");
    check_bad(&with(31, 2), mixed);
    check_bad(&[&order(1)[..], &good].concat(), mixed);
    check_bad(&[&order(1)[..], &order(2)[..7]].concat(), "insufficient data: expected 30 bytes, got 7");
}

#[test]
fn what_a_gateway_does_not_take_closes_with_1003() {
    struct TradesOnly;
    impl Gateway for TradesOnly {
        fn on_trade(&mut self, _: TradeView<'_>, _: &mut Cx<'_, Self>) -> Result<(), Close> {
            Ok(())
        }
        fn on_position(&mut self, _: PositionView<'_>, _: &mut Cx<'_, Self>) -> Result<(), Close> {
            unreachable!("nobody says one")
        }
    }
    let mut world = World::new(1).at("/", |_: &Upgrade| Ok(Served::new(TradesOnly, OnBad::default())));
    let client = world.client(Client::at("/").binary(packed(1..9), 1).binary(order(1), 1));
    world.run_until_quiet(60_000);
    assert_eq!(world.report(client).close_code(), Some(Some(1003)));
    world.shut_down();
}

#[test]
fn however_a_stream_of_trades_is_cut_each_comes_once_and_in_order() {
    sim::check(200, |world| {
        let mut random = fastrand::Rng::with_seed(world.seed());
        let faults = Faults::swarm(world.seed()).with(Fault::Cut, 0.0); // nothing is lost, but everything cut small
        let book = Book::default();
        let clerks = book.clone();
        let serve = move |_: &Upgrade| Ok(Served::new(Clerk(clerks.clone()), OnBad::Close));
        let mut world = world.faults(faults).at("/", serve);
        let (mut script, mut next) = (Client::at("/"), 1);
        for _ in 0..30 {
            let most = [1, 8, 64, 3000][random.usize(..4)];
            let end = next + random.u64(1..=most);
            script = script.binary(packed(next..end), [1, 1, 2, 5][random.usize(..4)]);
            if random.u8(..4) == 0 {
                script = script.ping(b"there?");
            }
            next = end;
        }
        world.client(script.close(1000));
        world.run_until_quiet(600_000);
        world.shut_down();
        let trades = |saw: &Saw| if let Saw::Trade(trade) = saw { Some(*trade) } else { None };
        let came: Vec<Trade> = book.lock().unwrap().iter().filter_map(trades).collect();
        assert!(came.into_iter().eq((1..next).map(trade)), "of {next} trades");
    });
}

#[test]
fn what_a_handler_answers_comes_in_the_order_of_what_it_read() {
    /// Says trades back: one copied next to its neighbours, many from where they were written.
    struct Mirror;
    impl Gateway for Mirror {
        fn on_trade(&mut self, trade: TradeView<'_>, cx: &mut Cx<'_, Self>) -> Result<(), Close> {
            let mut room = [0; Trade::BYTES_MAX];
            let bytes = trade.to_owned().encode(&mut room).expect("there is room for the longest");
            Ok(cx.client().send_binary(&room[..bytes])?)
        }

        fn on_trades(&mut self, trades: Batch<'_, Trade>, cx: &mut Cx<'_, Self>) -> Result<(), Close> {
            let mut block = cx.buffer(trades.as_bytes().len() + 10)?;
            block.leave_headroom(10);
            trades.iter().for_each(|trade| block.append(&trade.to_owned()).expect("there is room for all"));
            Ok(cx.client().send(Message::Binary(block))?)
        }
    }
    sim::check(100, |world| {
        let mut random = fastrand::Rng::with_seed(world.seed());
        let faults = Faults::swarm(world.seed()).with(Fault::Cut, 0.0);
        let mut world = world.faults(faults).at("/", |_: &Upgrade| Ok(Served::new(Mirror, OnBad::Close)));
        let mut script = Client::at("/").expects_echo();
        for n in 0..20 {
            let many = [1, 1, 3, 64][random.usize(..4)];
            script = script.binary(packed(n..n + many), random.usize(1..3));
        }
        world.client(script.until_heard(20).wait(Duration::from_millis(5)).close(1000));
        world.run_until_quiet(600_000);
        world.assert_echoed();
        world.shut_down();
    });
}
