//! What no input can change.

use corewire::wire::frame::{self, Header, Opcode, Rsv};
use corewire::wire::handshake::{Answer, Key, Progress, check_response, parse};
use corewire::wire::http::HeadLimits;
use corewire::wire::utf8::Utf8;
use corewire::wire::{Event, Kind, Limits, Machine, Role, close, mask};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::support::{Ear, Heard, frame};

fn any_role() -> impl Strategy<Value = Role> {
    prop_oneof![Just(Role::Server), Just(Role::Client)]
}

fn any_opcode() -> impl Strategy<Value = Opcode> {
    prop_oneof![
        Just(Opcode::Continuation),
        Just(Opcode::Text),
        Just(Opcode::Binary),
        Just(Opcode::Close),
        Just(Opcode::Ping),
        Just(Opcode::Pong)
    ]
}

/// What a peer may say between an opening and a close.
fn any_saying() -> impl Strategy<Value = Heard> {
    prop_oneof![
        4 => ".{0,200}".prop_map(|text| Heard::Message(Kind::Text, text.into_bytes())),
        2 => vec(any::<u8>(), 0..300).prop_map(|bytes| Heard::Message(Kind::Binary, bytes)),
        1 => vec(any::<u8>(), 60_000..70_000).prop_map(|bytes| Heard::Message(Kind::Binary, bytes)),
        1 => vec(any::<u8>(), 0..126).prop_map(Heard::Ping),
        1 => vec(any::<u8>(), 0..126).prop_map(Heard::Pong),
    ]
}

/// The frames of a saying: a message is cut into fragments, and pings stand between them.
fn frames_of(to: Role, saying: &Heard, cuts: &[Index], ping: bool) -> (Vec<u8>, usize) {
    let whole = |opcode, payload: &[u8]| frame(to, true, Rsv::NONE, opcode, payload);
    let (kind, payload) = match saying {
        Heard::Ping(payload) => return (whole(Opcode::Ping, payload), 0),
        Heard::Pong(payload) => return (whole(Opcode::Pong, payload), 0),
        Heard::Close(..) => unreachable!("not among the sayings"),
        Heard::Message(kind, payload) => (kind, payload),
    };
    let pieces = split(payload, cuts);
    let mut stream = Vec::new();
    for (i, piece) in pieces.iter().enumerate() {
        let opcode = match (i, kind) {
            (0, Kind::Text) => Opcode::Text,
            (0, Kind::Binary) => Opcode::Binary,
            _ => Opcode::Continuation,
        };
        let last = i + 1 == pieces.len();
        stream.extend(frame(to, last, Rsv::NONE, opcode, piece));
        if ping && !last {
            stream.extend(whole(Opcode::Ping, b"between"));
        }
    }
    (stream, if ping { pieces.len() - 1 } else { 0 })
}

/// `bytes` cut at `cuts`; pieces may be empty.
fn split<'a>(bytes: &'a [u8], cuts: &[Index]) -> Vec<&'a [u8]> {
    let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    at.sort_unstable();
    let ends = at.iter().copied().chain([bytes.len()]);
    let starts = [0].into_iter().chain(at.iter().copied());
    starts.zip(ends).map(|(start, end)| &bytes[start..end]).collect()
}

/// All that is heard of a stream, and how it ended.
fn outcome(to: Role, reads: &[&[u8]]) -> (Vec<Heard>, Option<String>) {
    let mut ear = Ear::new(to);
    let error = reads.iter().find_map(|read| ear.hear(read).err()).map(|error| error.to_string());
    (ear.heard, error)
}

