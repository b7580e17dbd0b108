//! Servers to test, in this process or as a process of its own, and a blocking client that says whatever it is told to.
//!
//! Nothing waits for ever: sockets have time-outs, and conditions deadlines.

use corewire::prelude::*;
use corewire::server::{Handle, Running};
use corewire::wire::frame::{self, Header, Opcode, Rsv, encode_header};
use corewire::wire::handshake::{self, Answer, Key};
use corewire::wire::http::HeadLimits;
use corewire::wire::{Event, Kind, Limits, Machine, Role, mask};
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Longer than anything takes on a busy machine; a test that runs into it has failed.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until `condition`, and panics when that takes too long.
#[track_caller]
pub(super) fn wait_until(what: &str, condition: impl FnMut() -> bool) {
    wait_at_most(PATIENCE, what, condition);
}

/// As [`wait_until`], with another deadline.
#[track_caller]
pub(super) fn wait_at_most(patience: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < patience, "waited {patience:?} in vain until {what}");
        std::thread::park_timeout(Duration::from_millis(2)); // nothing tells us, so we look again
    }
}

/// Tests that open thousands of sockets, or measure memory, go one at a time.
pub(super) fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

// ---- servers ----

/// What the tests run with: two shards, wherever there is time for them. A shard that gets no time for a while is not taken
/// for stuck, which would have its connections placed elsewhere.
pub(super) fn config() -> Config {
    let mut config = Config::default();
    config.workers = 2;
    config.pin = false;
    config.turn_max = Duration::from_secs(3600);
    config
}

/// A server in this process. At its end all memory must be home.
pub(super) struct Local {
    running: Option<Running>,
    pub(super) handle: Handle,
    pub(super) address: SocketAddr,
}

impl Local {
    pub(super) fn start(server: Server) -> Self {
        let running = server.start().expect("the server starts");
        let (handle, address) = (running.handle(), running.address());
        Self { running: Some(running), handle, address }
    }

    /// With these routes, and [`config`] after `change`.
    pub(super) fn with(change: impl FnOnce(&mut Config), routes: impl FnOnce(Server) -> Server) -> Self {
        let mut config = config();
        change(&mut config);
        Self::start(routes(Server::bind("127.0.0.1:0").config(config)))
    }

    /// An echo at `/`.
    pub(super) fn echo(change: impl FnOnce(&mut Config)) -> Self {
        Self::with(change, |server| server.at("/", |_: &Upgrade| Ok(Echo)))
    }

    pub(super) fn client(&self) -> Client {
        Client::open(self.address)
    }

    /// Waits for the end, which somebody else has begun.
    pub(super) fn join(mut self) {
        self.running.take().expect("it is joined once").join().expect("the server ends well");
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        let Some(running) = self.running.take() else { return };
        self.handle.stop_now();
        let ended = running.join();
        if !std::thread::panicking() {
            ended.expect("all memory is home at the end");
        }
    }
}

/// Says what it hears.
pub(super) struct Echo;
impl Session for Echo {
    fn message(&mut self, message: Message, cx: &mut Context<Self>) -> Result<(), Close> {
        Ok(cx.client().send(message)?)
    }
}

/// The echo example as a process of its own.
pub(super) struct Process {
    child: Child,
    stdout: BufReader<ChildStdout>,
    pub(super) address: SocketAddr,
}

impl Process {
    pub(super) fn start(flags: &[&str]) -> Self {
        Self::start_in("exec \"$@\"", flags)
    }

    /// What it says on its way out, if it cannot start.
    pub(super) fn refusal(shell: &str, flags: &[&str]) -> String {
        let mut child = Command::new("sh");
        child.args(["-c", shell, "sh"]).arg(path_of("echo")).args(["--addr", "127.0.0.1:0"]).args(flags);
        let output = child.env("RUST_LOG", "off").output().expect("the echo example can be run");
        assert!(!output.status.success(), "it was to be refused");
        String::from_utf8(output.stderr).expect("it speaks UTF-8")
    }

    /// Another example than echo.
    pub(super) fn example(name: &str, flags: &[&str]) -> Self {
        Self::start_example(name, "exec \"$@\"", flags)
    }

    /// Another example, on cores of its own as without tests.
    pub(super) fn pinned(name: &str, flags: &[&str]) -> Self {
        Self::start_example(name, "command=$1; shift 6; exec \"$command\" --addr 127.0.0.1:0 \"$@\"", flags)
    }

    /// Started by this line of shell, in which `"$@"` is the server and its flags.
    pub(super) fn start_in(shell: &str, flags: &[&str]) -> Self {
        Self::start_example("echo", shell, flags)
    }

