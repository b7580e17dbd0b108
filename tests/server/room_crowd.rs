//! Rooms under load for a while: memory stays flat, and who is slow costs the others nothing. The server is a process of its
//! own.

use super::harness::{Client, Process, Said, alone, connect_from, request};
use corewire::wire::handshake::Key;
use std::io::{ErrorKind, Read};
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

const MIB: u64 = 1 << 20;

/// A member of /room/lobby from an address of its own; `hears` waits until it is in.
fn member(server: &Process, source: u8) -> Client {
    let mut client = Client::new(connect_from(Ipv4Addr::new(127, 0, 4, source), server.address));
    client.raw(&request("/room/lobby", &[], &Key::from_nonce([0; 16])));
    client
}

/// A member whose kernel takes next to nothing, so that what it does not read waits at the server.
fn deaf_member(server: &Process) -> Client {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a size");
    socket.connect(&server.address.into()).expect("the server accepts");
    let mut client = Client::new(socket.into());
    client.raw(&request("/room/lobby", &[], &Key::from_nonce([0; 16])));
    client
}

/// Reads what is there, and counts its bytes. Panics if the connection has ended.
fn drain(client: &mut Client, buffer: &mut [u8]) -> u64 {
    let mut bytes = 0;
    loop {
        match client.stream.read(buffer) {
            Ok(0) => panic!("the server has ended a connection"),
            Ok(read) => bytes += read as u64,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return bytes,
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn ten_thousand_members_come_and_go_for_a_while_and_memory_stays_flat() {
    let _alone = alone();
    let mut server = Process::example("rooms", &[]);
    let key = Key::from_nonce([0; 16]);
    let mut members: Vec<Client> = (0..MEMBERS).map(|n| member(&server, 1 + (n % 4) as u8)).collect();
    for client in &mut members {
        client.opened(&key, &[]);
    }
    let mut speaker = member(&server, 9);
    speaker.opened(&key, &[]);
    speaker.text("all are in");
    while speaker.next() != Said::Text(b"all are in".to_vec()) {}
    for client in members.iter().chain([&speaker]) {
        client.stream.set_nonblocking(true).expect("it is TCP");
    }
    let mut buffer = vec![0; 256 << 10];
    for client in &mut members {
        drain(client, &mut buffer);
    }
    let stays = MEMBERS / 2; // the first half
    let mut heard = vec![0_u64; stays];
    let (mut said, mut came, mut beaten, mut memories) = (0_u64, 0_usize, 0_u64, Vec::new());
    let payload = [b'x'; 62];
    let begun = Instant::now();
    while begun.elapsed() < SOAK {
        let elapsed = begun.elapsed();
        while said < elapsed.as_millis() as u64 / 100 {
            speaker.raw(&super::harness::frame(corewire::wire::frame::Opcode::Text, &payload));
            said += 1;
        }
        while came < elapsed.as_millis() as usize * COMINGS_PER_S / 1000 {
            let at = stays + came % (MEMBERS - stays);
            let comer = member(&server, 20 + (came / 2000 % 200) as u8);
            comer.stream.set_nonblocking(true).expect("it is TCP");
            members[at] = comer; // who was there hangs up
            came += 1;
        }
        // Members that say nothing would be pinged after 25 s, and the first have said nothing since they came; a pong that
        // nobody has asked for says that they live.
        let beats = elapsed.as_secs() >= 8 * beaten;
        beaten += u64::from(beats);
        for (at, client) in members.iter_mut().enumerate() {
            if beats {
                client.raw(&super::harness::frame(corewire::wire::frame::Opcode::Pong, &[]));
            }
            let bytes = drain(client, &mut buffer);
            if let Some(heard) = heard.get_mut(at) {
                *heard += bytes;
            }
        }
        drain(&mut speaker, &mut buffer);
        if memories.len() < elapsed.as_secs() as usize / 5 {
            memories.push(server.memory_bytes() / MIB);
        }
    }
    let until = Instant::now() + Duration::from_secs(20);
    let frame_bytes = 2 + payload.len() as u64;
    while heard.iter().any(|bytes| *bytes < said * frame_bytes) {
        let worst = heard.iter().min();
        assert!(Instant::now() < until, "somebody heard {worst:?} of {} bytes", said * frame_bytes);
        members[..stays]
            .iter_mut()
            .zip(&mut heard)
            .for_each(|(client, heard)| *heard += drain(client, &mut buffer));
    }
    println!("{said} messages, {came} came and as many went; MiB every 5 s: {memories:?}");
    assert!(
        heard.iter().all(|bytes| *bytes == said * frame_bytes),
        "everybody who stays hears everything once"
    );
    let (early, late) = (memories[1], memories[memories.len() - 1]);
    assert!(late <= early + 8, "memory grows: {memories:?}");
    assert!(server.is_running());
}

const MEMBERS: usize = 10_000;
const COMINGS_PER_S: usize = 200;
const SOAK: Duration = Duration::from_secs(60);

/// A room of 180 that read and some that do not, on a server of its own.
struct Lobby {
    server: Process,
    members: Vec<Client>,
    _deaf: Vec<Client>,
    times: Vec<Duration>,
}

impl Lobby {
    fn open(deaf: usize) -> Self {
        // Nobody but one says anything, for a minute where others use the CPUs too.
        let server = Process::example("rooms", &["--idle-timeout", "3600"]);
        let key = Key::from_nonce([0; 16]);
        let mut members: Vec<Client> = (0..181).map(|_| member(&server, 1)).collect();
        let mut deaf: Vec<Client> = (0..deaf).map(|_| deaf_member(&server)).collect();
        for client in members.iter_mut().chain(&mut deaf) {
            client.opened(&key, &[]);
        }
        Self { server, members, _deaf: deaf, times: Vec::new() }
    }

    /// One member says something, and all who read have heard it.
    fn say(&mut self) {
        let said = Instant::now();
        self.members[0].send(corewire::wire::frame::Opcode::Text, &[b'x'; 1000]);
        for client in &mut self.members {
            assert!(matches!(client.next_but_pings(), Said::Text(_)));
        }
        self.times.push(said.elapsed());
    }

    fn quantile(&self, quantile: f64) -> Duration {
        let mut times = self.times[SETTLED..].to_vec();
        times.sort_unstable();
        times[(times.len() as f64 * quantile) as usize]
    }
}

/// When the queues of those who do not read are full.
const SETTLED: usize = 500;
const SAID: usize = 4000;

#[test]
fn members_that_do_not_read_cost_the_others_nothing() {
    let _alone = alone();
    let ratio_of_p99s = || {
        let (mut with, mut without) = (Lobby::open(20), Lobby::open(0));
        // Message by message, so that whatever else this machine does is in both.
        for n in 0..SAID {
            let mut lobbies = [&mut with, &mut without];
            let in_turn = if n % 2 == 0 { [0, 1] } else { [1, 0] };
            in_turn.into_iter().for_each(|at| lobbies[at].say());
        }
        let memories = [&with, &without].map(|lobby| lobby.server.memory_bytes() / MIB);
        // 20 times 256 KiB is the most that may wait, in views of the same frames.
        assert!(memories[0] <= memories[1] + 8, "{memories:?} MiB");
        let p99s = [&with, &without].map(|lobby| lobby.quantile(0.99));
        let medians = [&with, &without].map(|lobby| lobby.quantile(0.5));
        println!("with 20 more that do not read, and without: p99 {p99s:.1?}, median {medians:.1?}");
        p99s[0].as_secs_f64() / p99s[1].as_secs_f64()
    };
    // The slowest of a hundred are those that something else held up, and chance says in which of both; not six times.
    let ratios: Vec<f64> = (0..TRIES).map(|_| ratio_of_p99s()).take_while(|ratio| *ratio > 1.10).collect();
    assert!(ratios.len() < TRIES, "the p99 of those who read, with a tenth that does not: {ratios:.2?}");
}

const TRIES: usize = 6;
