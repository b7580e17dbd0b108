//! The client's side (RFC 6455 §4.1), for tests and tools: write the request, check the response.

use std::fmt;

use super::{Key, accept};
use crate::wire::http::{HeadLimits, HeaderError, Headers, check_header, is_host, is_token, push_header};

/// Append a request for a WebSocket to `out`. `target` is a path with or without a query; `key` must be new for every
/// connection. On an error nothing is written.
///
/// ```
/// use corewire::wire::handshake::{Answer, Key, check_response, request, response};
/// use corewire::wire::http::HeadLimits;
/// let key = Key::from_nonce([7; 16]); // random in earnest
/// let mut out = Vec::new();
/// request("example.org", "/chat", &key, &["chat.v2"], &[], &mut out)?;
///
/// let mut answer = Vec::new(); // what the server says to that
/// response(&key, &["chat.v2"], Some("chat.v2"), &[], &mut answer)?;
/// let checked = check_response(&answer, &key, &["chat.v2"], &HeadLimits::default());
/// assert_eq!(checked, Ok(Answer::Open { subprotocol: Some("chat.v2"), head_bytes: answer.len() }));
/// # Ok::<(), corewire::wire::http::HeaderError>(())
/// ```
pub fn request(
    host: &str,
    target: &str,
    key: &Key,
    subprotocols: &[&str],
    extra: &[(&str, &str)],
    out: &mut Vec<u8>,
) -> Result<(), HeaderError> {
    if !is_host(host.as_bytes()) {
        return Err(HeaderError::Value("host".into()));
    }
    if !target.starts_with('/') || !target.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
        return Err(HeaderError::Value("target".into()));
    }
    if let Some(name) = subprotocols.iter().find(|name| !is_token(name)) {
        return Err(HeaderError::Name((*name).into()));
    }
    if let Some((name, _)) = extra.iter().find(|(name, _)| name.eq_ignore_ascii_case("host")) {
        return Err(HeaderError::Reserved((*name).into()));
    }
    extra.iter().try_for_each(|(name, value)| check_header(name, value))?;
    out.extend_from_slice(format!("GET {target} HTTP/1.1\r\n").as_bytes());
    push_header("Host", host, out);
    push_header("Upgrade", "websocket", out);
    push_header("Connection", "Upgrade", out);
    out.extend_from_slice(b"Sec-WebSocket-Key: ");
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(b"\r\n");
    push_header("Sec-WebSocket-Version", "13", out);
    if !subprotocols.is_empty() {
        push_header("Sec-WebSocket-Protocol", &subprotocols.join(", "), out);
    }
    for (name, value) in extra {
        push_header(name, value, out);
    }
    out.extend_from_slice(b"\r\n");
    Ok(())
}

/// How far the server's answer has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer<'a> {
    /// More bytes are needed.
    Incomplete,
    /// The connection is open.
    Open {
        /// What the server has chosen of the subprotocols that were offered.
        subprotocol: Option<&'a str>,
        /// Where the head ends; the first frames may follow in the same bytes.
        head_bytes: usize,
    },
}

/// Why an answer opens no connection.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerError {
    /// Not an HTTP/1.1 response.
    NotHttp,
    /// The head is longer, or has more lines, than we take.
    HeadTooLarge,
    /// A status other than 101: refused, or sent elsewhere.
    Status(u16),
    /// `Upgrade` does not say `websocket`.
    Upgrade,
    /// `Connection` does not say `Upgrade`.
    Connection,
    /// `Sec-WebSocket-Accept` does not prove that the server has read our key.
    Accept,
    /// A subprotocol that we did not offer, or several.
    Subprotocol,
    /// An extension, where we offer none.
    Extension,
}

impl fmt::Display for AnswerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotHttp => "not an HTTP/1.1 response: is it a WebSocket server?",
            Self::HeadTooLarge => "response head beyond the limit: raise the limit, or send less",
            Self::Status(status) => return write!(f, "status {status} where 101 was expected"),
            Self::Upgrade => "the response has no Upgrade header that says websocket",
            Self::Connection => "the response has no Connection header that says Upgrade",
            Self::Accept => "Sec-WebSocket-Accept does not match the key: is there a proxy between?",
            Self::Subprotocol => "the server chose a subprotocol that was not offered",
            Self::Extension => "the server chose an extension that was not offered",
        })
    }
}

impl std::error::Error for AnswerError {}

/// Check the server's answer at the front of `bytes` against what was asked; stateless, as
/// [`parse`](super::parse).
pub fn check_response<'a>(
    bytes: &'a [u8],
    key: &Key,
    offered: &[&str],
    limits: &HeadLimits,
) -> Result<Answer<'a>, AnswerError> {
    let head = &bytes[..bytes.len().min(limits.head_bytes_max)];
    let mut headers = vec![httparse::EMPTY_HEADER; limits.headers_max];
    let mut parsed = httparse::Response::new(&mut headers);
    let head_bytes = match parsed.parse(head) {
        Ok(httparse::Status::Complete(head_bytes)) => head_bytes,
        Ok(httparse::Status::Partial) if head.len() < limits.head_bytes_max => {
            return Ok(Answer::Incomplete);
        }
        Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => {
            return Err(AnswerError::HeadTooLarge);
        }
        Err(_) => return Err(AnswerError::NotHttp),
    };
    let (version, status, headers_count) = (parsed.version, parsed.code, parsed.headers.len());
    headers.truncate(headers_count);
    let headers = Headers(headers);
    if version != Some(1) {
        return Err(AnswerError::NotHttp);
    }
    if status != Some(101) {
        return Err(AnswerError::Status(status.unwrap_or_default()));
    }
    if !headers.list_has("upgrade", "websocket") {
        return Err(AnswerError::Upgrade);
    }
    if !headers.list_has("connection", "upgrade") {
        return Err(AnswerError::Connection);
    }
    let mut accepts = headers.values("sec-websocket-accept");
    if accepts.next() != Some(&accept(key)) || accepts.next().is_some() {
        return Err(AnswerError::Accept);
    }
    if headers.list("sec-websocket-extensions").next().is_some() {
        return Err(AnswerError::Extension);
    }
    let mut chosen = headers.list("sec-websocket-protocol");
    let subprotocol = chosen.next();
    if subprotocol.is_some_and(|name| !offered.contains(&name)) || chosen.next().is_some() {
        return Err(AnswerError::Subprotocol);
    }
    Ok(Answer::Open { subprotocol, head_bytes })
}
