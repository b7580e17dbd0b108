//! A request's head, as a view of the bytes it came in.

/// What a client asks for. From [`handshake::parse`](crate::wire::handshake::parse).
///
/// ```
/// use corewire::wire::handshake::{Progress, parse};
/// use corewire::wire::http::HeadLimits;
/// let bytes = b"GET /a/b?c=d HTTP/1.1\r\nHost: example.org\r\nAccept: text/html, text/*\r\n\r\n";
/// let Progress::Plain { request } = parse(bytes, &HeadLimits::default())? else { panic!() };
/// assert_eq!((request.method(), request.target()), ("GET", "/a/b?c=d"));
/// assert_eq!((request.path(), request.query()), ("/a/b", Some("c=d")));
/// assert_eq!((request.host(), request.origin()), (Some("example.org"), None));
/// assert_eq!(request.header("accept"), Some("text/html, text/*"));
/// assert!(request.list("Accept").eq(["text/html", "text/*"]));
/// assert_eq!(request.headers().count(), 2);
/// assert!(request.subprotocols().chain(request.extensions()).next().is_none() && !request.is_head());
/// # Ok::<(), corewire::wire::handshake::HandshakeError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Request<'a> {
    pub(in crate::wire) method: &'a str,
    pub(in crate::wire) target: &'a str,
    pub(in crate::wire) headers: Headers<'a>,
}

impl<'a> Request<'a> {
    /// `GET`, and as it came: methods have case.
    pub fn method(&self) -> &'a str {
        self.method
    }

    /// What is asked for, as it came: usually path and query.
    pub fn target(&self) -> &'a str {
        self.target
    }

    /// The target without its query; not percent-decoded.
    pub fn path(&self) -> &'a str {
        let path = self.origin_form();
        let path = path.split_once('?').map_or(path, |(path, _)| path);
        if path.is_empty() { "/" } else { path }
    }

    /// What follows the target's `?`; not percent-decoded.
    pub fn query(&self) -> Option<&'a str> {
        self.origin_form().split_once('?').map(|(_, query)| query)
    }

    /// Every header line, in order; names have no case.
    pub fn headers(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        self.headers.0.iter().map(|header| (header.name, header.value))
    }

    /// The first line of this name, if its value is UTF-8.
    pub fn header(&self, name: &str) -> Option<&'a str> {
        self.headers.values(name).next().and_then(|value| str::from_utf8(value).ok())
    }

    /// Every element of a list, such as `a, b`, of every line of this name.
    pub fn list(&self, name: &str) -> impl Iterator<Item = &'a str> {
        self.headers.list(name)
    }

    /// Whom the client wants to reach, with the port if it is not the usual one. An absolute target goes before the
    /// header (RFC 9112 §3.2.2).
    pub fn host(&self) -> Option<&'a str> {
        self.authority().or_else(|| self.header("host"))
    }

    /// The page that opened the connection; programs that are not browsers send none (RFC 6455 §10.2).
    pub fn origin(&self) -> Option<&'a str> {
        self.header("origin")
    }

    /// The subprotocols that the client offers, the one it likes best first (RFC 6455 §1.9).
    pub fn subprotocols(&self) -> impl Iterator<Item = &'a str> {
        self.list("sec-websocket-protocol")
    }

    /// The extensions that the client offers, each with its parameters (RFC 6455 §9.1).
    pub fn extensions(&self) -> impl Iterator<Item = &'a str> {
        self.list("sec-websocket-extensions")
    }

    /// An answer to it must have no body.
    pub fn is_head(&self) -> bool {
        self.method == "HEAD"
    }

    /// What follows `http://` in an absolute target.
    fn after_scheme(&self) -> Option<&'a str> {
        let (scheme, rest) = self.target.split_once("://")?;
        ["http", "https", "ws", "wss"].iter().any(|s| scheme.eq_ignore_ascii_case(s)).then_some(rest)
    }

    /// Whom an absolute target names.
    pub(in crate::wire) fn authority(&self) -> Option<&'a str> {
        self.after_scheme().map(|rest| &rest[..rest.find(['/', '?']).unwrap_or(rest.len())])
    }

    fn origin_form(&self) -> &'a str {
        self.after_scheme().map_or(self.target, |rest| &rest[rest.find(['/', '?']).unwrap_or(rest.len())..])
    }
}

/// The header lines of a head.
#[derive(Debug, Clone)]
pub(in crate::wire) struct Headers<'a>(pub(in crate::wire) Vec<httparse::Header<'a>>);

impl<'a> Headers<'a> {
    /// The value of every line of this name.
    pub(in crate::wire) fn values(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.0.iter().filter(move |header| header.name.eq_ignore_ascii_case(name)).map(|header| header.value)
    }

    /// Every element of a list of every line of this name; empty ones are skipped (RFC 9110 §5.6.1). One that is not
    /// UTF-8 is given as a replacement character, which matches nothing.
    pub(in crate::wire) fn list(&self, name: &str) -> impl Iterator<Item = &'a str> {
        let elements = self.values(name).flat_map(|value| value.split(|byte| *byte == b','));
        elements
            .map(|element| str::from_utf8(element).unwrap_or("\u{FFFD}").trim_matches([' ', '\t']))
            .filter(|element| !element.is_empty())
    }

    pub(in crate::wire) fn list_has(&self, name: &str, element: &str) -> bool {
        self.list(name).any(|found| found.eq_ignore_ascii_case(element))
    }
}
