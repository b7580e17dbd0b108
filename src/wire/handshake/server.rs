//! The server's side (RFC 6455 §4.2): read the request, write the response.

use super::error::HandshakeError;
use super::{Key, accept};
use crate::wire::http::{
    HeadLimits, HeaderError, Headers, Request, check_header, is_host, is_token, push_header,
};

/// How far a request's head has come.
#[derive(Debug, Clone)]
pub enum Progress<'a> {
    /// More bytes are needed: keep these, add to them, ask again.
    Incomplete,
    /// A WebSocket is asked for, rightly. Answer with a [`response`] or a [`Refusal`](crate::wire::http::Refusal).
    Upgrade {
        /// What the client says.
        request: Request<'a>,
        /// For the response.
        key: Key,
        /// Where the head ends; the first frames may follow in the same bytes.
        head_bytes: usize,
    },
    /// HTTP that asks for no WebSocket, and is otherwise sound. Answer with a
    /// [`Refusal`](crate::wire::http::Refusal).
    Plain {
        /// What the client says.
        request: Request<'a>,
    },
}

/// Read a request's head from the front of `bytes`. Looks at no more than the limit, and is stateless: call again with
/// the same bytes and those that came since.
///
/// ```
/// use corewire::wire::handshake::{Progress, parse, response};
/// use corewire::wire::http::HeadLimits;
/// let bytes = b"GET /chat?room=1 HTTP/1.1\r\nHost: example.org\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
///     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n\x81";
/// let Progress::Upgrade { request, key, head_bytes } = parse(bytes, &HeadLimits::default())? else { panic!() };
/// assert_eq!((request.path(), request.query()), ("/chat", Some("room=1")));
/// assert_eq!(bytes[head_bytes..], [0x81], "a frame follows at once");
///
/// let mut out = Vec::new();
/// response(&key, &[], None, &[("server", "mine")], &mut out).unwrap();
/// assert!(out.starts_with(b"HTTP/1.1 101 "));
/// # Ok::<(), corewire::wire::handshake::HandshakeError>(())
/// ```
pub fn parse<'a>(bytes: &'a [u8], limits: &HeadLimits) -> Result<Progress<'a>, HandshakeError> {
    let head = &bytes[..bytes.len().min(limits.head_bytes_max)];
    let mut headers = vec![httparse::EMPTY_HEADER; limits.headers_max];
    let mut parsed = httparse::Request::new(&mut headers);
    let head_bytes = match parsed.parse(head) {
        Ok(httparse::Status::Complete(head_bytes)) => head_bytes,
        Ok(httparse::Status::Partial) if head.len() < limits.head_bytes_max => {
            return Ok(Progress::Incomplete);
        }
        Ok(httparse::Status::Partial) => {
            return Err(HandshakeError::HeadTooLarge { limit_bytes: limits.head_bytes_max });
        }
        Err(error) => return Err(not_http(error, limits)),
    };
    let (method, target) = (parsed.method.unwrap_or_default(), parsed.path.unwrap_or_default());
    let (is_1_1, headers_count) = (parsed.version == Some(1), parsed.headers.len());
    headers.truncate(headers_count);
    let request = Request { method, target, headers: Headers(headers) };

    let headers = &request.headers;
    let hosts = headers.values("host").count();
    if hosts > 1 || (hosts == 0 && is_1_1) || !headers.values("host").all(is_host) {
        return Err(HandshakeError::Host);
    }
    let asks_for_websocket =
        headers.list_has("upgrade", "websocket") || headers.values("sec-websocket-key").next().is_some();
    if !asks_for_websocket {
        return Ok(Progress::Plain { request });
    }
    if !is_1_1 {
        return Err(HandshakeError::HttpVersion);
    }
    let key = check_upgrade(&request)?;
    Ok(Progress::Upgrade { request, key, head_bytes })
}

/// RFC 6455 §4.2.1: "If the server … finds that the client did not send a handshake that matches the description
/// below … the server MUST stop processing the client's handshake".
fn check_upgrade(request: &Request<'_>) -> Result<Key, HandshakeError> {
    let headers = &request.headers;
    if request.method != "GET" {
        return Err(HandshakeError::Method);
    }
    let is_target = match request.authority() {
        Some(authority) => is_host(authority.as_bytes()),
        None => request.target.starts_with('/'),
    };
    if !is_target || request.target.contains('#') {
        return Err(HandshakeError::Target);
    }
    if !headers.list_has("upgrade", "websocket") {
        return Err(HandshakeError::Upgrade);
    }
    if !headers.list_has("connection", "upgrade") {
        return Err(HandshakeError::Connection);
    }
    let has_body = headers.values("content-length").any(|length| length != b"0");
    if has_body || headers.values("transfer-encoding").next().is_some() {
        return Err(HandshakeError::Body);
    }
    let mut versions = headers.values("sec-websocket-version");
    if versions.next() != Some(b"13") {
        return Err(HandshakeError::Version);
    }
    if versions.next().is_some() {
        return Err(HandshakeError::VersionRepeated);
    }
    let mut keys = headers.values("sec-websocket-key");
    let (Some(key), None) = (keys.next(), keys.next()) else { return Err(HandshakeError::Key) };
    let key = str::from_utf8(key).ok().and_then(Key::parse).ok_or(HandshakeError::Key)?;
    if !request.subprotocols().all(is_token) {
        return Err(HandshakeError::Subprotocol);
    }
    Ok(key)
}

fn not_http(error: httparse::Error, limits: &HeadLimits) -> HandshakeError {
    let expected = match error {
        httparse::Error::TooManyHeaders => {
            return HandshakeError::TooManyHeaders { limit: limits.headers_max };
        }
        httparse::Error::Version => return HandshakeError::HttpVersion,
        httparse::Error::HeaderName => "a header's name and a colon",
        httparse::Error::HeaderValue => "a header's value without control characters",
        httparse::Error::NewLine => "a line break",
        httparse::Error::Token => "a method and a target",
        httparse::Error::Status => "a status",
    };
    HandshakeError::NotHttp { expected }
}

/// Append the answer that makes it a WebSocket to `out`; frames may follow at once. The subprotocol must be one that
/// was `offered` ([`Request::subprotocols`]); `extra` headers must not break the head. On an error nothing is written.
pub fn response(
    key: &Key,
    offered: &[&str],
    subprotocol: Option<&str>,
    extra: &[(&str, &str)],
    out: &mut Vec<u8>,
) -> Result<(), HeaderError> {
    if let Some(chosen) = subprotocol
        && !(offered.contains(&chosen) && is_token(chosen))
    {
        return Err(HeaderError::SubprotocolNotOffered(chosen.into()));
    }
    extra.iter().try_for_each(|(name, value)| check_header(name, value))?;
    out.extend_from_slice(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n",
    );
    out.extend_from_slice(b"Sec-WebSocket-Accept: ");
    out.extend_from_slice(&accept(key));
    out.extend_from_slice(b"\r\n");
    if let Some(chosen) = subprotocol {
        push_header("Sec-WebSocket-Protocol", chosen, out);
    }
    for (name, value) in extra {
        push_header(name, value, out);
    }
    out.extend_from_slice(b"\r\n");
    Ok(())
}
