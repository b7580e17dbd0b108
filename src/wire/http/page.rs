//! A page: an answer that is always the same (RFC 9110 §15.3.1).

use super::{HeaderError, Refusal, Request, check_header, push_header};
use std::borrow::Cow;

/// What is answered to GET and HEAD, whoever asks, after which the connection is closed: a page, a script, a picture.
///
/// ```
/// use corewire::wire::handshake::{Progress, parse};
/// use corewire::wire::http::{HeadLimits, Page};
/// let page = Page::new("text/html; charset=utf-8", "<!doctype html><title>hello</title>".as_bytes())?;
/// let answer = |method: &str| {
///     let head = format!("{method} / HTTP/1.1\r\nHost: localhost\r\n\r\n");
///     let Ok(Progress::Plain { request }) = parse(head.as_bytes(), &HeadLimits::default()) else { panic!() };
///     let mut out = Vec::new();
///     page.answer(&request, &mut out);
///     String::from_utf8(out).unwrap()
/// };
/// assert!(answer("GET").starts_with("HTTP/1.1 200 OK\r\n"));
/// assert!(answer("GET").ends_with("\r\n\r\n<!doctype html><title>hello</title>"));
/// assert!(answer("HEAD").contains("\r\nContent-Length: 35\r\n") && answer("HEAD").ends_with("\r\n\r\n"));
/// assert!(answer("POST").starts_with("HTTP/1.1 405 "));
/// # Ok::<(), corewire::wire::http::HeaderError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    content_type: Cow<'static, str>,
    body: Cow<'static, [u8]>,
}

impl Page {
    /// A page of this type, with these bytes.
    ///
    /// # Errors
    /// The type has a control character in it, which would end its header.
    pub fn new(
        content_type: impl Into<Cow<'static, str>>,
        body: impl Into<Cow<'static, [u8]>>,
    ) -> Result<Self, HeaderError> {
        let content_type = content_type.into();
        check_header("Content-Type", &content_type)?;
        Ok(Self { content_type, body: body.into() })
    }

    /// Append the answer to this request to `out`: 405 if it is neither GET nor HEAD (RFC 9110 §15.5.6).
    pub fn answer(&self, request: &Request<'_>, out: &mut Vec<u8>) {
        if !matches!(request.method(), "GET" | "HEAD") {
            return Refusal::page_is_read_only().encode(false, out);
        }
        out.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
        push_header("Connection", "close", out);
        push_header("Content-Length", &self.body.len().to_string(), out);
        push_header("Content-Type", &self.content_type, out);
        push_header("X-Content-Type-Options", "nosniff", out); // it is what we say it is
        out.extend_from_slice(b"\r\n");
        if !request.is_head() {
            out.extend_from_slice(&self.body);
        }
    }
}
