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
    // Our listeners share the port, and would share it with another server of the same user too, who would get half of
    // our clients. One that does not share finds out.
    socket(address)?.bind(&address.into())?;
    let mut listeners = Vec::new();
    for _ in 0..shards {
        let socket = socket(address)?;
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

fn socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() && address.ip().is_unspecified() {
        socket.set_only_v6(false)?;
    }
    socket.set_reuse_address(true)?; // connections of a server before us may still be closing
    Ok(socket)
}

/// Connections that wait to be accepted; the kernel caps it at net.core.somaxconn.
const BACKLOG: i32 = 4096;