proptest! {
    /// What one side says, in whatever frames, the other hears, in whatever reads.
    #[test]
    fn what_is_said_is_heard(
        to in any_role(),
        sayings in vec((any_saying(), vec(any::<Index>(), 0..4), any::<bool>()), 0..6),
        cuts in vec(any::<Index>(), 0..16),
    ) {
        let (mut stream, mut expected) = (Vec::new(), Vec::new());
        for (saying, fragments, ping) in sayings {
            let (frames, pings) = frames_of(to, &saying, &fragments, ping);
            stream.extend(frames);
            expected.extend(vec![Heard::Ping(b"between".into()); pings]);
            expected.push(saying);
        }
        let (heard, error) = outcome(to, &split(&stream, &cuts));
        prop_assert_eq!(error, None);
        prop_assert_eq!(heard, expected);
    }

    /// The kernel may cut the stream anywhere; the events must not notice. Right and wrong frames alike.
    #[test]
    fn any_split_gives_the_same_events(
        to in any_role(),
        frames in vec((any_opcode(), any::<bool>(), 0u8..8, vec(any::<u8>(), 0..140)), 0..8),
        damage in proptest::option::weighted(0.3, (any::<Index>(), any::<u8>())),
        cuts in vec(any::<Index>(), 0..40),
    ) {
        let mut stream: Vec<u8> = frames
            .iter()
            .flat_map(|(opcode, fin, rsv, payload)| {
                let rsv = if *rsv == 0 { Rsv::RSV1 } else { Rsv::NONE };
                frame(to, *fin, rsv, *opcode, payload)
            })
            .collect();
        if let Some((at, byte)) = damage && !stream.is_empty() {
            let at = at.index(stream.len());
            stream[at] = byte;
        }
        let whole = outcome(to, &[&stream]);
        prop_assert_eq!(outcome(to, &split(&stream, &cuts)), whole.clone());
        prop_assert_eq!(outcome(to, &stream.chunks(1).collect::<Vec<_>>()), whole);
    }

    /// What the quick way takes, `decode` takes for the same; what it leaves, it has not touched.
    #[test]
    fn the_quick_way_and_decode_agree(
        to in any_role(),
        before in vec((any_opcode(), any::<bool>(), vec(any::<u8>(), 0..4)), 0..3),
        opcode in any_opcode(),
        fin in any::<bool>(),
        rsv in 0u8..8,
        payload in prop_oneof![vec(any::<u8>(), 0..140), vec(32u8..127, 0..300)],
        behind in vec(any::<u8>(), 0..8),
        missing in 0usize..3,
        frame_bytes_max in prop_oneof![Just(u64::MAX), 0u64..200],
    ) {
        let limits = Limits { frame_bytes_max, ..Limits::default() };
        let mut stream: Vec<u8> =
            before.iter().flat_map(|(opcode, fin, payload)| frame(to, *fin, Rsv::NONE, *opcode, payload)).collect();
        let mut last = frame(to, fin, if rsv == 0 { Rsv::RSV1 } else { Rsv::NONE }, opcode, &payload);
        last.extend_from_slice(&behind);
        last.truncate(last.len() - missing.min(last.len()));
        let (mut quick, mut slow) = (Machine::new(to), Machine::new(to));
        for machine in [&mut quick, &mut slow] {
            let mut stream = &mut stream.clone()[..];
            while !stream.is_empty() {
                let Ok(step) = machine.decode(stream, &limits) else { return Ok(()) };
                stream = &mut stream[step.consumed..];
            }
        }
        stream.clear();
        let (mut read, mut again) = (last.clone(), last.clone());
        match quick.decode_whole(&mut read, &limits) {
            Ok(None) => {
                prop_assert_eq!(&read, &last);
                prop_assert_eq!(format!("{quick:?}"), format!("{slow:?}"));
            }
            Ok(Some(whole)) => {
                let step = slow.decode(&mut again, &limits).expect("the quick way took it");
                prop_assert_eq!(step.consumed, whole.frame_bytes());
                let event = Event::Message { kind: whole.kind, rsv: Rsv::NONE, payload: whole.payload() };
                prop_assert_eq!(step.event, Some(event));
                prop_assert_eq!(read, again);
            }
            Err(error) => prop_assert_eq!(slow.decode(&mut again, &limits), Err(error)),
        }
    }

    /// `Ear::hear` checks that no call consumes nothing, or more than there is.
    #[test]
    fn garbage_never_panics(to in any_role(), garbage in vec(any::<u8>(), 0..400), cuts in vec(any::<Index>(), 0..8)) {
        prop_assert_eq!(outcome(to, &split(&garbage, &cuts)), outcome(to, &[&garbage]));
    }

    #[test]
    fn unmasking_equals_the_loop_of_the_rfc(
        mut bytes in vec(any::<u8>(), 0..600),
        key: [u8; 4],
        start in 0usize..70,
        cuts in vec(any::<Index>(), 0..6),
    ) {
        let start = start.min(bytes.len());
        let expected: Vec<u8> = bytes[start..].iter().enumerate().map(|(i, byte)| byte ^ key[i % 4]).collect();
        let mut turned = key;
        let mut rest = &mut bytes[start..]; // at any alignment
        let lengths: Vec<usize> = split(rest, &cuts).iter().map(|piece| piece.len()).collect();
        for length in lengths {
            let (piece, more) = rest.split_at_mut(length);
            turned = mask::apply(piece, turned);
            rest = more;
        }
        prop_assert_eq!(&bytes[start..], expected);
    }

    /// In pieces and at once, on any bytes: refused as soon as the standard library says that no byte can mend it.
    #[test]
    fn utf8_in_pieces_agrees_with_the_standard_library(
        bytes in prop_oneof![
            ".{0,60}".prop_map(String::into_bytes),
            (".{0,60}", any::<Index>(), any::<u8>()).prop_map(|(text, at, byte)| {
                let mut bytes = text.into_bytes();
                bytes.push(0);
                let at = at.index(bytes.len());
                bytes[at] = byte;
                bytes
            }),
            vec(prop_oneof![Just(0xf0), Just(0xf4), Just(0xed), Just(0xe0), 0x80u8..=0xbf, any::<u8>()], 0..8),
        ],
        cuts in vec(any::<Index>(), 0..12),
    ) {
        let mut text = Utf8::new();
        let mut so_far = Vec::new();
        for piece in split(&bytes, &cuts) {
            so_far.extend_from_slice(piece);
            let by_std = str::from_utf8(&so_far);
            let mendable = by_std.is_ok_and(|_| true) || by_std.is_err_and(|error| error.error_len().is_none());
            prop_assert_eq!(text.push(piece).is_ok(), mendable);
            if !mendable {
                return Ok(());
            }
            prop_assert_eq!(text.finish().is_ok(), by_std.is_ok());
        }
    }

    #[test]
    fn a_header_is_read_as_it_was_written(
        fin: bool, bits: u8, opcode in any_opcode(), key: Option<[u8; 4]>,
        payload_bytes in prop_oneof![0u64..200, 65_000u64..66_000, 0..i64::MAX as u64],
    ) {
        let (fin, payload_bytes) =
            if opcode.is_control() { (true, payload_bytes % 126) } else { (fin, payload_bytes) };
        let header = Header { fin, rsv: Rsv::from_bits(bits), opcode, key, payload_bytes };
        let mut out = [0; 14];
        let header_bytes = frame::encode_header(&header, &mut out);
        prop_assert_eq!(header_bytes, frame::header_bytes(payload_bytes, key.is_some()));
        prop_assert_eq!(frame::parse_header(&out[..header_bytes]), Ok(Some((header, header_bytes))));
        for end in 0..header_bytes {
            prop_assert_eq!(frame::parse_header(&out[..end]), Ok(None));
        }
    }

    #[test]
    fn any_close_is_heard_as_it_was_written(to in any_role(), code in 0u16..6000, reason in ".{0,60}") {
        let mut out = Vec::new();
        let code = close::CloseCode::new(code);
        close::encode(code, &reason, (to == Role::Server).then_some([9, 8, 7, 6]), &mut out);
        let (heard, error) = outcome(to, &[&out]);
        prop_assert_eq!(error, None);
        let [Heard::Close(heard_code, heard_reason)] = &heard[..] else { panic!("{heard:?}") };
        prop_assert_eq!(*heard_code, code.map(close::CloseCode::get));
        let said = code.map_or("", |_| &reason);
        let is_beginning = said.starts_with(&**heard_reason);
        prop_assert!(is_beginning && heard_reason.len() >= said.len().min(close::REASON_BYTES_MAX - 3));
    }

    /// Never more than there is, and never a different answer once more bytes have come.
    #[test]
    fn a_head_is_garbage_or_not_whatever_follows(
        head in prop_oneof![
            vec(any::<u8>(), 0..200),
            "(GET|POST) /[a-z]{0,5} HTTP/1.[01]\r\n((Host|Upgrade|Connection|Sec-WebSocket-Key|Sec-WebSocket-Version|X): [ -~]{0,30}\r\n){0,6}\r\n"
                .prop_map(String::into_bytes),
        ],
        more in vec(any::<u8>(), 0..50),
    ) {
        let all = [&head[..], &more].concat();
        let limits = HeadLimits::default();
        let after = parse(&all, &limits);
        match parse(&head, &limits) {
            Ok(Progress::Incomplete) => {}
            Ok(Progress::Plain { .. }) => {
                let still_plain = matches!(after, Ok(Progress::Plain { .. }));
                prop_assert!(still_plain);
            }
            Ok(Progress::Upgrade { head_bytes, .. }) => {
                let Ok(Progress::Upgrade { head_bytes: same, .. }) = after else { panic!("{after:?}") };
                prop_assert_eq!(head_bytes, same);
                prop_assert!(head_bytes <= head.len());
            }
            Err(error) => prop_assert_eq!(after.err(), Some(error)),
        }
        let key = Key::from_nonce([7; 16]);
        if let Ok(Answer::Open { head_bytes, .. }) = check_response(&all, &key, &[], &limits) {
            prop_assert!(head_bytes <= all.len());
        }
    }
}
