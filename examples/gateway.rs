//! A gateway for trades in SBE (`corewire_actors::sbe`): a page at `/`, trades and orders at `/trades`, the table at `/table`.
//! `make gateway` runs it, and `cargo run --release --example gateway_client` fills it.
//!
//! A trade is added up where it landed, in what its shard has of the table: a shard is one thread, so that is no lock and no
//! message. Once a second every shard tells the first one what has changed; a thread of the worker pool prints it, since a
//! terminal may block, and writes the JSON that pages hear in the room `table`. An order is checked by the pool too, and
//! answered with the trade that it became.

#[path = "gateway/table.rs"]
mod table;

use clap::{CommandFactory, FromArgMatches, Parser};
use corewire::actor::WorkError;
use corewire::prelude::*;
use corewire::shard::ShardId;
use corewire_actors::cli::ServerFlags;
use corewire_actors::gateway::{Cx, Gateway, GatewayError, OnBad, Served};
use corewire_actors::rooms::{Body, InRooms, Join, Note, Rooms, RoomsConfig};
use corewire_actors::sbe::{Batch, Order, OrderView, SCHEMA, Trade, TradeView};
use std::cell::RefCell;
use std::process::ExitCode;
use std::time::Duration;
use table::{Row, Table};

/// A gateway for trades in SBE: open its page, or fill it with the example gateway_client
#[derive(Parser)]
#[command(version, name = "gateway")]
struct Flags {
    /// Where to listen; ":9001" is every address of this machine
    #[arg(long, env = "COREWIRE_ADDR", default_value = ":9001")]
    addr: String,
    /// What becomes of a client whose message cannot be read: count it, skip it, or close with 1007
    #[arg(long, default_value = "count", value_parser = on_bad)]
    on_bad: OnBad,
    #[command(flatten)]
    server: ServerFlags,
}

fn on_bad(name: &str) -> Result<OnBad, String> {
    match name {
        "count" => Ok(OnBad::Count),
        "skip" => Ok(OnBad::Skip),
        "close" => Ok(OnBad::Close),
        _ => Err("expected count, skip or close".into()),
    }
}

// ---- a client's trades ----

thread_local! {
    /// What the clients of this shard have traded since it was last told.
    static TRADED: RefCell<Table> = const { RefCell::new(Table::new()) };
}

struct Desk;

impl Gateway for Desk {
    fn on_trade(&mut self, trade: TradeView<'_>, _: &mut Cx<'_, Self>) -> Result<(), Close> {
        TRADED.with_borrow_mut(|table| table.add(trade));
        Ok(())
    }

    fn on_trades(&mut self, trades: Batch<'_, Trade>, _: &mut Cx<'_, Self>) -> Result<(), Close> {
        TRADED.with_borrow_mut(|table| trades.iter().for_each(|trade| table.add(trade)));
        Ok(())
    }

    fn on_order(&mut self, order: OrderView<'_>, cx: &mut Cx<'_, Self>) -> Result<(), Close> {
        let order = order.to_owned(); // the view ends with this call
        // Not a trade of this shard is read later for it. A queue that is full closes the connection with 1013.
        cx.work(move || check(&order)).then(|_, trade, cx| filled(trade, cx))?;
        Ok(())
    }

    fn on_error(&mut self, error: &GatewayError, _: &mut Cx<'_, Self>) {
        tracing::debug!("{error}");
    }
}

/// What an order became, for its client and for the table.
fn filled(trade: Result<Option<Trade>, WorkError>, cx: &mut Cx<'_, Desk>) {
    let Ok(Some(trade)) = trade else {
        return cx.client().close(Close::new(1008, "an order that nobody takes"));
    };
    let (mut room, encoded) = ([0; Trade::BYTES_MAX], "there is room for the longest");
    let bytes = trade.encode(&mut room).expect(encoded);
    let _ = cx.client().send_binary(&room[..bytes]); // a client that is not there any more needs no answer
    let trade = Trade::decode(&room).expect(encoded);
    TRADED.with_borrow_mut(|table| table.add(trade));
}

