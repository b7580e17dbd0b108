//! Listening sockets: one a shard, on the same port.

use super::Error;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::os::fd::OwnedFd;

/// Opens `shards` listening sockets on `address`. `:9001` means all addresses, IPv6 and IPv4. With port 0, all get the
/// same port, which is told.
pub(super) fn listen(address: &str, shards: u16) -> Result<(Vec<OwnedFd>, SocketAddr), Error> {
    let refused = |error| Error::Listen { address: address.to_owned(), error };
    let candidates = resolve(address).map_err(refused)?;
    let mut last = io::Error::from(io::ErrorKind::InvalidInput);
    for candidate in candidates {
        match listen_on(candidate, shards) {
            Ok(listening) => return Ok(listening),
            Err(error) => last = error,
        }
    }
    Err(refused(last))
}

fn resolve(address: &str) -> io::Result<Vec<SocketAddr>> {
    if let Some(port) = address.strip_prefix(':') {
        let port = port.parse().map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        // Where there is no IPv6, the second will do.
        return Ok(vec![(Ipv6Addr::UNSPECIFIED, port).into(), (Ipv4Addr::UNSPECIFIED, port).into()]);
    }
    Ok(address.to_socket_addrs()?.collect())
}

fn listen_on(mut address: SocketAddr, shards: u16) -> io::Result<(Vec<OwnedFd>, SocketAddr)> {
    // Sockets with SO_REUSEPORT would share the port with another server's, and its clients: look without it first.
    let probe = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() && address.ip().is_unspecified() {
        probe.set_only_v6(false)?;
    }
    probe.set_reuse_address(true)?;
    probe.bind(&address.into())?;
    drop(probe);
    let mut listeners = Vec::new();
    for _ in 0..shards {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        if address.is_ipv6() && address.ip().is_unspecified() {
            socket.set_only_v6(false)?;
        }
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(true)?;
        socket.set_tcp_nodelay(true)?; // accepted sockets inherit it: a message is sent when it is said
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        if address.port() == 0 {
            address = socket.local_addr()?.as_socket().ok_or(io::ErrorKind::InvalidInput)?;
        }
        listeners.push(socket.into());
    }
    Ok((listeners, address))
}

/// Connections that wait to be accepted; the kernel caps it at net.core.somaxconn.
const BACKLOG: i32 = 4096;
