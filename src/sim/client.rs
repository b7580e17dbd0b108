//! Clients: a script of what they do, and a record of what they hear.

use crate::shard::Time;
use crate::sync::Arc;
use crate::wire::Kind;
use std::collections::VecDeque;
use std::time::Duration;

/// A client: what it does, one step after the other. What it hears stands in its [`Report`].
///
/// It answers pings and closes by itself, as long as it reads, and waits for the server to hang up after a close.
///
/// ```
/// use corewire::sim::Client;
/// use std::time::Duration;
///
/// let polite = Client::at("/").text("hello").until_heard(1).close(1000);
/// let rude = Client::at("/").text("hello").wait(Duration::from_millis(5)).reset();
/// let stranger = Client::without_handshake().raw(b"HELO mail.example.org\r\n");
/// ```
#[derive(Debug, Clone)]
pub struct Client {
    pub(super) path: Option<String>,
    pub(super) steps: VecDeque<Step>,
    /// Sends its first frames without waiting for the answer to its request.
    pub(super) eager: bool,
    /// Reads at most so many bytes, and then pauses for up to so long.
    pub(super) slow: Option<(usize, Duration)>,
    pub(super) starts_after: Duration,
    pub(super) expects_echo: bool,
    pub(super) polite: bool,
    /// What it does when its connection is gone.
    pub(super) returns: Option<Returns>,
}

/// A client's way back.
#[derive(Clone)]
pub(super) struct Returns {
    pub(super) times: u32,
    pub(super) pause: Duration,
    pub(super) again: Arc<dyn Fn(&Report) -> Client + Send + Sync>,
}

impl std::fmt::Debug for Returns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Returns").field("times", &self.times).finish_non_exhaustive()
    }
}

/// One thing that a client does.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Message { kind: Kind, bytes: Vec<u8>, fragments: usize },
    Ping(Vec<u8>),
    Raw(Vec<u8>),
    Wait(Duration),
    UntilHeard(usize),
    UntilEnd,
    Reading(bool),
    Close(u16),
    HalfClose,
    Cut,
    Reset,
    Vanish,
}

/// What a client heard, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// A text.
    Text(String),
    /// A binary message.
    Binary(Vec<u8>),
    /// A ping; it was answered.
    Ping(Vec<u8>),
    /// A pong.
    Pong(Vec<u8>),
    /// A close frame: its code, and its reason.
    Close(Option<u16>, String),
    /// Instead of an upgrade: this HTTP status.
    Refused(u16),
    /// The server hung up.
    End,
    /// The connection was reset.
    Reset,
    /// Nobody listens.
    NoServer,
    /// The server broke RFC 6455.
    Nonsense(String),
}

/// What became of a client.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// What it heard.
    pub heard: Vec<Heard>,
    /// The messages that it sent, as it would like to hear them again.
    pub said: Vec<Heard>,
    /// The code with which it closed, if it was the first to do so.
    pub closed: Option<u16>,
    /// The server has accepted the handshake.
    pub opened: bool,
    /// The network cut its connection, or one of them.
    pub cut: bool,
    /// How often it has connected: more than once if it came back.
    pub connections: u32,
    /// When it heard what is in `heard`.
    pub heard_at: Vec<Time>,
}

impl Report {
    /// The messages among what it heard.
    pub fn messages(&self) -> impl Iterator<Item = &Heard> {
        self.heard.iter().filter(|heard| matches!(heard, Heard::Text(_) | Heard::Binary(_)))
    }

    /// The close code that it heard: `None` for no close frame.
    pub fn close_code(&self) -> Option<Option<u16>> {
        self.heard.iter().find_map(|heard| if let Heard::Close(code, _) = heard { Some(*code) } else { None })
    }
}

impl Client {
    /// A client that asks for `path`, and does nothing more than wait for the end.
    pub fn at(path: &str) -> Self {
        Self {
            path: Some(path.into()),
            steps: VecDeque::new(),
            eager: false,
            slow: None,
            starts_after: Duration::ZERO,
            expects_echo: false,
            polite: true,
            returns: None,
        }
    }

    /// A client that does not ask for anything: what it says is up to [`Self::raw`].
    pub fn without_handshake() -> Self {
        Self { path: None, polite: false, ..Self::at("/") }
    }

