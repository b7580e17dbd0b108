//! The work behind [`Machine::decode`]: headers, then data or control payloads, each whole or in pieces.

use super::{Expecting, Machine, Role};
use crate::wire::close;
use crate::wire::error::{Violation, WireError};
use crate::wire::event::{Event, Payload, Step};
use crate::wire::frame::{self, CONTROL_BYTES_MAX, HEADER_BYTES_MAX, Header, Opcode, Rsv};
use crate::wire::mask;
use crate::wire::message::{Kind, Limits};

impl Machine {
    #[cold]
    pub(super) fn fail(&mut self) {
        self.closing.set_failed();
        self.expecting = Expecting::Nothing;
        self.frame_bytes_missing = 0;
        self.held = None;
    }

    pub(super) fn next_frame(&mut self, bytes: &mut [u8], limits: &Limits) -> Result<Step, WireError> {
        if self.held.is_some() {
            self.held = None;
        }
        let Some((header, start)) = self.take_header(bytes)? else {
            return Ok(Step { consumed: bytes.len(), event: None });
        };
        let rsv_allowed = match header.opcode {
            Opcode::Text | Opcode::Binary => self.rsv_allowed,
            _ => Rsv::NONE,
        };
        if !rsv_allowed.contains(header.rsv) {
            return Err(Violation::ReservedBits(header.rsv).into());
        }
        match (self.role, header.key) {
            (Role::Server, None) => return Err(Violation::UnmaskedFrame.into()),
            (Role::Client, Some(_)) => return Err(Violation::MaskedFrame.into()),
            (_, key) => self.key = key.unwrap_or_default(),
        }
        if header.opcode.is_control() {
            Ok(self.control_frame(&header, start, bytes)?)
        } else {
            self.data_frame(&header, start, bytes, limits)
        }
    }

    /// The next header and where in `bytes` its payload starts; `None`: all of `bytes` went into a header that is
    /// still cut off.
    #[inline]
    fn take_header(&mut self, bytes: &[u8]) -> Result<Option<(Header, usize)>, Violation> {
        let before = usize::from(self.header_bytes);
        if before == 0 {
            let parsed = frame::parse_header(bytes)?;
            if parsed.is_none() {
                self.header[..bytes.len()].copy_from_slice(bytes);
                self.header_bytes = bytes.len() as u8;
            }
            return Ok(parsed);
        }
        let mut joined = [0; HEADER_BYTES_MAX];
        let taken = bytes.len().min(HEADER_BYTES_MAX - before);
        joined[..before].copy_from_slice(&self.header[..before]);
        joined[before..before + taken].copy_from_slice(&bytes[..taken]);
        let joined = &joined[..before + taken];
        let parsed = frame::parse_header(joined)?;
        if parsed.is_none() {
            self.header[..joined.len()].copy_from_slice(joined);
        }
        self.header_bytes = if parsed.is_some() { 0 } else { joined.len() as u8 };
        Ok(parsed.map(|(header, header_bytes)| (header, header_bytes - before)))
    }

    fn data_frame(
        &mut self,
        header: &Header,
        start: usize,
        bytes: &mut [u8],
        limits: &Limits,
    ) -> Result<Step, WireError> {
        let kind = self.message.begin_frame(header, limits)?;
        let first = header.opcode != Opcode::Continuation;
        self.fin = header.fin;
        self.frame_bytes_missing = header.payload_bytes;
        let here = bytes.len() - start;
        if !(first && header.fin && header.payload_bytes <= here as u64) {
            return Ok(self.part(kind, first, start, bytes)?);
        }
        let end = start + header.payload_bytes as usize;
        self.frame_bytes_missing = 0;
        mask::apply(&mut bytes[start..end], self.key);
        self.message.whole(kind, &bytes[start..end])?;
        let event = Event::Message { kind, rsv: header.rsv, payload: start..end };
        Ok(Step { consumed: end, event: Some(event) })
    }

    #[inline(never)]
    pub(super) fn more_data(&mut self, bytes: &mut [u8]) -> Result<Step, WireError> {
        match self.message.open() {
            Some(kind) if !bytes.is_empty() => Ok(self.part(kind, false, 0, bytes)?),
            _ => Ok(Step { consumed: 0, event: None }),
        }
    }

    /// As much of the current frame's payload as is there, from `start`.
    #[inline(never)]
    fn part(&mut self, kind: Kind, first: bool, start: usize, bytes: &mut [u8]) -> Result<Step, Violation> {
        let end = start + self.take_payload(&mut bytes[start..]);
        let missing = self.frame_bytes_missing;
        let last = self.fin && missing == 0;
        self.expecting = if missing > 0 { Expecting::Data } else { Expecting::Header };
        self.message.piece(kind, &bytes[start..end], last)?;
        let event = Event::Part {
            kind,
            rsv: self.message.rsv(),
            payload: start..end,
            first,
            last,
            frame_bytes_missing: missing,
            message_bytes_hint: self.message.declared_bytes(),
        };
        Ok(Step { consumed: end, event: Some(event) })
    }

    #[inline(never)]
    fn control_frame(&mut self, header: &Header, start: usize, bytes: &mut [u8]) -> Result<Step, Violation> {
        self.frame_bytes_missing = header.payload_bytes;
        if header.payload_bytes <= (bytes.len() - start) as u64 {
            let end = start + self.take_payload(&mut bytes[start..]);
            let payload = Payload { held: false, range: start..end };
            let event = self.control_event(header.opcode, payload, bytes)?;
            return Ok(Step { consumed: end, event: Some(event) });
        }
        self.held = Some(Box::new([0; CONTROL_BYTES_MAX]));
        self.held_bytes = 0;
        let step = self.more_control(header.opcode, &mut bytes[start..])?;
        Ok(Step { consumed: start + step.consumed, event: step.event })
    }

    /// As much of a control frame that comes in pieces as is there.
    #[inline(never)]
    pub(super) fn more_control(&mut self, opcode: Opcode, bytes: &mut [u8]) -> Result<Step, Violation> {
        let consumed = self.take_payload(bytes);
        let before = usize::from(self.held_bytes);
        let after = before + consumed;
        if let Some(held) = &mut self.held {
            held[before..after].copy_from_slice(&bytes[..consumed]);
        }
        self.held_bytes = after as u8;
        if self.frame_bytes_missing > 0 {
            self.expecting = Expecting::Control(opcode);
            return Ok(Step { consumed, event: None });
        }
        self.expecting = Expecting::Header;
        let event = self.control_event(opcode, Payload { held: true, range: 0..after }, bytes)?;
        Ok(Step { consumed, event: Some(event) })
    }

    fn control_event(&mut self, opcode: Opcode, payload: Payload, bytes: &[u8]) -> Result<Event, Violation> {
        match opcode {
            Opcode::Ping => Ok(Event::Ping(payload)),
            Opcode::Pong => Ok(Event::Pong(payload)),
            _ => {
                let code = close::parse(self.control(&payload, bytes))?;
                self.closing.set_received();
                self.expecting = Expecting::Nothing;
                let start = payload.range.end.min(payload.range.start + 2); // behind the code
                let reason = Payload { range: start..payload.range.end, ..payload };
                Ok(Event::Close { code, reason })
            }
        }
    }

    /// Unmask what is there of the current frame's payload; returns how much that is.
    #[inline]
    fn take_payload(&mut self, bytes: &mut [u8]) -> usize {
        let taken = self.frame_bytes_missing.min(bytes.len() as u64);
        self.key = mask::apply(&mut bytes[..taken as usize], self.key);
        self.frame_bytes_missing -= taken;
        taken as usize
    }
}
