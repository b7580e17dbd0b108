//! Typed messages: what finds its handler, and what is said of the rest.

use corewire::prelude::*;
use corewire::sim::{Client, Heard, World};
use corewire_actors::typed::{Data, Failure, SendTyped, Typed};
use proptest::collection::vec;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::LazyLock;

/// Adds what it is told to.
#[derive(Default)]
struct Talk {
    sum: i64,
}

#[derive(Deserialize)]
struct Add {
    number: i64,
    #[serde(default)]
    of: Vec<Add>,
}

#[derive(Deserialize, Serialize)]
struct Echo<'a> {
    #[serde(borrow)]
    body: &'a RawValue,
}

impl Talk {
    fn add(&mut self, Add { number, of }: Add, cx: &mut Context<Self>) -> Result<(), Failure> {
        self.sum = self.sum.checked_add(number).ok_or("that is too much")?;
        cx.count("added", 1);
        of.into_iter().try_for_each(|add| self.add(add, cx))
    }

    fn sum(&mut self, (): (), cx: &mut Context<Self>) -> Result<(), Failure> {
        Ok(cx.client().send_typed("sum", &self.sum)?)
    }

    fn leave(&mut self, code: u16, _: &mut Context<Self>) -> Result<(), Close> {
        Err(Close::new(code, "as you like"))
    }

    fn divide(&mut self, by: i64, _: &mut Context<Self>) -> Result<(), Failure> {
        let sum = self.sum.checked_div(by);
        self.sum = sum.ok_or_else(|| Failure::new("by_zero", format!("{} has no {by}th part", self.sum)))?;
        Ok(())
    }
}

fn table() -> Typed<Talk> {
    Typed::new()
        .on("add", Talk::add)
        .on("sum", Talk::sum)
        .on("leave", Talk::leave)
        .on("divide", Talk::divide)
        .on("no json", |_: &mut Talk, (): (), cx: &mut Context<Talk>| {
            cx.client().send_typed("map", &HashMap::from([((1, 2), 3)]))
        })
        .on_data("echo", |_: &mut Talk, data: Data<'_>, cx: &mut Context<Talk>| {
            let echo: Echo<'_> = data.read()?;
            Ok::<_, Failure>(cx.client().send_typed("echo", &echo)?)
        })
}

static TALK: LazyLock<Typed<Talk>> = LazyLock::new(table);

impl Session for Talk {
    fn message(&mut self, message: Message, cx: &mut Context<Self>) -> Result<(), Close> {
        TALK.handle(self, &message, cx)
    }
}

/// Takes no binary messages.
struct Strict;
impl Session for Strict {
    fn message(&mut self, message: Message, cx: &mut Context<Self>) -> Result<(), Close> {
        static STRICT: LazyLock<Typed<Strict>> = LazyLock::new(|| Typed::new().closes_on_binary());
        STRICT.handle(self, &message, cx)
    }
}

fn world() -> World {
    World::new(1).at("/", |_: &Upgrade| Ok(Talk::default())).at("/strict", |_: &Upgrade| Ok(Strict))
}

