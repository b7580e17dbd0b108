//! §4.2 and §4.4: the server reads the request and answers it.

use corewire::wire::handshake::{HandshakeError, Key, Progress, accept, parse, response};
use corewire::wire::http::{HeadLimits, HeaderError, Refusal};

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// The lines of a sound request.
const SOUND: [&str; 6] = [
    "GET /chat HTTP/1.1",
    "Host: server.example.com",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
];

/// [`SOUND`] without the lines that begin with `without`, and with the lines `with` at the end (a request line at
/// the front).
fn request(without: &str, with: &[&str]) -> Vec<u8> {
    let kept = SOUND.iter().filter(|line| without.is_empty() || !line.starts_with(without));
    let mut lines: Vec<&str> = kept.chain(with).copied().collect();
    if without == "GET" {
        lines.rotate_right(1);
    }
    (lines.join("\r\n") + "\r\n\r\n").into_bytes()
}

#[track_caller]
fn check_upgrade(bytes: &[u8]) -> Progress<'_> {
    let progress = parse(bytes, &HeadLimits::default()).expect("a sound request");
    let Progress::Upgrade { key, head_bytes, .. } = &progress else { panic!("{progress:?}") };
    assert_eq!((*key, *head_bytes), (Key::parse(KEY).unwrap(), bytes.len()));
    progress
}

#[track_caller]
fn check_refused(bytes: &[u8], error: HandshakeError, status: u16) {
    let refused = parse(bytes, &HeadLimits::default()).expect_err("to be refused");
    assert_eq!(refused, error);
    assert_eq!(refused.refusal().status(), status);
}