    /// What an example prints that ends by itself, and well.
    pub(super) fn output_of(name: &str) -> String {
        let output =
            Command::new(path_of(name)).stderr(Stdio::null()).output().expect("an example can be run");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("it is text")
    }

    fn start_example(name: &str, shell: &str, flags: &[&str]) -> Self {
        let mut child = Command::new("sh")
            .args(["-c", shell, "sh"])
            .arg(path_of(name))
            .args(["--addr", "127.0.0.1:0", "--workers", "2", "--unpinned"])
            .args(flags)
            .env("RUST_LOG", std::env::var("ECHO_LOG").unwrap_or_else(|_| "off".into()))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("an example can be run: cargo builds it with the tests");
        let mut stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("it says where it listens");
        let address = line.split([' ', ';']).find_map(|word| word.parse().ok());
        let Some(address) = address else {
            panic!("the server said {line:?}, and ended: {:?}", child.wait())
        };
        Self { child, stdout, address }
    }

    pub(super) fn client(&self) -> Client {
        Client::open(self.address)
    }

    /// Resident memory, in bytes: counted page by page. `VmRSS` of `status` is off by up to 128 KiB a CPU before Linux 6.16.
    pub(super) fn memory_bytes(&self) -> u64 {
        let rollup = std::fs::read_to_string(self.proc("smaps_rollup")).expect("it runs");
        let line = rollup.lines().find_map(|line| line.strip_prefix("Rss:")).expect("the kernel tells");
        line.trim_end_matches("kB").trim().parse::<u64>().expect("a number of KiB") * 1024
    }

    /// Open descriptors.
    pub(super) fn descriptors(&self) -> usize {
        std::fs::read_dir(self.proc("fd")).expect("it runs").count()
    }

    /// Open sockets. Unlike descriptors there are none that come and go by themselves: the C library opens a file for a
    /// moment when a thread first allocates, and that may be when it has just said where it listens.
    pub(super) fn sockets(&self) -> usize {
        let descriptors = std::fs::read_dir(self.proc("fd")).expect("it runs").flatten();
        let is_socket = |path: PathBuf| {
            path.read_link().is_ok_and(|to| to.as_os_str().as_encoded_bytes().starts_with(b"socket:"))
        };
        descriptors.filter(|descriptor| is_socket(descriptor.path())).count()
    }

    /// Time on a CPU so far, of all threads.
    pub(super) fn cpu(&self) -> Duration {
        let stat = std::fs::read_to_string(self.proc("stat")).expect("it runs");
        let after_name = stat.rsplit_once(')').expect("the name is in brackets").1;
        let ticks = |at: usize| after_name.split_whitespace().nth(at).and_then(|n| n.parse::<u64>().ok());
        let (user, system) = (ticks(11).expect("utime"), ticks(12).expect("stime"));
        Duration::from_millis((user + system) * 10) // USER_HZ is 100
    }

    /// Waits until it says that nobody is connected; it says how many are every five seconds.
    pub(super) fn wait_until_idle(&mut self) {
        self.wait_until_printed("Active: 0,");
    }

    /// Waits until it prints a line that begins so.
    pub(super) fn wait_until_printed(&mut self, beginning: &str) {
        wait_until(&format!("it prints {beginning:?}"), || {
            let mut line = String::new();
            self.stdout.read_line(&mut line).expect("it runs");
            line.starts_with(beginning)
        });
    }

    pub(super) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status();
        assert!(sent.expect("kill is there").success(), "the server can be sent SIG{name}");
    }

    pub(super) fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("it is our child").is_none()
    }

    /// Waits for its end.
    pub(super) fn exit(&mut self) -> ExitStatus {
        let mut status = None;
        wait_until("the server has ended", || {
            status = self.child.try_wait().expect("it is our child");
            status.is_some()
        });
        status.expect("it was just seen")
    }

    fn proc(&self, file: &str) -> String {
        format!("/proc/{}/{file}", self.child.id())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill(); // it may have ended
        let _ = self.child.wait();
    }
}

