//! `wsload`: load for any WebSocket echo server, and what it costs the server.
//!
//! Closed loop: each connection keeps so many messages in flight, checks every reply byte by byte, and sends the next.
//! One thread, so that the client's limit is plain; it says when it, and not the server, is busy.

use clap::Parser;
use corewire::wire::frame::{self, Header, Opcode, Rsv};
use corewire::wire::handshake::{self, Answer, Key};
use corewire::wire::http::HeadLimits;
use hdrhistogram::Histogram;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Load for a WebSocket echo server
#[derive(Parser)]
struct Flags {
    /// The server's address
    #[arg(default_value = "127.0.0.1:9001")]
    server: SocketAddr,
    /// Connections
    #[arg(short, long, default_value_t = 50)]
    connections: usize,
    /// Bytes of a message
    #[arg(short, long, default_value_t = 20)]
    size: usize,
    /// Messages that each connection keeps in flight
    #[arg(short, long, default_value_t = 1)]
    in_flight: usize,
    /// Seconds
    #[arg(short, long, default_value_t = 5.0)]
    duration: f64,
    /// The server's process: its CPU a message is told
    #[arg(short, long)]
    pid: Option<u32>,
}

fn main() -> ExitCode {
    let flags = Flags::parse();
    match run(&flags) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("wsload: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(flags: &Flags) -> io::Result<()> {
    let mut poll = Poll::new()?;
    let mut connections = Vec::with_capacity(flags.connections);
    let frames = Frames::new(flags.size, flags.in_flight);
    for index in 0..flags.connections {
        let mut connection = Connection::open(flags.server, index)?;
        poll.registry().register(
            &mut connection.stream,
            Token(index),
            Interest::READABLE | Interest::WRITABLE,
        )?;
        connections.push(connection);
    }
    let mut latency = Histogram::<u64>::new_with_bounds(1, 60_000_000_000, 3).map_err(io::Error::other)?;
    let begun = Instant::now();
    let end = begun + Duration::from_secs_f64(flags.duration);
    let (server_before, own_before) = (cpu_nanos(flags.pid)?, cpu_nanos(Some(std::process::id()))?);
    for connection in &mut connections {
        connection.owed = frames.in_flight;
        connection.advance(&frames, begun, &mut latency)?;
    }
    let mut events = Events::with_capacity(1024);
    while Instant::now() < end {
        poll.poll(&mut events, Some(Duration::from_millis(50)))?;
        let now = Instant::now();
        for event in &events {
            connections[event.token().0].advance(&frames, now, &mut latency)?;
        }
    }
    let elapsed = begun.elapsed();
    let messages = latency.len();
    let own = cpu_nanos(Some(std::process::id()))? - own_before;
    let micros = |quantile| latency.value_at_quantile(quantile) as f64 / 1e3;
    println!(
        "{} × {} B, {} in flight: {:.0} messages/s; p50 {:.1} µs, p99 {:.1}, p99.9 {:.1}",
        flags.connections,
        flags.size,
        flags.in_flight,
        messages as f64 / elapsed.as_secs_f64(),
        micros(0.5),
        micros(0.99),
        micros(0.999)
    );
    if flags.pid.is_some() {
        let server = cpu_nanos(flags.pid)? - server_before;
        println!("server: {:.2} µs of CPU a message", server as f64 / 1e3 / messages.max(1) as f64);
    }
    let own_share = own as f64 / elapsed.as_nanos() as f64;
    if own_share > 0.95 {
        println!(
            "client: {:.0} % of a core: it is the limit; compare CPU a message, not rates",
            own_share * 100.0
        );
    }
    Ok(())
}

/// What is sent and what must come back, made once.
struct Frames {
    /// Requests, one after the other, as many as may be in flight.
    requests: Vec<u8>,
    request_bytes: usize,
    reply: Vec<u8>,
    in_flight: usize,
}

impl Frames {
    fn new(size: usize, in_flight: usize) -> Self {
        let payload: Vec<u8> = (0..size).map(|at| at as u8).collect();
        let mut request = Vec::new();
        frame::append(Opcode::Binary, Some([0x12, 0x34, 0x56, 0x78]), &payload, &mut request);
        let mut header = [0; frame::HEADER_BYTES_MAX];
        let fields = Header {
            fin: true,
            rsv: Rsv::NONE,
            opcode: Opcode::Binary,
            key: None,
            payload_bytes: size as u64,
        };
        let header_bytes = frame::encode_header(&fields, &mut header);
        let mut reply = header[..header_bytes].to_vec();
        reply.extend_from_slice(&payload);
        Self { request_bytes: request.len(), requests: request.repeat(in_flight), reply, in_flight }
    }
}

struct Connection {
    stream: TcpStream,
    /// Requests that may be sent now.
    owed: usize,
    /// Bytes of the first owed request that are sent already.
    sent_bytes: usize,
    /// Bytes of the next reply that have come already.
    received_bytes: usize,
    /// When each request in flight was sent, oldest first.
    sent_at: std::collections::VecDeque<Instant>,
}

impl Connection {
    fn open(server: SocketAddr, index: usize) -> io::Result<Self> {
        let stream = connect(server, index)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Self {
            stream: TcpStream::from_std(stream),
            owed: 0,
            sent_bytes: 0,
            received_bytes: 0,
            sent_at: std::collections::VecDeque::new(),
        })
    }

    /// Sends and receives until neither goes on: readiness is told once.
    fn advance(&mut self, frames: &Frames, now: Instant, latency: &mut Histogram<u64>) -> io::Result<()> {
        loop {
            self.send(frames, now)?;
            let Some(replies) = self.receive(frames, now, latency)? else { return Ok(()) };
            self.owed += replies;
        }
    }

    fn send(&mut self, frames: &Frames, now: Instant) -> io::Result<()> {
        while self.owed > 0 {
            let bytes = &frames.requests[self.sent_bytes..self.owed * frames.request_bytes];
            let sent = match self.stream.write(bytes) {
                Ok(sent) => sent,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            let whole = (self.sent_bytes + sent) / frames.request_bytes;
            self.sent_bytes = (self.sent_bytes + sent) % frames.request_bytes;
            self.owed -= whole;
            self.sent_at.extend(std::iter::repeat_n(now, whole));
        }
        Ok(())
    }

    /// How many replies one read has brought; none is no read.
    fn receive(
        &mut self,
        frames: &Frames,
        now: Instant,
        latency: &mut Histogram<u64>,
    ) -> io::Result<Option<usize>> {
        let mut buffer = [0; 64 * 1024];
        let received = match self.stream.read(&mut buffer) {
            Ok(0) => return Err(io::Error::other("the server closed the connection")),
            Ok(received) => received,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut bytes = &buffer[..received];
        let mut replies = 0;
        while !bytes.is_empty() {
            let expected = &frames.reply[self.received_bytes..];
            let here = expected.len().min(bytes.len());
            if bytes[..here] != expected[..here] {
                return Err(io::Error::other("a reply is not what was sent"));
            }
            bytes = &bytes[here..];
            self.received_bytes += here;
            if self.received_bytes == frames.reply.len() {
                self.received_bytes = 0;
                replies += 1;
                if let Some(sent_at) = self.sent_at.pop_front() {
                    let nanos = now.duration_since(sent_at).as_nanos().max(1) as u64;
                    latency.record(nanos).map_err(io::Error::other)?;
                }
            }
        }
        Ok(Some(replies))
    }
}

/// A connection that is upgraded. From several source addresses, since each has only so many ports.
fn connect(server: SocketAddr, index: usize) -> io::Result<std::net::TcpStream> {
    let socket = socket2::Socket::new(socket2::Domain::for_address(server), socket2::Type::STREAM, None)?;
    if server.ip() == std::net::Ipv4Addr::LOCALHOST {
        let source = std::net::Ipv4Addr::new(127, 0, 0, 2 + (index / 20_000) as u8);
        socket.bind(&SocketAddr::from((source, 0)).into())?;
    }
    socket.connect(&server.into())?;
    let mut stream = std::net::TcpStream::from(socket);
    let key = Key::from_nonce(*b"a key for a load");
    let mut request = Vec::new();
    handshake::request(&server.to_string(), "/", &key, &[], &[], &mut request).map_err(io::Error::other)?;
    stream.write_all(&request)?;
    let mut answer = Vec::new();
    loop {
        let mut byte = [0; 1]; // one at a time: what follows the head is not for us to lose
        stream.read_exact(&mut byte)?;
        answer.push(byte[0]);
        match handshake::check_response(&answer, &key, &[], &HeadLimits::default())
            .map_err(io::Error::other)?
        {
            Answer::Incomplete => {}
            Answer::Open { .. } => return Ok(stream),
        }
    }
}

/// The CPU time of all threads of a process.
fn cpu_nanos(pid: Option<u32>) -> io::Result<u64> {
    let Some(pid) = pid else { return Ok(0) };
    let mut nanos = 0;
    for task in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let schedstat = std::fs::read_to_string(task?.path().join("schedstat")).unwrap_or_default(); // a thread may end
        nanos += schedstat.split(' ').next().and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
    }
    Ok(nanos)
}
