//! The rival tokio-tungstenite: echo on /, and rooms on /room/NAME by tokio's broadcast channel.
//!
//! Echo is its own example: `forward` writes while further messages are there and flushes when none is.

use futures_util::stream::SplitSink;
use futures_util::{SinkExt, StreamExt, future};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::TcpStream;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async_with_config};

/// Bytes that each connection receives into. With the default of 128 KiB a message of 20 B costs a third more on 50
/// connections, and more yet on 1000 (they leave no cache to it); only messages of 256 KiB like that better.
const READ_BUFFER_BYTES: usize = 16 * 1024;
/// Messages that a member may fall behind before it misses some.
const ROOM_MESSAGES_MAX: usize = 4096;

type Socket = WebSocketStream<TcpStream>;
type Rooms = Arc<Mutex<HashMap<String, broadcast::Sender<Message>>>>;

fn main() -> std::io::Result<()> {
    let rooms = Rooms::default();
    corewire_rivals::serve(move |stream| client(stream, rooms.clone()))
}

async fn client(stream: TcpStream, rooms: Rooms) {
    let mut path = String::new();
    #[expect(clippy::result_large_err, reason = "the callback's type is tungstenite's")]
    let note_path = |request: &Request, response: Response| -> Result<Response, ErrorResponse> {
        path = request.uri().path().to_owned();
        Ok(response)
    };
    let config = WebSocketConfig::default().read_buffer_size(READ_BUFFER_BYTES);
    let Ok(socket) = accept_hdr_async_with_config(stream, note_path, Some(config)).await else { return };
    // Clients that leave without a word are no news.
    let _ = match path.strip_prefix("/room/") {
        Some(room) => {
            let room = rooms
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .entry(room.to_owned())
                .or_insert_with(|| broadcast::Sender::new(ROOM_MESSAGES_MAX))
                .clone();
            member(socket, room).await
        }
        None => echo(socket).await,
    };
}

async fn echo(socket: Socket) -> Result<(), Error> {
    let (writer, reader) = socket.split();
    reader.filter(|message| future::ready(is_data(message))).forward(writer).await
}

/// What a member says goes to all members, itself included. What has come is written at once, then flushed.
async fn member(socket: Socket, room: broadcast::Sender<Message>) -> Result<(), Error> {
    let mut heard = room.subscribe();
    let (mut writer, mut reader) = socket.split();
    loop {
        tokio::select! {
            said = reader.next() => match said {
                Some(Ok(message)) if message.is_text() || message.is_binary() => {
                    let _ = room.send(message); // at least this member hears it
                }
                Some(Ok(_)) => writer.flush().await?, // pongs
                Some(Err(error)) => return Err(error),
                None => return Ok(()),
            },
            message = heard.recv() => match message {
                Ok(message) => write_all(message, &mut heard, &mut writer).await?,
                Err(RecvError::Lagged(missed)) => eprintln!("a member missed {missed} messages"),
                Err(RecvError::Closed) => return Ok(()),
            },
        }
    }
}

async fn write_all(
    first: Message,
    heard: &mut broadcast::Receiver<Message>,
    writer: &mut SplitSink<Socket, Message>,
) -> Result<(), Error> {
    writer.feed(first).await?;
    loop {
        match heard.try_recv() {
            Ok(message) => writer.feed(message).await?,
            Err(TryRecvError::Lagged(missed)) => eprintln!("a member missed {missed} messages"),
            Err(TryRecvError::Empty | TryRecvError::Closed) => return writer.flush().await,
        }
    }
}

fn is_data(message: &Result<Message, Error>) -> bool {
    message.as_ref().map_or(true, |message| message.is_text() || message.is_binary())
}