/// `target/<profile>/examples/<name>`, beside `target/<profile>/deps/<this test>`. `cargo test` builds it; with `--test` it
/// builds only that, so an example that is older than its sources is refused.
pub(super) fn path_of(name: &str) -> PathBuf {
    let me = std::env::current_exe().expect("a test knows where it is");
    let path = me.parent().and_then(|deps| deps.parent()).expect("it is in deps");
    let path = path.join("examples").join(name);
    let modified = |path: &Path| path.metadata().and_then(|metadata| metadata.modified());
    let built =
        modified(&path).unwrap_or_else(|error| panic!("{path:?}: {error}: cargo build --example {name}"));
    let mut sources = vec![PathBuf::from("src"), "actors/src".into(), format!("examples/{name}.rs").into()];
    sources.extend(Some(PathBuf::from(format!("examples/{name}"))).filter(|folder| folder.is_dir()));
    while let Some(source) = sources.pop() {
        if source.is_dir() {
            let files = std::fs::read_dir(&source).expect("it can be listed");
            sources.extend(files.map(|file| file.expect("it can be listed").path()));
        } else if modified(&source).expect("it is there") > built {
            panic!("{source:?} is newer than the example: cargo build --example {name}");
        }
    }
    path
}

// ---- a client ----

/// One end of a connection, for good and for evil.
pub(super) struct Client {
    pub(super) stream: TcpStream,
    machine: Machine,
    limits: Limits,
    received: Vec<u8>,
    /// How much of `received` is understood.
    at: usize,
    message: Vec<u8>,
}

/// What the server said.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    Text(Vec<u8>),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>, String),
    /// The TCP connection has ended.
    End,
    /// The TCP connection was reset.
    Reset,
}

/// The same for all: the server does not care, and a capture is easier to read.
pub(super) const KEY: mask::Key = [0x12, 0x34, 0x56, 0x78];

/// A request for a WebSocket at `target`.
pub(super) fn request(target: &str, subprotocols: &[&str], key: &Key) -> Vec<u8> {
    let mut out = Vec::new();
    handshake::request("localhost", target, key, subprotocols, &[], &mut out).expect("the request is legal");
    out
}

/// A whole frame of a client's.
pub(super) fn frame(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    part(opcode, true, payload)
}

/// A frame of a client's that may be followed by more of its message.
pub(super) fn part(opcode: Opcode, fin: bool, payload: &[u8]) -> Vec<u8> {
    let payload_bytes = payload.len() as u64;
    let mut header = [0; frame::HEADER_BYTES_MAX];
    let header_bytes =
        encode_header(&Header { fin, rsv: Rsv::NONE, opcode, key: Some(KEY), payload_bytes }, &mut header);
    let mut out = header[..header_bytes].to_vec();
    out.extend_from_slice(payload);
    mask::apply(&mut out[header_bytes..], KEY);
    out
}

/// Connects, with time-outs.
pub(super) fn connect(address: SocketAddr) -> TcpStream {
    with_timeouts(TcpStream::connect_timeout(&address, PATIENCE).expect("the server accepts"))
}

/// Connects from another of this machine's addresses: each has ports of its own.
pub(super) fn connect_from(source: Ipv4Addr, address: SocketAddr) -> TcpStream {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::from((source, 0)).into()).expect("all of 127/8 is ours");
    socket.connect_timeout(&address.into(), PATIENCE).expect("the server accepts");
    with_timeouts(socket.into())
}

fn with_timeouts(stream: TcpStream) -> TcpStream {
    stream.set_read_timeout(Some(PATIENCE)).expect("a time-out above zero");
    stream.set_write_timeout(Some(PATIENCE)).expect("a time-out above zero");
    stream.set_nodelay(true).expect("it is TCP");
    stream
}

/// Sends `bytes` and returns all that comes until the server ends the connection.
pub(super) fn exchange(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = connect(address);
    stream.write_all(bytes).expect("the server takes the request");
    read_all(&mut stream)
}

/// All that comes until the end. A reset counts as one, since what was said before it is what matters here.
pub(super) fn read_all(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        Err(error) => panic!("{error} after {:?}", String::from_utf8_lossy(&answer)),
    }
    String::from_utf8_lossy(&answer).into_owned()
}

impl Client {
    pub(super) fn open(address: SocketAddr) -> Self {
        Self::open_at(address, "/", &[]).0
    }

    /// A client at `target`, and which subprotocol the server chose.
    pub(super) fn open_at(
        address: SocketAddr,
        target: &str,
        subprotocols: &[&str],
    ) -> (Self, Option<String>) {
        Self::open_on(connect(address), target, subprotocols)
    }

    pub(super) fn open_on(stream: TcpStream, target: &str, subprotocols: &[&str]) -> (Self, Option<String>) {
        let mut client = Self::new(stream);
        let key = Key::from_nonce(*b"sixteen nonces!!");
        client.raw(&request(target, subprotocols, &key));
        let chosen = client.opened(&key, subprotocols);
        (client, chosen)
    }