/// Whether somebody takes it: in a real house, a look into a database and into what its client may still spend.
fn check(order: &Order) -> Option<Trade> {
    let Order { order_id: trade_id, symbol, price, quantity, side: _ } = *order;
    let is_good = price.is_finite() && price > 0.0 && quantity > 0;
    is_good.then_some(Trade { trade_id, symbol, price, quantity, venue: None })
}

// ---- the table ----

/// Hears every second what its shard has traded. The first one adds up what all have, and shows it.
struct Board {
    all: Table,
    /// The pool is at it.
    printing: bool,
    /// More has come since.
    stale: bool,
}

#[derive(Clone)]
struct Second;
/// What a shard has traded.
struct Traded(Vec<Row>);

impl Actor for Board {
    fn started(&mut self, cx: &mut Context<Self>) {
        let me = cx.address();
        cx.every(Duration::from_secs(1), me, Second).expect("a shard that starts has room for a timer");
    }
}

impl Handler<Second> for Board {
    type Reply = ();
    fn handle(&mut self, _: Second, cx: &mut Context<Self>) {
        let first = cx.service_on::<Self>(ShardId(0));
        let traded = TRADED.with_borrow_mut(Table::take);
        if let Some(first) = first.filter(|_| !traded.is_empty())
            && let Err(refused) = cx.send(first, Traded(traded))
        {
            // For the next second.
            TRADED.with_borrow_mut(|table| table.merge(&refused.into_inner().0));
        }
    }
}

impl Handler<Traded> for Board {
    type Reply = ();
    fn handle(&mut self, Traded(rows): Traded, cx: &mut Context<Self>) {
        self.all.merge(&rows);
        self.stale = true;
        self.print(cx);
    }
}

impl Board {
    /// Shows what there is, or when the pool has shown what there was: where the terminal is slow, not every second.
    fn print(&mut self, cx: &mut Context<Self>) {
        if self.printing || !self.stale {
            return;
        }
        let rows = self.all.rows();
        self.printing = cx.work(move || table::print(&rows)).then(Self::printed).is_ok();
        self.stale = !self.printing;
    }

    fn printed(&mut self, json: Result<String, WorkError>, cx: &mut Context<Self>) {
        self.printing = false;
        if let Ok(json) = json {
            let _ = cx.publish("table", Note::new(Body::Text(json.into()))); // the next comes in a second
        }
        self.print(cx);
    }
}

/// Somebody who looks at the table.
struct Viewer;

impl Session for Viewer {
    fn open(&mut self, cx: &mut Context<Self>) -> Result<(), Close> {
        Ok(cx.join_room("table", Join::plain().history(1))?)
    }

    fn message(&mut self, _: Message, _: &mut Context<Self>) -> Result<(), Close> {
        Err(Close::new(1003, "trades are for /trades"))
    }
}

// ---- the server ----

fn main() -> ExitCode {
    let flags = Flags::command().mut_arg("max_connections", |most| most.default_value("10000"));
    let flags = Flags::from_arg_matches(&flags.get_matches()).unwrap_or_else(|error| error.exit());
    match serve(flags) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("gateway: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(flags: Flags) -> Result<(), Box<dyn std::error::Error>> {
    flags.server.log();
    let on_bad = flags.on_bad;
    let server = Server::bind(flags.addr)
        .config(flags.server.config())
        .service(Rooms::service(RoomsConfig::default()))
        .service(|_| Board { all: Table::new(), printing: false, stale: false })
        .page("/", "text/html; charset=utf-8", include_bytes!("gateway/index.html").as_slice())
        .page("/trade.xml", "application/xml", SCHEMA.as_bytes())
        .at("/trades", move |_: &Upgrade| Ok(Served::new(Desk, on_bad)))
        .at("/table", |_: &Upgrade| Ok(Viewer));
    server.run_with(|running| {
        let (address, port) = (running.address(), running.address().port());
        println!(
            "listening on {address}; open http://localhost:{port}/, or fill it: cargo run --release --example gateway_client -- --to localhost:{port} --send 10000000 --batch 64"
        );
    })?;
    Ok(())
}
