//! Clients: a script of what they do, and a record of what they hear.

use super::fault::{Fault, Faults};
use super::net::{End, Net, Way};
use crate::shard::Time;
use crate::wire::close::{self, CloseCode};
use crate::wire::frame::{self, Header, Opcode, Rsv};
use crate::wire::handshake::{self, Answer, AnswerError, Key};
use crate::wire::http::HeadLimits;
use crate::wire::{Event, Kind, Limits, Machine, Role};
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
    path: Option<String>,
    steps: VecDeque<Step>,
    /// Sends its first frames without waiting for the answer to its request.
    eager: bool,
    /// Reads at most so many bytes, and then pauses for up to so long.
    slow: Option<(usize, Duration)>,
    starts_after: Duration,
    pub(super) expects_echo: bool,
    pub(super) polite: bool,
}

#[derive(Debug, Clone)]
enum Step {
    Message { kind: Kind, bytes: Vec<u8>, fragments: usize },
    Ping(Vec<u8>),
    Raw(Vec<u8>),
    Wait(Duration),
    UntilHeard(usize),
    UntilEnd,
    Reading(bool),
    Close(u16),
    HalfClose,
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
    /// The network cut its connection.
    pub cut: bool,
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

    /// Is never heard of again: nothing is sent or read any more, and nothing ends.
    #[must_use]
    pub fn vanish(self) -> Self {
        self.step(Step::Vanish).rude()
    }

    fn step(mut self, step: Step) -> Self {
        self.steps.push_back(step);
        self
    }

    fn rude(mut self) -> Self {
        self.polite = false;
        self
    }

    /// Some client that expects an echo, as good or bad as `faults` say.
    pub(super) fn some(rng: &mut fastrand::Rng, faults: &Faults) -> Self {
        let mut deals = |fault: Fault| rng.f64() < faults.rate(fault);
        let (rude, stalled, slow) =
            (deals(Fault::RudeClient), deals(Fault::StalledClient), deals(Fault::SlowClient));
        let mut client = Self::at("/").expects_echo().later(Duration::from_micros(rng.u64(0..20_000)));
        client.eager = rng.u8(0..4) == 0;
        if slow {
            client = client.reads_slowly(rng.usize(1..2000), Duration::from_millis(rng.u64(1..20)));
        }
        if rude && rng.u8(0..4) == 0 {
            return Self::stranger(rng);
        }
        // Most are small; a few make a turn's work.
        let large =
            if slow { 3_000 } else { rng.choice([1_000, 3_000, 70_000, 300_000]).expect("there are some") };
        let window = rng.usize(1..20);
        let messages = rng.usize(0..30);
        let stalls_at = stalled.then(|| rng.usize(0..=messages));
        for said in 0..messages {
            if said >= window {
                client = client.until_heard(said + 1 - window);
            }
            if stalls_at == Some(said) {
                client = client.stop_reading();
            }
            client = client.some_message(rng, large);
            match rng.u8(0..20) {
                0 => client = client.ping(&vec![b'p'; rng.usize(0..=125)]),
                1 => client = client.wait(Duration::from_millis(rng.u64(0..100))),
                _ => {}
            }
            if stalls_at == Some(said) {
                client = client.wait(Duration::from_millis(rng.u64(0..3000))).read_again();
            }
        }
        if rude { client.some_end(rng) } else { client.close(1000) }
    }

    fn some_message(self, rng: &mut fastrand::Rng, large: usize) -> Self {
        let length = match rng.u8(0..10) {
            0 => rng.choice([0, 1, 125, 126, 127, 512, 513]).expect("there are some"),
            1..=6 => rng.usize(0..200),
            7 | 8 => rng.usize(0..2_000),
            _ => rng.usize(0..large),
        };
        let fragments = if rng.u8(0..5) == 0 { rng.usize(2..6) } else { 1 };
        let kind = if rng.bool() { Kind::Text } else { Kind::Binary };
        let first = rng.u8(..);
        let bytes = (0..length).map(|at| match kind {
            Kind::Text => b'a' + (first.wrapping_add(at as u8)) % 26,
            Kind::Binary => first.wrapping_add((at / 7) as u8),
        });
        let bytes = bytes.collect();
        self.step(Step::Message { kind, bytes, fragments })
    }

