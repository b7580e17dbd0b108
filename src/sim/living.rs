//! A client at work: it takes its script's steps, and speaks WebSocket by the same machine as the server, in the other
//! role.

use super::client::{Client, Heard, Report, Step};
use super::net::{End, Net, Way};
use crate::shard::Time;
use crate::wire::close::{self, CloseCode};
use crate::wire::frame::{self, Header, Opcode, Rsv};
use crate::wire::handshake::{self, Answer, AnswerError, Key};
use crate::wire::http::HeadLimits;
use crate::wire::{Event, Kind, Limits, Machine, Role};
use std::collections::VecDeque;
use std::time::Duration;

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
            (_, Some(Step::HalfClose | Step::Cut | Step::Reset | Step::Vanish)) => self.to_send.is_empty(),
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
            self.report.cut |= net.connections[id].cut;
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
            self.report.cut |= net.connections[id].cut;
        }
        if self.report.closed.is_none() {
            self.come_back(net);
        }
    }

    /// Begins anew, if that is its way, as somebody who knows what it has heard.
    fn come_back(&mut self, net: &mut Net) {
        let Some(mut returns) = self.script.returns.take().filter(|returns| returns.times > 0) else {
            return;
        };
        returns.times -= 1;
        let mut script = (returns.again)(&self.report);
        script.starts_after = Duration::from_micros(net.rng.u64(0..=returns.pause.as_micros() as u64));
        script.returns = script.returns.or(Some(returns));
        let again = Self::new(script, &mut net.rng, net.now);
        *self = Self { report: std::mem::take(&mut self.report), ..again };
    }

    fn connect(&mut self, net: &mut Net) {
        self.state = State::Head;
        self.id = net.connect();
        self.report.connections += 1;
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
            Step::Cut => net.cut(id),
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
