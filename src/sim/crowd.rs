//! Clients that are made up: what they say, how they read, and how some of them end.

use super::client::{Client, Step};
use super::fault::{Fault, Faults};
use crate::wire::Kind;
use crate::wire::frame::{self, Opcode};
use std::time::Duration;

impl Client {
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