    fn some_end(self, rng: &mut fastrand::Rng) -> Self {
        let cut_off = |rng: &mut fastrand::Rng| {
            let mut bytes = Vec::new();
            frame::append(Opcode::Binary, Some([1, 2, 3, 4]), &[7; 3000], &mut bytes);
            bytes.truncate(rng.usize(1..bytes.len()));
            bytes
        };
        match rng.u8(0..7) {
            0 => self.reset(),
            1 => self.half_close(),
            2 => self.vanish(),
            3 => self.raw(&cut_off(rng)).reset(),
            4 => self.raw(&cut_off(rng)).half_close(),
            5 => self.raw(b"\x81\x02hi").rude(), // not masked
            _ => self.raw(&[0xff; 20]).rude(),
        }
    }

    fn stranger(rng: &mut fastrand::Rng) -> Self {
        let client = Self::without_handshake();
        match rng.u8(0..5) {
            0 => client.raw(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
            1 => client.raw(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
            2 => client.raw(&[b'a'; 20_000]),
            3 => client.raw(b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n").half_close(),
            _ => client.raw(b"GET / HT"), // and nothing more
        }
    }
}

/// A client that lives.
#[derive(Debug)]
pub(super) struct Living {
    pub(super) script: Client,
    pub(super) report: Report,
    pub(super) id: Option<usize>,
    pub(super) done: bool,
    vanished: bool,
    key: Key,
    machine: Machine,
    state: State,
    head: Vec<u8>,
    message: Vec<u8>,
    to_send: VecDeque<u8>,
    reading: bool,
    step_at: Time,
    read_at: Time,
    close_said: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Idle,
    Head,
    Open,
}

impl Living {
    pub(super) fn new(script: Client, rng: &mut fastrand::Rng, now: Time) -> Self {
        let mut nonce = [0; 16];
        rng.fill(&mut nonce);
        Self {
            step_at: now + script.starts_after,
            report: Report::default(),
            id: None,
            done: false,
            vanished: false,
            key: Key::from_nonce(nonce),
            machine: Machine::new(Role::Client),
            state: State::Idle,
            head: Vec::new(),
            message: Vec::new(),
            to_send: VecDeque::new(),
            reading: true,
            read_at: now,
            close_said: false,
            script,
        }
    }

    fn can_read(&self, net: &Net) -> bool {
        let Some(id) = self.id else { return false };
        let down = &net.connections[id].down;
        // A reset shows even to one that does not read.
        down.is_readable() && self.reading || down.end == Some(End::Reset)
    }

    fn can_write(&self, net: &Net) -> bool {
        self.id.is_some_and(|id| {
            !self.to_send.is_empty() && (net.connections[id].up.room() > 0 || net.is_broken(id, Way::Up))
        })
    }

    fn can_step(&self) -> bool {
        let may = match self.state {
            State::Idle => true,
            State::Head => self.script.eager || self.script.path.is_none(),
            State::Open => true,
        };
        may && match (self.state, self.script.steps.front()) {
            (State::Idle, _) => true,
            (_, Some(Step::UntilHeard(messages))) => self.report.messages().count() >= *messages,
            (_, Some(Step::UntilEnd) | None) => false,
            // Not before what was said; but who waits or reads does so while the server does not listen.
            (_, Some(Step::HalfClose | Step::Reset | Step::Vanish)) => self.to_send.is_empty(),
            (_, Some(_)) => true,
        }
    }

    /// When it can do something, if nothing comes: `None` for never.
    pub(super) fn due(&self, net: &Net) -> Option<Time> {
        if self.done {
            return None;
        }
        let read = self.can_read(net).then_some(self.read_at);
        let write = self.can_write(net).then_some(net.now);
        let step = self.can_step().then_some(self.step_at);
        [read, write, step].into_iter().flatten().min()
    }

    /// Does one thing that it can.
    pub(super) fn act(&mut self, net: &mut Net) {
        let now = net.now;
        let can = [
            self.can_read(net) && self.read_at <= now,
            self.can_write(net),
            self.can_step() && self.step_at <= now,
        ];
        let can: Vec<usize> = (0..3).filter(|&what| can[what]).collect();
        match net.rng.choice(can) {
            Some(0) => self.read(net),
            Some(1) => self.write(net),
            Some(_) => self.take_step(net),
            None => {}
        }
        if let Some(id) = self.id {
            self.report.cut = net.connections[id].cut;
        }
    }

    fn hear(&mut self, heard: Heard, now: Time) {
        self.report.heard.push(heard);
        self.report.heard_at.push(now);
    }

    fn end(&mut self, heard: Heard, net: &mut Net) {
        self.hear(heard, net.now);
        self.done = true;
        if let Some(id) = self.id {
            net.client_closes(id, false);
        }
    }

    fn connect(&mut self, net: &mut Net) {
        self.state = State::Head;
        self.id = net.connect();
        if self.id.is_none() {
            return self.end(Heard::NoServer, net);
        }
        let Some(path) = &self.script.path else { return };
        let mut head = Vec::new();
        handshake::request("sim", path, &self.key, &[], &[], &mut head).expect("a script's path is a path");
        self.to_send.extend(head);
    }

    fn write(&mut self, net: &mut Net) {
        let Some(id) = self.id else { return };
        if net.is_broken(id, Way::Up) {
            self.to_send.clear(); // shows when reading
            return;
        }
        let bytes = self.to_send.make_contiguous();
        let taken = net.write(id, Way::Up, bytes);
        self.to_send.drain(..taken);
    }

    fn take_step(&mut self, net: &mut Net) {
        if self.state == State::Idle {
            return self.connect(net);
        }
        let (Some(step), Some(id)) = (self.script.steps.pop_front(), self.id) else { return };
        let key = Some(net.rng.u32(..).to_ne_bytes());
        let mut bytes = Vec::new();
        match step {
            _ if self.close_said => {} // nothing may follow a close
            Step::Message { kind, bytes: payload, fragments } => {
                let mut rest = &payload[..];
                for part in 0..fragments {
                    let last = part + 1 == fragments;
                    let (now, next) =
                        rest.split_at(if last { rest.len() } else { net.rng.usize(0..=rest.len()) });
                    rest = next;
                    append_fragment(kind, part == 0, last, key, now, &mut bytes);
                }
                self.report.said.push(heard_message(kind, payload));
            }
            Step::Ping(payload) => frame::append(Opcode::Ping, key, &payload, &mut bytes),
            Step::Raw(raw) => bytes = raw,
            Step::Wait(pause) => self.step_at = net.now + pause,
            Step::UntilHeard(_) | Step::UntilEnd => {}
            Step::Reading(reading) => self.reading = reading,
            Step::Close(code) => {
                self.report.closed = Some(code);
                self.close_said = true;
                self.machine.set_close_sent();
                close::encode(CloseCode::new(code), "", key, &mut bytes);
            }
            Step::HalfClose => net.finish(id, Way::Up),
            Step::Reset => {
                self.done = true;
                net.client_closes(id, true);
            }
            Step::Vanish => {
                self.done = true;
                self.vanished = true;
            }
        }
        self.to_send.extend(bytes);
    }

    fn read(&mut self, net: &mut Net) {
        let Some(id) = self.id else { return };
        let down = &mut net.connections[id].down;
        if down.arrived.is_empty() || !self.reading {
            match down.end {
                Some(End::Reset) => self.end(Heard::Reset, net),
                Some(End::Fin) => self.end(Heard::End, net),
                None => {}
            }
            return;
        }
        let most = self.script.slow.map_or(usize::MAX, |(bytes, _)| bytes).min(down.arrived.len());
        let bytes: Vec<u8> = down.arrived.drain(..most).collect();
        if let Some((_, pause)) = self.script.slow {
            self.read_at = net.now + Duration::from_micros(net.rng.u64(1..=pause.as_micros() as u64));
        }
        if self.state == State::Open { self.frames(bytes, net) } else { self.answer(bytes, net) }
    }

    /// Bytes of the answer to the handshake.
    fn answer(&mut self, bytes: Vec<u8>, net: &mut Net) {
        self.head.extend(bytes);
        match handshake::check_response(&self.head, &self.key, &[], &HeadLimits::default()) {
            Ok(Answer::Incomplete) => {}
            Ok(Answer::Open { head_bytes, .. }) => {
                self.state = State::Open;
                self.report.opened = true;
                let rest = self.head.split_off(head_bytes);
                self.frames(rest, net);
            }
            Err(AnswerError::Status(status)) => {
                if !self.report.heard.contains(&Heard::Refused(status)) {
                    self.hear(Heard::Refused(status), net.now);
                }
                self.script.steps.clear();
            }
            Err(error) => self.end(Heard::Nonsense(error.to_string()), net),
        }
    }

    fn frames(&mut self, mut bytes: Vec<u8>, net: &mut Net) {
        let mut bytes = &mut bytes[..];
        while !bytes.is_empty() {
            let step = match self.machine.decode(bytes, &Limits::default()) {
                Ok(step) => step,
                Err(error) => return self.end(Heard::Nonsense(error.to_string()), net),
            };
            let key = Some(net.rng.u32(..).to_ne_bytes());
            let mut answer = Vec::new();
            match step.event {
                Some(Event::Message { kind, payload, .. }) => {
                    self.hear(heard_message(kind, bytes[payload].to_vec()), net.now);
                }
                Some(Event::Part { kind, payload, last, .. }) => {
                    self.message.extend_from_slice(&bytes[payload]);
                    if last {
                        let message = std::mem::take(&mut self.message);
                        self.hear(heard_message(kind, message), net.now);
                    }
                }
                Some(Event::Ping(payload)) => {
                    let payload = self.machine.control(&payload, bytes).to_vec();
                    if !self.close_said {
                        frame::append(Opcode::Pong, key, &payload, &mut answer);
                    }
                    self.hear(Heard::Ping(payload), net.now);
                }
                Some(Event::Pong(payload)) => {
                    let payload = self.machine.control(&payload, bytes).to_vec();
                    self.hear(Heard::Pong(payload), net.now);
                }
                Some(Event::Close { code, reason }) => {
                    let reason = String::from_utf8_lossy(self.machine.control(&reason, bytes)).into_owned();
                    self.hear(Heard::Close(code.map(CloseCode::get), reason), net.now);
                    if !std::mem::replace(&mut self.close_said, true) {
                        close::encode(code, "", key, &mut answer);
                    }
                }
                None => {}
            }
            self.to_send.extend(answer);
            bytes = &mut bytes[step.consumed..];
        }
    }
}

fn heard_message(kind: Kind, bytes: Vec<u8>) -> Heard {
    match kind {
        Kind::Text => Heard::Text(String::from_utf8(bytes).expect("the machine has checked it")),
        Kind::Binary => Heard::Binary(bytes),
    }
}

fn append_fragment(
    kind: Kind,
    first: bool,
    fin: bool,
    key: Option<[u8; 4]>,
    payload: &[u8],
    out: &mut Vec<u8>,
) {
    let opcode = match (first, kind) {
        (false, _) => Opcode::Continuation,
        (true, Kind::Text) => Opcode::Text,
        (true, Kind::Binary) => Opcode::Binary,
    };
    let header = Header { fin, rsv: Rsv::NONE, opcode, key, payload_bytes: payload.len() as u64 };
    let mut head = [0; frame::HEADER_BYTES_MAX];
    let head_bytes = frame::encode_header(&header, &mut head);
    out.extend_from_slice(&head[..head_bytes]);
    let body = out.len();
    out.extend_from_slice(payload);
    crate::wire::mask::apply(&mut out[body..], key.unwrap_or_default());
}