/// What a client hears that says all this and then asks for the sum, which is the last of it.
fn answers(says: &[&str]) -> Vec<Value> {
    let mut world = world();
    let script = says.iter().fold(Client::at("/"), |script, text| script.text(text));
    let client =
        world.client(script.text(r#"{"type":"sum"}"#).wait(std::time::Duration::from_secs(1)).close(1000));
    world.run_until_quiet(60_000);
    let report = world.report(client);
    assert_eq!(report.close_code(), Some(Some(1000)), "the connection goes on: {report:?}");
    let heard = report.messages().map(|heard| match heard {
        Heard::Text(text) => serde_json::from_str(text).expect("answers are JSON"),
        other => panic!("{other:?} is no text"),
    });
    let heard = heard.collect();
    world.shut_down();
    heard
}

/// This is answered by one error, and changes nothing.
#[track_caller]
fn check_error(says: &str, data: Value) {
    let heard = answers(&[r#"{"type":"add","data":{"number":5}}"#, says]);
    assert_eq!(heard, [json!({"type": "error", "data": data}), json!({"type": "sum", "data": 5})], "{says}");
}

#[test]
fn a_message_finds_the_handler_of_its_type() {
    let heard = answers(&[
        r#"{"type":"add","data":{"number":2,"of":[{"number":3}]}}"#,
        r#"  { "data" : {"number":37}, "more": [1,2], "type" : "\u0061dd" } "#,
        r#"{"type":"echo","data":{"body":{"a" : [1.50, "\u00e9"]}}}"#,
    ]);
    assert_eq!(
        heard,
        [json!({"type":"echo","data":{"body":{"a":[1.5,"é"]}}}), json!({"type":"sum","data":42})]
    );
}

#[test]
fn data_that_is_passed_on_keeps_its_form() {
    let mut world = world();
    let client = world.client(
        Client::at("/")
            .text(r#"{"type":"echo","data":{"body":[1.50,  "\u00e9"]}}"#)
            .until_heard(1)
            .close(1000),
    );
    world.run_until_quiet(60_000);
    let heard: Vec<_> = world.report(client).messages().cloned().collect();
    assert_eq!(heard, [Heard::Text(r#"{"type":"echo","data":{"body":[1.50,  "\u00e9"]}}"#.into())]);
    world.shut_down();
}

#[test]
fn an_unknown_type_is_told_which_there_are() {
    let message = "no such type; there are: add, divide, echo, leave, no json, sum";
    check_error(
        r#"{"type":"shout","data":{"id":7}}"#,
        json!({"of": "shout", "id": 7, "code": "unknown_type", "message": message}),
    );
    let long = "ä".repeat(1000);
    check_error(
        &json!({"type": long}).to_string(),
        json!({"of": "ä".repeat(32), "code": "unknown_type", "message": message}),
    );
}

#[test]
fn what_is_no_json_or_no_message_is_told_why_not() {
    for (says, why) in [
        ("", "EOF while parsing a value at line 1 column 0"),
        ("hello", "expected value at line 1 column 1"),
        ("42", "invalid type: integer `42`, expected struct Fields at line 1 column 2"),
        (r#"["add",{"number":1}]"#, "expected an object"),
        (r#"{"type":"add","data":{"number":1}"#, "EOF while parsing an object at line 1 column 33"),
        (r#"{"type":"add","data":{"number":1}} x"#, "trailing characters at line 1 column 36"),
        (r#"{"data":{"number":1}}"#, "missing field `type` at line 1 column 21"),
        (r#"{"type":"add","type":"sum"}"#, "duplicate field `type` at line 1 column 20"),
        (r#"{"type":1}"#, "invalid type: integer `1`, expected a string at line 1 column 9"),
    ] {
        check_error(says, json!({"code": "bad_json", "message": why}));
    }
}

#[test]
fn data_that_do_not_fit_are_told_why_not_and_for_which_message() {
    for (data, why) in [
        (
            json!({"id": "a1", "number": "5"}),
            "number: invalid type: string \"5\", expected i64 at line 1 column 23",
        ),
        (
            json!({"id": "a1", "number": 1, "of": [{"number": 2}, {"number": 3, "of": [{}]}]}),
            "of[1].of[0]: missing field `number` at line 1 column 61",
        ),
        (json!({"id": "a1"}), "missing field `number` at line 1 column 11"),
    ] {
        let says = json!({"type": "add", "data": data}).to_string();
        check_error(&says, json!({"of": "add", "id": "a1", "code": "bad_data", "message": why}));
    }
    let why = "invalid type: null, expected struct Add at line 1 column 4";
    check_error(r#"{"type":"add"}"#, json!({"of": "add", "code": "bad_data", "message": why}));
    let why = "missing field `body` at line 1 column 2";
    check_error(r#"{"type":"echo","data":{}}"#, json!({"of": "echo", "code": "bad_data", "message": why}));
}

#[test]
fn an_id_is_told_only_if_it_is_short_and_simple() {
    for id in [json!("x".repeat(1000)), json!({"a": 1}), json!([1])] {
        let says = json!({"type": "add", "data": {"id": id}}).to_string();
        let [error, _] = &answers(&[&says])[..] else { panic!("one answer each") };
        assert_eq!(error["data"]["id"], Value::Null, "{says}");
        assert_eq!(error["data"]["code"], "bad_data");
    }
}

#[test]
fn a_handler_that_fails_is_told_in_its_own_words() {
    let words = json!({"of": "divide", "code": "by_zero", "message": "5 has no 0th part"});
    check_error(r#"{"type":"divide","data":0}"#, words);
    let words = json!({"of": "add", "code": "failed", "message": "that is too much"});
    check_error(&format!(r#"{{"type":"add","data":{{"number":{}}}}}"#, i64::MAX), words);
    let words = "the answer could not be written: key must be a string";
    check_error(r#"{"type":"no json"}"#, json!({"of": "no json", "code": "failed", "message": words}));
}

#[test]
fn a_handler_may_close_the_connection() {
    let mut world = world();
    let client = world.client(Client::at("/").text(r#"{"type":"leave","data":4001}"#));
    world.run_until_quiet(60_000);
    assert_eq!(world.report(client).close_code(), Some(Some(4001)));
    world.shut_down();
}

#[test]
fn a_binary_message_is_an_error_or_the_end() {
    let mut world = world();
    let asked = world.client(Client::at("/").binary(*b"{}", 1).until_heard(1).close(1000));
    let closed = world.client(Client::at("/strict").binary(*b"{}", 1));
    world.run_until_quiet(60_000);
    let error = r#"{"type":"error","data":{"code":"binary","message":"messages are JSON, as text"}}"#;
    let heard: Vec<_> = world.report(asked).messages().cloned().collect();
    assert_eq!(heard, [Heard::Text(error.into())]);
    assert_eq!(world.report(closed).close_code(), Some(Some(1003)));
    world.shut_down();
}

#[test]
fn data_nest_as_deep_as_serde_json_goes_and_no_deeper() {
    let nested = |depth: usize| {
        let (open, close) = (r#"{"number":1,"of":["#.repeat(depth), "]}".repeat(depth));
        format!(r#"{{"type":"add","data":{open}{close}}}"#)
    };
    assert_eq!(answers(&[&nested(60)]), [json!({"type":"sum","data":60})]);
    for depth in [64, 1000, 10_000] {
        let heard = answers(&[&nested(depth)]);
        assert!(
            heard[0]["data"]["message"].as_str().unwrap().contains(": recursion limit exceeded"),
            "{heard:?}"
        );
        assert_eq!(heard[1]["data"], 0);
    }
}

#[test]
fn an_error_is_told_to_nobody_else() {
    let mut world = world();
    let bystander = world.client(Client::at("/").wait(std::time::Duration::from_secs(5)).close(1000));
    let client = world.client(Client::at("/").text("nonsense").until_heard(1).close(1000));
    world.run_until_quiet(60_000);
    assert_eq!(world.report(client).messages().count(), 1);
    assert_eq!(world.report(bystander).messages().count(), 0);
    world.shut_down();
}

#[test]
#[should_panic(expected = "two handlers for messages of the type \"add\"")]
fn two_handlers_of_one_type_are_refused() {
    let _ = table().on("add", Talk::add);
}

/// Something between JSON and noise.
fn any_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => proptest::sample::select(vec![
            "{", "}", "[", "]", ":", ",", "\"", "\\", "\"type\":", "\"data\":", "\"add\"", "\"echo\"", "\"id\":", "\"sum\"",
            "null", "1e999", "-", "{\"type\":\"add\",\"data\":", "{\"number\":1}", "\\ud800", "\u{0}", " ",
        ])
        .prop_map(str::to_owned),
        1 => any::<String>(),
    ];
    vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Whatever a client says, it hears at most one answer to each, and the next message is handled.
    #[test]
    fn no_text_is_more_than_an_error(says in vec(any_text(), 1..20)) {
        let says: Vec<&str> = says.iter().map(String::as_str).collect();
        let heard = answers(&says);
        prop_assert!(heard.len() <= says.len() + 1);
        prop_assert_eq!(&heard.last().unwrap()["type"], "sum");
    }
}