/// §4.2.1, parts 1–6, as the RFC's own example (§1.2) has them.
#[test]
fn s4_2_1_the_rfcs_example_is_accepted() {
    let bytes = request(
        "",
        &[
            "Origin: http://example.com",
            "Sec-WebSocket-Protocol: chat, superchat",
            "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits, x-other",
        ],
    );
    let Progress::Upgrade { request, key, .. } = check_upgrade(&bytes) else { unreachable!() };
    assert_eq!((request.method(), request.target(), request.path()), ("GET", "/chat", "/chat"));
    assert_eq!((request.host(), request.origin()), (Some("server.example.com"), Some("http://example.com")));
    assert_eq!(request.subprotocols().collect::<Vec<_>>(), ["chat", "superchat"]);
    assert_eq!(
        request.extensions().collect::<Vec<_>>(),
        ["permessage-deflate; client_max_window_bits", "x-other"]
    );
    assert_eq!(request.headers().count(), SOUND.len() - 1 + 3);
    assert_eq!(&accept(&key), b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

/// §4.2.1: "as per [RFC2616], the order of the header fields is not important"; §4.1: "all header field names in both
/// HTTP requests and HTTP responses are case-insensitive."
#[test]
fn s4_2_1_order_and_case_of_headers_do_not_matter() {
    let mut lines = SOUND.map(str::to_owned);
    lines[1..].reverse();
    for line in &mut lines[1..] {
        let (name, value) = line.split_once(':').unwrap();
        *line = format!("{}:{value}", name.to_ascii_uppercase());
    }
    check_upgrade((lines.join("\r\n") + "\r\n\r\n").as_bytes());
}

/// §4.2.1: "The server must parse at least part of this handshake": until the last byte is there, it waits.
#[test]
fn s4_2_1_every_beginning_of_a_request_is_incomplete() {
    let bytes = request("", &[]);
    for end in 0..bytes.len() {
        let progress = parse(&bytes[..end], &HeadLimits::default());
        assert!(matches!(progress, Ok(Progress::Incomplete)), "at {end}: {progress:?}");
    }
}

/// §4.2.1, part 1: "An HTTP/1.1 or higher GET request".
#[test]
fn s4_2_1_part_1_other_methods_and_versions_are_refused() {
    for method in ["POST", "HEAD", "get", "CONNECT"] {
        let bytes = request("GET", &[&format!("{method} /chat HTTP/1.1")]);
        check_refused(&bytes, HandshakeError::Method, 405);
    }
    check_refused(&request("GET", &["GET /chat HTTP/1.0"]), HandshakeError::HttpVersion, 505);
    check_refused(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", HandshakeError::HttpVersion, 505);
}

/// §4.2.1, part 1: "a "Request-URI" … that should be interpreted as a /resource name/ … (or an absolute HTTP/HTTPS URI
/// containing the /resource name/)".
#[test]
fn s4_2_1_part_1_target_is_a_path_or_a_uri() {
    for (target, path, query, host) in [
        ("/", "/", None, "server.example.com"),
        ("/a/b?c=d?e", "/a/b", Some("c=d?e"), "server.example.com"),
        ("/a?", "/a", Some(""), "server.example.com"),
        ("/a?to=http://b/c", "/a", Some("to=http://b/c"), "server.example.com"),
        ("http://other:80/a?b", "/a", Some("b"), "other:80"),
        ("HTTPS://other", "/", None, "other"),
        ("http://server.example.com/a", "/a", None, "server.example.com"),
        ("http://other?b", "/", Some("b"), "other"),
    ] {
        let bytes = request("GET", &[&format!("GET {target} HTTP/1.1")]);
        let Progress::Upgrade { request, .. } = check_upgrade(&bytes) else { unreachable!() };
        assert_eq!((request.path(), request.query(), request.host()), (path, query, Some(host)), "{target}");
    }
}

/// §3: "Fragment identifiers are meaningless in the context of WebSocket URIs and MUST NOT be used".
#[test]
fn s3_other_targets_are_refused() {
    for target in ["/a#b", "*", "a", "ftp://a/b", "http:///a", "http://a@b/"] {
        let bytes = request("GET", &[&format!("GET {target} HTTP/1.1")]);
        check_refused(&bytes, HandshakeError::Target, 400);
    }
}

/// §4.2.1, part 2: "A |Host| header field containing the server's authority."
#[test]
fn s4_2_1_part_2_exactly_one_host() {
    check_refused(&request("Host", &[]), HandshakeError::Host, 400);
    check_refused(&request("", &["Host: server.example.com"]), HandshakeError::Host, 400);
    for host in ["", "a b", "a/b", "a,b", "me@a", "a\\b"] {
        check_refused(&request("Host", &[&format!("Host: {host}")]), HandshakeError::Host, 400);
    }
    for host in ["a", "a:80", "127.0.0.1:9001", "[::1]:9001"] {
        check_upgrade(&request("Host", &[&format!("Host: {host}")]));
    }
}

/// §4.2.1, part 3: "An |Upgrade| header field containing the value "websocket", treated as an ASCII case-insensitive
/// value."
#[test]
fn s4_2_1_part_3_upgrade_says_websocket() {
    check_refused(&request("Upgrade", &[]), HandshakeError::Upgrade, 400);
    check_refused(&request("Upgrade", &["Upgrade: h2c"]), HandshakeError::Upgrade, 400);
    check_refused(&request("Upgrade", &["Upgrade: websockets"]), HandshakeError::Upgrade, 400);
    check_upgrade(&request("Upgrade", &["Upgrade: WebSocket"]));
    check_upgrade(&request("Upgrade", &["Upgrade: h2c,, \tWEBSOCKET"]));
    check_upgrade(&request("Upgrade", &["Upgrade: h2c", "Upgrade: websocket"]));
}

/// §4.2.1, part 4: "A |Connection| header field that includes the token "Upgrade", treated as an ASCII
/// case-insensitive value."
#[test]
fn s4_2_1_part_4_connection_includes_upgrade() {
    check_refused(&request("Connection", &[]), HandshakeError::Connection, 400);
    check_refused(&request("Connection", &["Connection: keep-alive"]), HandshakeError::Connection, 400);
    check_upgrade(&request("Connection", &["Connection: keep-alive, uPGRADE"]));
    check_upgrade(&request("Connection", &["Connection: keep-alive", "Connection: Upgrade"]));
}

/// §4.2.1, part 5: "A |Sec-WebSocket-Key| header field with a base64-encoded … value that, when decoded, is 16 bytes
/// in length."; §11.3.1: "The |Sec-WebSocket-Key| header field MUST NOT appear more than once in an HTTP request."
#[test]
fn s4_2_1_part_5_exactly_one_key_of_16_bytes() {
    check_refused(&request("Sec-WebSocket-Key", &[]), HandshakeError::Key, 400);
    check_refused(&request("", &[SOUND[4]]), HandshakeError::Key, 400);
    for key in [
        "",
        "dGhlIHNhbXBsZSBub25jZQ=",
        "dGhlIHNhbXBsZSBub25jZQ",
        "dGhlIHNhbXBsZSBub25jZWQ=", // 17 bytes
        "dGhlIHNhbXBsZSBub25j",     // 15 bytes
        "dGhlIHNhbXBsZSBub25jZWRl", // 18 bytes, and as many letters as 16 make
        "dGhlIHNhbXBsZSBub25j!Q==",
        "dGhlIHNhbXBsZSBub25jZQ==, dGhlIHNhbXBsZSBub25jZQ==",
    ] {
        let bytes = request("Sec-WebSocket-Key", &[&format!("Sec-WebSocket-Key: {key}")]);
        check_refused(&bytes, HandshakeError::Key, 400);
    }
}

/// §4.1, the RFC's own example of a key, whose last letter has a spare bit set: "AQIDBAUGBwgJCgsMDQ4PEC==".
#[test]
fn s4_1_key_with_spare_bits_is_accepted() {
    assert!(Key::parse("AQIDBAUGBwgJCgsMDQ4PEC==").is_some());
}

/// §4.2.2: "If this version does not match a version understood by the server, the server MUST abort the WebSocket
/// handshake … and instead send an appropriate HTTP error code (such as 426 Upgrade Required) and a
/// |Sec-WebSocket-Version| header field indicating the version(s) the server is capable of understanding."
#[test]
fn s4_2_2_other_versions_are_answered_with_426_and_ours() {
    let without = request("Sec-WebSocket-Version", &[]);
    let others = ["", "0", "8", "12", "14", "25", "13, 8", "013"];
    let others = others.map(|v| request("Sec-WebSocket-Version", &[&format!("Sec-WebSocket-Version: {v}")]));
    for bytes in others.iter().chain([&without]) {
        check_refused(bytes, HandshakeError::Version, 426);
    }
    let mut out = Vec::new();
    HandshakeError::Version.refusal().encode(false, &mut out);
    let answer = String::from_utf8(out).unwrap();
    assert!(answer.starts_with("HTTP/1.1 426 Upgrade Required\r\n"), "{answer}");
    for line in [
        "\r\nSec-WebSocket-Version: 13\r\n",
        "\r\nUpgrade: websocket\r\n",
        "\r\nConnection: upgrade, close\r\n",
    ] {
        assert!(answer.contains(line), "{answer}");
    }
}

/// §11.3.5: "The |Sec-WebSocket-Version| header field MUST NOT appear more than once in an HTTP request."
#[test]
fn s11_3_5_version_twice_is_refused() {
    check_refused(&request("", &[SOUND[5]]), HandshakeError::VersionRepeated, 400);
}

/// §4.1, part 10: "The elements that comprise this value MUST be non-empty strings with characters in the range U+0021
/// to U+007E not including separator characters"; §11.3.4: "The |Sec-WebSocket-Protocol| header field MAY appear
/// multiple times in an HTTP request (which is logically the same as a single |Sec-WebSocket-Protocol| header field
/// that contains all values)."
#[test]
fn s4_1_part_10_subprotocols_are_tokens() {
    for names in ["a b", "a, b/c", "\"a\"", "a;b", "\u{e9}"] {
        let bytes = request("", &[&format!("Sec-WebSocket-Protocol: {names}")]);
        check_refused(&bytes, HandshakeError::Subprotocol, 400);
    }
    let bytes = request("", &["Sec-WebSocket-Protocol: b.2, a", "Sec-WebSocket-Protocol: c"]);
    let Progress::Upgrade { request, .. } = check_upgrade(&bytes) else { unreachable!() };
    assert_eq!(request.subprotocols().collect::<Vec<_>>(), ["b.2", "a", "c"]);
}

/// §4.2.1: "including but not limited to any violations of the ABNF grammar specified for the components of the
/// handshake, the server MUST stop processing the client's handshake and return an HTTP response with an appropriate
/// error code (such as 400 Bad Request)".
#[test]
fn s4_2_1_what_is_not_http_is_refused() {
    for bytes in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..], // TLS
        b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58",      // a frame
        b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", // a folded line
        b"GET / HTTP/1.1\r\nHost: a\rUpgrade: websocket\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\0\r\n\r\n",
        b"GET / HTTP/1.1\r\n: a\r\n\r\n",
        b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / \r\nHost: a\r\n\r\n",
    ] {
        let error = parse(bytes, &HeadLimits::default()).expect_err("to be refused");
        assert!(matches!(error.refusal().status(), 400 | 505), "{error} for {}", bytes.escape_ascii());
    }
}

/// §4.2.2: "A Status-Line with a 101 response code", "An |Upgrade| header field with value "websocket"", "A
/// |Connection| header field with value "Upgrade"", "A |Sec-WebSocket-Accept| header field".
#[test]
fn s4_2_2_the_answer_is_the_rfcs_example() {
    let mut out = Vec::new();
    response(&Key::parse(KEY).unwrap(), &["chat", "superchat"], Some("chat"), &[("X-A", "b")], &mut out)
        .unwrap();
    let expected = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\nX-A: b\r\n\r\n";
    assert_eq!(str::from_utf8(&out), Ok(expected));
}

#[track_caller]
fn check_unwritable(offered: &[&str], chosen: Option<&str>, extra: &[(&str, &str)], error: HeaderError) {
    let mut out = Vec::new();
    let refused = response(&Key::parse(KEY).unwrap(), offered, chosen, extra, &mut out);
    assert_eq!(refused, Err(error));
    assert_eq!(out, b"", "half an answer");
}

/// §4.2.2, /subprotocol/: "The value chosen MUST be derived from the client's handshake, specifically by selecting one
/// of the values"; "The empty string is not the same as the null value for these purposes and is not a legal value".
#[test]
fn s4_2_2_subprotocol_must_be_one_that_was_offered() {
    let not_offered = |name: &str| HeaderError::SubprotocolNotOffered(name.into());
    check_unwritable(&[], Some("chat"), &[], not_offered("chat"));
    check_unwritable(&["chat"], Some("Chat"), &[], not_offered("Chat"));
    check_unwritable(&["chat"], Some(""), &[], not_offered(""));
}

/// §4.2.2: "it MUST reply with a valid HTTP response": no header of the application can end the head or say what only
/// the handshake may.
#[test]
fn s4_2_2_application_headers_cannot_split_the_answer() {
    for value in ["a\r\nSet-Cookie: b", "a\nb", "a\rb", "a\0", "\x7f"] {
        check_unwritable(&[], None, &[("X-A", value)], HeaderError::Value("X-A".into()));
        assert_eq!(Refusal::new(403).with_header("X-A", value), Err(HeaderError::Value("X-A".into())));
    }
    for name in ["", "X A", "X:", "X\r\nA", "é"] {
        check_unwritable(&[], None, &[("X-B", "b"), (name, "a")], HeaderError::Name(name.into()));
    }
    for name in ["Connection", "upgrade", "Content-Length", "Transfer-Encoding", "sec-websocket-accept"] {
        check_unwritable(&[], None, &[(name, "a")], HeaderError::Reserved(name.into()));
    }
}

/// §4.2.2: "it MUST return an appropriate HTTP error code (e.g., 403 Forbidden)"; "(such as 404 Not Found)".
#[test]
fn s4_2_2_a_refusal_is_whole_http() {
    let mut out = Vec::new();
    Refusal::new(404).with_body("nothing here\n").encode(false, &mut out);
    let head = "HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 13\r\n\
        Content-Type: text/plain; charset=utf-8\r\n\r\n";
    assert_eq!(str::from_utf8(&out), Ok(&*format!("{head}nothing here\n")));
    let mut out = Vec::new();
    Refusal::new(404).with_body("nothing here\n").encode(true, &mut out);
    assert_eq!(str::from_utf8(&out), Ok(head), "HEAD has the length and no body (RFC 9110 §9.3.2)");
    for mistaken in [0, 101, 200, 204, 304, 600] {
        assert_eq!(Refusal::new(mistaken).status(), 500);
    }
}

/// §1.7: the "port [is] shared with" HTTP: what asks for no WebSocket gets an answer, not a hang-up.
#[test]
fn s1_7_plain_http_is_told_from_a_bad_upgrade() {
    for bytes in [
        &b"GET /health?x HTTP/1.1\r\nHost: a\r\n\r\n"[..],
        b"GET /health?x HTTP/1.0\r\n\r\n",
        b"HEAD /health?x HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST /health?x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi",
        b"GET /health?x HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
    ] {
        match parse(bytes, &HeadLimits::default()) {
            Ok(Progress::Plain { request }) => {
                assert_eq!((request.path(), request.query()), ("/health", Some("x")));
                assert_eq!(request.is_head(), bytes.starts_with(b"HEAD"));
            }
            other => panic!("{other:?} for {}", bytes.escape_ascii()),
        }
    }
    check_refused(b"GET / HTTP/1.1\r\n\r\n", HandshakeError::Host, 400);
}