    /// Connects only after so long.
    #[must_use]
    pub fn later(mut self, delay: Duration) -> Self {
        self.starts_after = delay;
        self
    }

    /// Does not wait for the answer to its handshake.
    #[must_use]
    pub fn eager(mut self) -> Self {
        self.eager = true;
        self
    }

    /// Expects to hear every message again, in order.
    #[must_use]
    pub fn expects_echo(mut self) -> Self {
        self.expects_echo = true;
        self
    }

    /// Reads at most `bytes` at once, and then not for up to `pause`.
    #[must_use]
    pub fn reads_slowly(mut self, bytes: usize, pause: Duration) -> Self {
        self.slow = Some((bytes, pause));
        self
    }

    /// Says a text.
    #[must_use]
    pub fn text(self, text: &str) -> Self {
        self.step(Step::Message { kind: Kind::Text, bytes: text.into(), fragments: 1 })
    }

    /// Says some bytes, in so many fragments.
    #[must_use]
    pub fn binary(self, bytes: impl Into<Vec<u8>>, fragments: usize) -> Self {
        self.step(Step::Message { kind: Kind::Binary, bytes: bytes.into(), fragments })
    }

    /// Pings.
    #[must_use]
    pub fn ping(self, payload: &[u8]) -> Self {
        self.step(Step::Ping(payload.into()))
    }

    /// Sends these bytes as they are.
    #[must_use]
    pub fn raw(self, bytes: &[u8]) -> Self {
        self.step(Step::Raw(bytes.into()))
    }

    /// Does nothing for so long, but reading.
    #[must_use]
    pub fn wait(self, pause: Duration) -> Self {
        self.step(Step::Wait(pause))
    }

    /// Goes on when it has heard so many messages in all.
    #[must_use]
    pub fn until_heard(self, messages: usize) -> Self {
        self.step(Step::UntilHeard(messages))
    }

    /// Reads nothing from here on.
    #[must_use]
    pub fn stop_reading(self) -> Self {
        self.step(Step::Reading(false))
    }

    /// Reads again.
    #[must_use]
    pub fn read_again(self) -> Self {
        self.step(Step::Reading(true))
    }

    /// Closes with this code, and waits for the server's close and for the end.
    #[must_use]
    pub fn close(self, code: u16) -> Self {
        self.step(Step::Close(code)).step(Step::UntilEnd)
    }

    /// Sends no more, without having said close, and waits for the end.
    #[must_use]
    pub fn half_close(self) -> Self {
        self.step(Step::HalfClose).step(Step::UntilEnd).rude()
    }

    /// Resets the connection.
    #[must_use]
    pub fn reset(self) -> Self {
        self.step(Step::Reset).rude()
    }

    /// The network cuts the connection here, at both ends, with what is on its way.
    #[must_use]
    pub fn cut(self) -> Self {
        self.step(Step::Cut)
    }

    /// Whenever its connection ends and it did not say close, it comes back, up to so often: after up to `pause`, as the
    /// client that `again` makes of what it has heard so far, in all its connections.
    ///
    /// ```
    /// use corewire::sim::Client;
    /// use std::time::Duration;
    ///
    /// // Hears three messages, loses its connection, and asks for the rest.
    /// let phone = Client::at("/feed").until_heard(3).cut().comes_back(5, Duration::from_secs(2), |report| {
    ///     let heard = report.messages().count();
    ///     Client::at("/feed").text(&format!("since {heard}")).until_heard(10).close(1000)
    /// });
    /// ```
    #[must_use]
    pub fn comes_back(
        mut self,
        times: u32,
        pause: Duration,
        again: impl Fn(&Report) -> Self + Send + Sync + 'static,
    ) -> Self {
        self.returns = Some(Returns { times, pause, again: Arc::new(again) });
        self
    }

    /// Is never heard of again: nothing is sent or read any more, and nothing ends.
    #[must_use]
    pub fn vanish(self) -> Self {
        self.step(Step::Vanish).rude()
    }

    pub(super) fn step(mut self, step: Step) -> Self {
        self.steps.push_back(step);
        self
    }

    pub(super) fn rude(mut self) -> Self {
        self.polite = false;
        self
    }
}
