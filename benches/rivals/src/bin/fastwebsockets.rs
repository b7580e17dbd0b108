//! The rival fastwebsockets: echo, as in its own example (hyper answers the upgrade, fragments are collected, tasks are
//! unconstrained).
//!
//! It writes each frame at once; [`Gathered`] makes that one write for one read, which is an eighth of the CPU with 16
//! messages in flight, and no loss with one.

use corewire_rivals::Gathered;
use fastwebsockets::{FragmentCollector, OpCode, WebSocketError, upgrade};
use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

fn main() -> std::io::Result<()> {
    corewire_rivals::serve(client)
}

async fn client(stream: TcpStream) {
    let stream = TokioIo::new(Gathered::new(stream));
    let connection = http1::Builder::new().serve_connection(stream, service_fn(answer));
    if let Err(error) = connection.with_upgrades().await {
        eprintln!("handshake: {error}");
    }
}

async fn answer(mut request: Request<Incoming>) -> Result<Response<Empty<Bytes>>, WebSocketError> {
    let (response, upgraded) = upgrade::upgrade(&mut request)?;
    tokio::spawn(tokio::task::unconstrained(async {
        let _ = echo(upgraded).await; // clients that leave without a word are no news
    }));
    Ok(response)
}

async fn echo(upgraded: upgrade::UpgradeFut) -> Result<(), WebSocketError> {
    let mut socket = FragmentCollector::new(upgraded.await?);
    loop {
        let frame = socket.read_frame().await?;
        match frame.opcode {
            OpCode::Text | OpCode::Binary => socket.write_frame(frame).await?,
            OpCode::Close => return Ok(()),
            _ => {}
        }
    }
}
