//! §4.1: the client asks, and believes no answer that does not prove itself.

use corewire::wire::handshake::{
    Answer, AnswerError, Key, Progress, check_response, parse, request, response,
};
use corewire::wire::http::{HeadLimits, HeaderError};

fn key() -> Key {
    Key::from_nonce(*b"the sample nonce")
}

/// The lines of a sound answer.
const SOUND: [&str; 4] = [
    "HTTP/1.1 101 Switching Protocols",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
];

/// [`SOUND`] with line `i` replaced; by nothing if empty; added if there is no such line.
fn answer(i: usize, line: &str) -> Vec<u8> {
    let mut lines = SOUND.to_vec();
    if i < lines.len() {
        lines[i] = line;
    } else {
        lines.push(line);
    }
    lines.retain(|line| !line.is_empty());
    (lines.join("\r\n") + "\r\n\r\n").into_bytes()
}

fn check(bytes: &[u8]) -> Result<Answer<'_>, AnswerError> {
    check_response(bytes, &key(), &["chat", "superchat"], &HeadLimits::default())
}

#[track_caller]
fn check_open(bytes: &[u8], subprotocol: Option<&str>) {
    assert_eq!(check(bytes), Ok(Answer::Open { subprotocol, head_bytes: bytes.len() }));
    for end in 0..bytes.len() {
        assert_eq!(check(&bytes[..end]), Ok(Answer::Incomplete), "at {end}");
    }
}

/// §4.1, parts 1–12 of the request: what a client writes, a server reads.
#[test]
fn s4_1_the_request_is_what_a_server_wants() {
    let mut out = Vec::new();
    request(
        "a.example:9001",
        "/chat?x=1",
        &key(),
        &["chat", "superchat"],
        &[("Origin", "http://b")],
        &mut out,
    )
    .unwrap();
    let Ok(Progress::Upgrade { request, key: read, head_bytes }) = parse(&out, &HeadLimits::default()) else {
        panic!("{}", out.escape_ascii());
    };
    assert_eq!((read, head_bytes), (key(), out.len()));
    assert_eq!((request.path(), request.query()), ("/chat", Some("x=1")));
    assert_eq!((request.host(), request.origin()), (Some("a.example:9001"), Some("http://b")));
    let offered: Vec<_> = request.subprotocols().collect();
    assert_eq!(offered, ["chat", "superchat"]);
    let mut answer = Vec::new();
    response(&read, &offered, Some("superchat"), &[], &mut answer).unwrap();
    check_open(&answer, Some("superchat"));
}

/// §4.1, part 1: "The components of the WebSocket URI passed into this algorithm … MUST be valid".
#[test]
fn s4_1_a_request_that_would_not_be_one_is_not_written() {
    let check = |host, target, subprotocols: &[&str], extra: &[(&str, &str)], error: HeaderError| {
        let mut out = Vec::new();
        assert_eq!(request(host, target, &key(), subprotocols, extra, &mut out), Err(error));
        assert_eq!(out, b"", "half a request");
    };
    for host in ["", "a\r\nb", "a/b"] {
        check(host, "/", &[], &[], HeaderError::Value("host".into()));
    }
    for target in ["", "chat", "/c hat", "/chat#b", "/a\r\nb"] {
        check("a", target, &[], &[], HeaderError::Value("target".into()));
    }
    check("a", "/", &["a b"], &[], HeaderError::Name("a b".into()));
    for name in ["Host", "Sec-WebSocket-Key"] {
        check("a", "/", &[], &[(name, "b")], HeaderError::Reserved(name.into()));
    }
}

/// §4.1, step 1: "If the status code received from the server is not 101, the client handles the response per HTTP".
#[test]
fn s4_1_step_1_other_statuses_open_nothing() {
    for status in [100, 200, 301, 401, 426, 503] {
        let bytes = answer(0, &format!("HTTP/1.1 {status} Other"));
        assert_eq!(check(&bytes), Err(AnswerError::Status(status)));
    }
    assert_eq!(check(&answer(0, "HTTP/1.0 101 Switching Protocols")), Err(AnswerError::NotHttp));
    assert_eq!(check(b"\x81\x05hello"), Err(AnswerError::NotHttp));
}

/// §4.1, step 2: "If the response lacks an |Upgrade| header field or the |Upgrade| header field contains a value that
/// is not an ASCII case-insensitive match for the value "websocket"".
#[test]
fn s4_1_step_2_upgrade_must_say_websocket() {
    assert_eq!(check(&answer(1, "")), Err(AnswerError::Upgrade));
    assert_eq!(check(&answer(1, "Upgrade: h2c")), Err(AnswerError::Upgrade));
    check_open(&answer(1, "upgrade: WEBSOCKET"), None);
}

/// §4.1, step 3: "If the response lacks a |Connection| header field or the |Connection| header field doesn't contain a
/// token that is an ASCII case-insensitive match for the value "Upgrade"".
#[test]
fn s4_1_step_3_connection_must_say_upgrade() {
    assert_eq!(check(&answer(2, "")), Err(AnswerError::Connection));
    assert_eq!(check(&answer(2, "Connection: close")), Err(AnswerError::Connection));
    check_open(&answer(2, "Connection: keep-alive, uPgrade"), None);
}

/// §4.1, step 4: "If the response lacks a |Sec-WebSocket-Accept| header field or the |Sec-WebSocket-Accept| contains a
/// value other than the base64-encoded SHA-1 … but ignoring any leading and trailing whitespace".
#[test]
fn s4_1_step_4_accept_must_prove_that_the_key_was_read() {
    assert_eq!(check(&answer(3, "")), Err(AnswerError::Accept));
    for value in
        ["", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo", "S3PPLMBITXAQ9KYGZZHZRBK+XOO=", "dGhlIHNhbXBsZSBub25jZQ=="]
    {
        assert_eq!(check(&answer(3, &format!("Sec-WebSocket-Accept: {value}"))), Err(AnswerError::Accept));
    }
    assert_eq!(check(&answer(4, SOUND[3])), Err(AnswerError::Accept), "twice (§11.3.3)");
    check_open(&answer(3, "Sec-WebSocket-Accept: \t s3pPLMBiTxaQ9kYGzzhZRbK+xOo= \t"), None);
}

/// §4.1, step 5: "indicates the use of an extension that was not present in the client's handshake".
#[test]
fn s4_1_step_5_extension_that_was_not_offered_is_refused() {
    let bytes = answer(4, "Sec-WebSocket-Extensions: permessage-deflate");
    assert_eq!(check(&bytes), Err(AnswerError::Extension));
}

/// §4.1, step 6: "indicates the use of a subprotocol that was not present in the client's handshake".
#[test]
fn s4_1_step_6_subprotocol_that_was_not_offered_is_refused() {
    check_open(&answer(4, "Sec-WebSocket-Protocol: superchat"), Some("superchat"));
    for names in ["other", "Chat", "chat, superchat"] {
        let bytes = answer(4, &format!("Sec-WebSocket-Protocol: {names}"));
        assert_eq!(check(&bytes), Err(AnswerError::Subprotocol));
    }
}

/// §4.2.2: "At this point, the server may begin sending (and receiving) data."
#[test]
fn s4_2_2_frames_may_follow_the_answer_at_once() {
    let head = answer(4, "");
    let bytes = [&head[..], b"\x81\x05hello"].concat();
    assert_eq!(check(&bytes), Ok(Answer::Open { subprotocol: None, head_bytes: head.len() }));
}
