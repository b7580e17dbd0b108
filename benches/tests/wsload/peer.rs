//! Servers that do as they are told: one thread a connection, blocking, in a few lines.

use corewire::wire::frame::{self, Opcode};
use corewire::wire::handshake::{self, Progress};
use corewire::wire::http::HeadLimits;
use corewire::wire::mask;
use std::io::{BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

/// A client's connection, upgraded.
pub(super) struct Peer {
    pub(super) stream: TcpStream,
    reader: BufReader<TcpStream>,
    /// From 0, as they were accepted.
    pub(super) index: usize,
    pub(super) path: String,
}

/// Serves each connection by `serve`, for as long as the test runs; returns the address.
pub(super) fn serve(serve: impl Fn(Peer) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it is bound").to_string();
    let serve = Arc::new(serve);
    std::thread::spawn(move || {
        for (index, stream) in listener.incoming().enumerate() {
            let (stream, serve) = (stream.expect("it is accepted"), serve.clone());
            std::thread::spawn(move || serve(Peer::upgrade(stream, index)));
        }
    });
    address
}

/// An echo that may change each message (connection, message from 1, payload) before it sends it.
pub(super) fn echo(change: impl Fn(usize, u64, &mut Vec<u8>) + Send + Sync + 'static) -> String {
    serve(move |mut peer| {
        let mut message = 0;
        while let Some((opcode, mut payload)) = peer.read() {
            message += 1;
            change(peer.index, message, &mut payload);
            peer.write(opcode, &payload);
        }
    })
}

impl Peer {
    fn upgrade(mut stream: TcpStream, index: usize) -> Self {
        stream.set_nodelay(true).expect("a socket");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket");
        stream.set_write_timeout(Some(Duration::from_secs(20))).expect("a socket");
        let (mut head, mut byte) = (Vec::new(), [0]);
        loop {
            stream.read_exact(&mut byte).expect("a request");
            head.push(byte[0]);
            let parsed = handshake::parse(&head, &HeadLimits::default()).expect("a good request");
            if let Progress::Upgrade { request, key, .. } = parsed {
                let mut answer = Vec::new();
                handshake::response(&key, &[], None, &[], &mut answer).expect("no headers");
                stream.write_all(&answer).expect("it is there");
                let reader = BufReader::new(stream.try_clone().expect("a socket"));
                return Self { stream, reader, index, path: request.path().to_owned() };
            }
        }
    }

    /// The next frame; none when the client says goodbye, which is answered, or is gone.
    pub(super) fn read(&mut self) -> Option<(Opcode, Vec<u8>)> {
        let mut head = Vec::new();
        let header = loop {
            let mut byte = [0];
            self.reader.read_exact(&mut byte).ok()?;
            head.push(byte[0]);
            if let Some((header, _)) = frame::parse_header(&head).expect("a good frame") {
                break header;
            }
        };
        let mut payload = vec![0; header.payload_bytes as usize];
        self.reader.read_exact(&mut payload).ok()?;
        mask::apply(&mut payload, header.key.expect("a client's frame has a mask"));
        if header.opcode == Opcode::Close {
            self.write(Opcode::Close, &payload);
            return None;
        }
        Some((header.opcode, payload))
    }

    pub(super) fn write(&mut self, opcode: Opcode, payload: &[u8]) {
        let mut bytes = Vec::new();
        frame::append(opcode, None, payload, &mut bytes);
        let _ = self.stream.write_all(&bytes); // who is gone needs none
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Both); // others may hold it too
    }
}
