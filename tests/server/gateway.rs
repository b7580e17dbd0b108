//! The gateway example and its client do what they say.

use super::harness::{Client, Process, Said, path_of};
use corewire::wire::frame::Opcode;
use corewire_actors::sbe::{Order, Side, Trade};
use serde_json::Value;
use std::process::{Command, Output};

fn open(server: &Process, path: &str) -> Client {
    Client::open_at(server.address, path, &[]).0
}

/// Fills the server by the example's client, and waits until all of it is handled.
fn fill(server: &Process, trades: u64, batch: u64) -> Output {
    let mut client = Command::new(path_of("gateway_client"));
    client.args(["--to", &server.address.to_string()]);
    client.args(["--send", &trades.to_string(), "--batch", &batch.to_string()]);
    client.output().expect("the example can be run")
}

fn order(price: f64) -> Vec<u8> {
    let order = Order { order_id: 7, symbol: b'Q', side: Side::Buy, price, quantity: 12 };
    let mut bytes = vec![0; Order::BYTES];
    order.encode(&mut bytes).expect("there is room for it");
    bytes
}

/// What one column of the table adds up to.
fn sum(table: &[u8], column: &str) -> u64 {
    let table: Value = serde_json::from_slice(table).expect("the table is JSON");
    table.as_array().expect("it is a list").iter().map(|row| row[column].as_u64().expect("a number")).sum()
}

#[test]
fn gateway_adds_up_what_its_client_sends() {
    let mut server = Process::example("gateway", &["--pool", "1"]);
    let mut viewer = open(&server, "/table");
    for (trades, batch) in [(1000, 1), (10_000, 64), (5, 7)] {
        let output = fill(&server, trades, batch);
        assert!(output.status.success(), "{output:?}");
        let messages = trades.div_ceil(batch);
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(printed.starts_with(&format!("{trades} trades in {messages} messages, ")), "{printed}");
    }
    // On both shards, in the table of the first.
    loop {
        match viewer.next_but_pings() {
            Said::Text(table) if sum(&table, "trades") == 11_005 => break assert!(sum(&table, "volume") > 0),
            Said::Text(table) => assert!(sum(&table, "trades") < 11_005),
            other => panic!("{other:?} is no table"),
        }
    }
    server.wait_until_printed("Z "); // and on the terminal
}

#[test]
fn gateway_answers_an_order_with_the_trade_that_it_became() {
    let server = Process::example("gateway", &["--pool", "1"]);
    let mut client = open(&server, "/trades");
    client.send(Opcode::Binary, &order(2.5));
    let Said::Binary(bytes) = client.next() else { panic!("a trade is binary") };
    let trade = Trade { trade_id: 7, symbol: b'Q', price: 2.5, quantity: 12, venue: None };
    assert_eq!(Trade::decode(&bytes).map(|view| view.to_owned()), Ok(trade));
    client.send(Opcode::Binary, &order(-2.5));
    assert!(matches!(client.next(), Said::Close(Some(1008), _)), "nobody takes that");
}

#[test]
fn gateway_refuses_text_and_what_becomes_of_bad_messages_is_a_flag() {
    let server = Process::example("gateway", &["--pool", "1", "--on-bad", "close"]);
    let mut client = open(&server, "/trades");
    client.text("hello");
    assert!(matches!(client.next(), Said::Close(Some(1003), _)), "text is refused");
    let mut client = open(&server, "/trades");
    client.send(Opcode::Binary, &order(1.0)[..20]);
    let Said::Close(code, reason) = client.next() else { panic!("it is closed") };
    assert_eq!((code, &*reason), (Some(1007), "insufficient data: expected 30 bytes, got 20"));

    let server = Process::example("gateway", &["--pool", "1"]);
    let mut client = open(&server, "/trades");
    client.send(Opcode::Binary, &order(1.0)[..20]);
    client.send(Opcode::Binary, &order(1.0));
    assert!(matches!(client.next(), Said::Binary(_)), "it goes on");
}

#[test]
fn gateway_takes_ten_thousand_clients_unless_told_otherwise() {
    let help = Command::new(path_of("gateway")).arg("--help").output().expect("the example can be run");
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    let flag = help.split("--max-connections").nth(1).expect("there is the flag");
    assert!(flag.split("--").next().is_some_and(|about| about.contains("[default: 10000]")), "{flag}");
}
