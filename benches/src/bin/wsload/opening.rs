//! From an address to an upgraded connection, without blocking.

use crate::connection::Connection;
use crate::error::Fault;
use corewire::wire::handshake::{self, Answer, Key};
use corewire::wire::http::HeadLimits;
use mio::net::TcpStream;
use socket2::{Domain, Protocol, Socket, Type};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};

/// Where connections go.
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    /// As it was given: the `Host` header.
    pub(crate) host: String,
}

/// An upgrade under way.
pub(crate) struct Handshake {
    key: Key,
    request: Vec<u8>,
    sent_bytes: usize,
    answer: Vec<u8>,
    /// Nanoseconds of the run's clock.
    pub(crate) begun: u64,
}

/// How far a handshake has come.
pub(crate) enum Upgrade {
    Waiting,
    /// Open; these bytes followed the answer.
    Open(Vec<u8>),
}

/// Begins the connection number `index`.
pub(crate) fn begin(target: &Target, path: &str, index: usize, now: u64) -> io::Result<Connection> {
    let socket =
        Socket::new(Domain::for_address(target.address), Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
    socket.set_tcp_nodelay(true)?;
    if target.address.ip() == Ipv4Addr::LOCALHOST {
        // Each source address has some 28,000 ports; all of 127/8 is this machine.
        let [.., high, low] = (2 + (index / PORTS_OF_A_SOURCE) as u32).to_be_bytes();
        socket.bind(&SocketAddr::from(([127, 0, high, low], 0)).into())?;
    }
    match socket.connect(&target.address.into()) {
        Ok(()) => {}
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => {}
        Err(error) => return Err(error),
    }
    let mut nonce = [0; 16];
    fastrand::fill(&mut nonce);
    let key = Key::from_nonce(nonce);
    let mut request = Vec::new();
    handshake::request(&target.host, path, &key, &[], &[], &mut request).map_err(io::Error::other)?;
    let handshake = Handshake { key, request, sent_bytes: 0, answer: Vec::new(), begun: now };
    Ok(Connection::new(TcpStream::from_std(socket.into()), handshake))
}

/// Goes on with a handshake as far as the socket lets it.
pub(crate) fn advance(connection: &mut Connection, buffer: &mut [u8]) -> Result<Upgrade, String> {
    let Connection { stream, handshake: Some(handshake), .. } = connection else {
        return Ok(Upgrade::Waiting);
    };
    while handshake.sent_bytes < handshake.request.len() {
        match stream.write(&handshake.request[handshake.sent_bytes..]) {
            Ok(sent) => handshake.sent_bytes += sent,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) => {
                return Ok(Upgrade::Waiting);
            }
            Err(error) => return Err(error.to_string()),
        }
    }
    loop {
        match stream.read(buffer) {
            Ok(0) => return Err(Fault::HungUp.to_string()),
            Ok(received) => handshake.answer.extend_from_slice(&buffer[..received]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Upgrade::Waiting),
            Err(error) => return Err(error.to_string()),
        }
        let answer =
            handshake::check_response(&handshake.answer, &handshake.key, &[], &HeadLimits::default());
        match answer.map_err(|error| error.to_string())? {
            Answer::Incomplete => {}
            Answer::Open { head_bytes, .. } => {
                let rest = handshake.answer.split_off(head_bytes);
                connection.handshake = None;
                return Ok(Upgrade::Open(rest));
            }
        }
    }
}

/// Connections from one address, when the server is on this machine.
const PORTS_OF_A_SOURCE: usize = 10_000;
