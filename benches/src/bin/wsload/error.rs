//! What ends a run early, and whose fault it is.

use std::fmt;
use std::io;

/// Why there is no report.
#[derive(Debug)]
pub(crate) enum Error {
    /// What was asked for makes no sense.
    Flags(String),
    /// This machine, or this process, cannot do what was asked for.
    Machine(String),
    /// A connection could not be opened.
    Opening { connection: usize, open: usize, why: String },
    /// The server did on an open connection what it must not do.
    Server { connection: usize, fault: Fault },
    /// The server does not do what the mode is about.
    Contract(String),
}

impl Error {
    /// 1: the server's fault. 2: the flags'. 3: this machine's.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Opening { .. } | Self::Server { .. } | Self::Contract(_) => 1,
            Self::Flags(_) => 2,
            Self::Machine(_) => 3,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flags(what) => write!(f, "flags: {what}"),
            Self::Machine(what) => write!(f, "this machine: {what}"),
            Self::Opening { connection, open, why } => {
                write!(
                    f,
                    "server: connection {connection} could not be opened: {why} ({open} were open then)"
                )
            }
            Self::Contract(what) => write!(f, "server: {what}"),
            Self::Server { connection, fault } => write!(f, "server: connection {connection}: {fault}"),
        }
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Machine(error.to_string())
    }
}

/// What a server did wrong on one connection. Messages are counted from 1, bytes from 0.
#[derive(Debug)]
pub(crate) enum Fault {
    /// It said goodbye.
    Closed { code: Option<u16>, reason: String },
    /// It closed TCP without a word.
    HungUp,
    /// The connection broke.
    Broken(io::Error),
    /// A message is not what was sent.
    Differs { message: u64, byte: usize, sent: u8, came: u8 },
    /// In place of a message, one came that is sent `ahead` messages after it, by this connection or another.
    Skipped { message: u64, ahead: u64 },
    /// In place of a message, one came that had come before, or is another connection's.
    Repeated { message: u64 },
    /// A message's frame is not what it should be.
    Frame { message: u64, why: String },
    /// More messages than were asked for.
    Unasked { message: u64 },
    /// Fewer messages than were asked for, though there was time.
    Unanswered { messages: u64, seconds: f64 },
}

impl Fault {
    /// A close frame with this payload has come.
    pub(crate) fn closed(payload: &[u8]) -> Self {
        let (code, reason) = payload
            .split_first_chunk()
            .map_or((None, &[][..]), |(code, reason)| (Some(u16::from_be_bytes(*code)), reason));
        Self::Closed { code, reason: String::from_utf8_lossy(reason).into() }
    }

    pub(crate) fn frame(message: u64, why: impl Into<String>) -> Self {
        Self::Frame { message, why: why.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed { code: Some(code), reason } if reason.is_empty() => {
                write!(f, "the server closed it with code {code}")
            }
            Self::Closed { code: Some(code), reason } => {
                write!(f, "the server closed it with code {code}: {reason}")
            }
            Self::Closed { code: None, .. } => write!(f, "the server closed it without a code"),
            Self::HungUp => write!(f, "the server closed TCP without a close frame"),
            Self::Broken(error) => write!(f, "it broke: {error}"),
            Self::Differs { message, byte, sent, came } => write!(
                f,
                "message {message} differs at byte {byte} of its payload: {sent:#04x} was sent, {came:#04x} came"
            ),
            Self::Skipped { message, ahead: 1 } => {
                write!(
                    f,
                    "message {message} is missing: the one after it, or another connection's, came in its place"
                )
            }
            Self::Skipped { message, ahead } => {
                let last = message + ahead - 1;
                let instead = "the one after them, or another connection's, came in their place";
                write!(f, "messages {message} to {last} are missing: {instead}")
            }
            Self::Repeated { message } => {
                write!(
                    f,
                    "in place of message {message}, one came that had come before, or another connection's"
                )
            }
            Self::Frame { message, why } => write!(f, "message {message}: {why}"),
            Self::Unasked { message } => write!(f, "message {message} came, though it was not sent"),
            Self::Unanswered { messages, seconds } => {
                write!(f, "{messages} messages did not come back within {seconds} s")
            }
        }
    }
}
