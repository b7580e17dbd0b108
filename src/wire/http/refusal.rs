//! An answer that is not an upgrade (RFC 9112 §4).

use std::borrow::Cow;

use super::{HeaderError, check_header, push_header};

/// An answer that is not an upgrade: a short text, after which the connection is closed.
///
/// ```
/// use corewire::wire::http::Refusal;
/// let refusal = Refusal::new(403).with_body("not from there\n").with_header("x-why", "origin")?;
/// let mut out = Vec::new();
/// refusal.encode(false, &mut out);
/// let text = String::from_utf8(out).unwrap();
/// assert!(text.starts_with("HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 15\r\n"));
/// assert!(text.ends_with("x-why: origin\r\n\r\nnot from there\n"));
/// assert!(Refusal::new(403).with_header("x-why", "a\r\nset-cookie: mine").is_err());
/// # Ok::<(), corewire::wire::http::HeaderError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    status: u16,
    headers: Vec<(Cow<'static, str>, Cow<'static, str>)>,
    body: Cow<'static, str>,
}

impl Refusal {
    /// A refusal with the status's usual words as its body. A status that refuses nothing, or that must have no body
    /// (not 300–599, or 304), is a mistake of the caller's: the answer is 500.
    pub fn new(status: u16) -> Self {
        let status = if matches!(status, 300..=599) && status != 304 { status } else { 500 };
        Self { status, headers: Vec::new(), body: format!("{}\n", reason(status)).into() }
    }

    /// 426: what is here speaks WebSocket, version 13 (RFC 6455 §4.4, RFC 9110 §15.5.22).
    pub fn upgrade_required() -> Self {
        let mut refusal = Self::new(426);
        refusal.headers.push(("Upgrade".into(), "websocket".into()));
        refusal.headers.push(("Sec-WebSocket-Version".into(), "13".into()));
        refusal
    }

    /// 405: a WebSocket is asked for by GET (RFC 9110 §15.5.6 wants the methods listed).
    pub(in crate::wire) fn method_not_allowed() -> Self {
        let mut refusal = Self::new(405);
        refusal.headers.push(("Allow".into(), "GET".into()));
        refusal
    }

    /// 405: a page can be read, and no more.
    pub(super) fn page_is_read_only() -> Self {
        let mut refusal = Self::new(405);
        refusal.headers.push(("Allow".into(), "GET, HEAD".into()));
        refusal
    }

    /// Say more.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Cow<'static, str>>) -> Self {
        self.body = body.into();
        self
    }

    /// Add a header.
    pub fn with_header(
        mut self,
        name: impl Into<Cow<'static, str>>,
        value: impl Into<Cow<'static, str>>,
    ) -> Result<Self, HeaderError> {
        let (name, value) = (name.into(), value.into());
        check_header(&name, &value)?;
        self.headers.push((name, value));
        Ok(self)
    }

    /// The status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The text below the head.
    pub fn body(&self) -> &str {
        &self.body
    }

    /// Append the answer to `out`; `head_only` for a `HEAD` request.
    pub fn encode(&self, head_only: bool, out: &mut Vec<u8>) {
        let Self { status, headers, body } = self;
        out.extend_from_slice(format!("HTTP/1.1 {status} {}\r\n", reason(*status)).as_bytes());
        let upgrades = headers.iter().any(|(name, _)| name == "Upgrade");
        push_header("Connection", if upgrades { "upgrade, close" } else { "close" }, out);
        push_header("Content-Length", &body.len().to_string(), out);
        push_header("Content-Type", "text/plain; charset=utf-8", out);
        for (name, value) in headers {
            push_header(name, value, out);
        }
        out.extend_from_slice(b"\r\n");
        if !head_only {
            out.extend_from_slice(body.as_bytes());
        }
    }
}

/// The usual words for a status (RFC 9110 §15); its class's for one that is not in the list.
fn reason(status: u16) -> &'static str {
    match status {
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        413 => "Content Too Large",
        421 => "Misdirected Request",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        500 => "Internal Server Error",
        _ if status < 400 => "Redirect",
        _ if status < 500 => "Client Error",
        _ => "Server Error",
    }
}