    /// A client that has said nothing yet.
    pub(super) fn new(stream: TcpStream) -> Self {
        let limits = Limits { frame_bytes_max: 1 << 30, message_bytes_max: 1 << 30, fragments_max: u32::MAX };
        let machine = Machine::new(Role::Client);
        Self { stream, machine, limits, received: Vec::new(), at: 0, message: Vec::new() }
    }

    /// Reads the answer to a request.
    pub(super) fn opened(&mut self, key: &Key, subprotocols: &[&str]) -> Option<String> {
        loop {
            match handshake::check_response(&self.received, key, subprotocols, &HeadLimits::default()) {
                Ok(Answer::Open { subprotocol, head_bytes }) => {
                    let subprotocol = subprotocol.map(str::to_owned);
                    self.at = head_bytes;
                    return subprotocol;
                }
                Ok(Answer::Incomplete) => {}
                Err(error) => panic!("{error}: {:?}", String::from_utf8_lossy(&self.received)),
            }
            if let Some(end) = self.read() {
                panic!("{end:?} instead of an answer: {:?}", String::from_utf8_lossy(&self.received));
            }
        }
    }

    /// Sends these bytes as they are.
    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the server takes what it is sent");
    }

    pub(super) fn send(&mut self, opcode: Opcode, payload: &[u8]) {
        self.raw(&frame(opcode, payload));
    }

    pub(super) fn text(&mut self, text: &str) {
        self.send(Opcode::Text, text.as_bytes());
    }

    pub(super) fn close(&mut self, code: u16, reason: &str) {
        let mut payload = code.to_be_bytes().to_vec();
        payload.extend_from_slice(reason.as_bytes());
        self.send(Opcode::Close, &payload);
    }

    /// Ends our half of the connection.
    pub(super) fn hang_up(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Write); // it may be reset already
    }

    /// The next thing that the server says.
    pub(super) fn next(&mut self) -> Said {
        loop {
            while self.at < self.received.len() {
                let bytes = &mut self.received[self.at..];
                let step = self.machine.decode(bytes, &self.limits).expect("the server keeps to RFC 6455");
                self.at += step.consumed;
                match step.event {
                    Some(Event::Message { kind, payload, .. }) => return said(kind, bytes[payload].to_vec()),
                    Some(Event::Part { kind, payload, last, .. }) => {
                        self.message.extend_from_slice(&bytes[payload]);
                        if last {
                            return said(kind, std::mem::take(&mut self.message));
                        }
                    }
                    Some(Event::Ping(payload)) => {
                        return Said::Ping(self.machine.control(&payload, bytes).to_vec());
                    }
                    Some(Event::Pong(payload)) => {
                        return Said::Pong(self.machine.control(&payload, bytes).to_vec());
                    }
                    Some(Event::Close { code, reason }) => {
                        let reason =
                            String::from_utf8_lossy(self.machine.control(&reason, bytes)).into_owned();
                        return Said::Close(code.map(|code| code.get()), reason);
                    }
                    None => {}
                }
            }
            if let Some(end) = self.read() {
                return end;
            }
        }
    }

    /// The next thing that is no ping.
    pub(super) fn next_but_pings(&mut self) -> Said {
        loop {
            match self.next() {
                Said::Ping(_) => {}
                said => return said,
            }
        }
    }

    /// Sends a text and hears it again.
    #[track_caller]
    pub(super) fn check_echo(&mut self, text: &str) {
        self.text(text);
        assert_eq!(self.next_but_pings(), Said::Text(text.as_bytes().to_vec()));
    }

    /// The server closes with `code`, and then ends the TCP connection.
    #[track_caller]
    pub(super) fn check_closed(&mut self, code: u16) {
        match self.next_but_pings() {
            Said::Close(Some(said), _) => assert_eq!(said, code),
            other => panic!("{other:?} instead of a close with {code}"),
        }
        assert_eq!(self.next(), Said::End);
    }

    /// More bytes, or what ended them.
    fn read(&mut self) -> Option<Said> {
        self.received.drain(..std::mem::take(&mut self.at));
        let before = self.received.len();
        self.received.resize(before + (64 << 10), 0);
        let read = loop {
            match self.stream.read(&mut self.received[before..]) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        self.received.truncate(before + *read.as_ref().unwrap_or(&0));
        match read {
            Ok(0) => Some(Said::End),
            Ok(_) => None,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => Some(Said::Reset),
            Err(error) => panic!("the server said nothing: {error}"),
        }
    }
}

fn said(kind: Kind, bytes: Vec<u8>) -> Said {
    match kind {
        Kind::Text => Said::Text(bytes),
        Kind::Binary => Said::Binary(bytes),
    }
}
