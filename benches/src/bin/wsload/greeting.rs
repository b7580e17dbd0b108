//! Before a broadcast is measured, every member must have heard its room once.
//!
//! A server may join a member a little after it has answered the upgrade. So each room's sender says hello until the last
//! hello has come to all members; what is sent before it has come then too, or never will, and counting can begin.

use crate::clients::Clients;
use crate::clock::{nanos, until};
use crate::connection::Connection;
use crate::error::{Error, Fault};
use crate::messages::Messages;
use crate::rooms::Rooms;
use corewire::wire::frame::{self, Opcode};
use std::io::{ErrorKind, Read};

/// What one member has heard.
#[derive(Default, Clone)]
struct Ear {
    /// Bytes of a frame that has not come whole.
    bytes: Vec<u8>,
    /// The last hello, from 1; 0 is none.
    hello: u64,
}

/// Says hello in every room until all members have heard the last one.
pub(crate) fn greet(
    clients: &mut Clients,
    rooms: &Rooms,
    messages: &Messages,
    patience_s: f64,
) -> Result<(), Error> {
    let clock = clients.clock;
    let mut ears = vec![Ear::default(); clients.connections.len()];
    let (end, mut pause_s) = (clock.now() + nanos(patience_s), FIRST_HELLO_S);
    clients.show("greeting", end);
    for hello in 1.. {
        for room in &rooms.all {
            say(&mut clients.connections[room.sender], hello, messages)
                .map_err(|fault| Error::Server { connection: room.sender, fault })?;
        }
        let again = (clock.now() + nanos(pause_s)).min(end);
        let mut deaf = rooms.members;
        while deaf > 0 && clock.now() < again {
            clients.turn(until(clock.now(), again, nanos(0.05)), |connections, index, buffer| {
                let (connection, ear) = (&mut connections[index], &mut ears[index]);
                let before = ear.hello;
                let more = listen(connection, ear, messages.opcode, buffer).and_then(|more| {
                    connection.flush(messages)?;
                    Ok(more)
                });
                let more = more.map_err(|fault| Error::Server { connection: index, fault })?;
                if !rooms.is_member(index) && ear.hello > 0 {
                    return Err(Error::Contract(format!(
                        "connection {index} is a sender and no member, and yet it hears its room"
                    )));
                }
                if ear.hello > before && ear.hello == hello {
                    deaf -= 1;
                }
                Ok(more)
            })?;
        }
        if deaf == 0 {
            return Ok(());
        }
        if clock.now() >= end {
            let silent = ears.iter().take(rooms.members).position(|ear| ear.hello < hello).unwrap_or(0);
            return Err(Error::Contract(format!(
                "{deaf} of {} members did not hear their room within {patience_s} s: connection {silent} in room {}, \
                 for one",
                rooms.members,
                rooms.room_of(silent)
            )));
        }
        pause_s *= 2.0;
    }
    Ok(())
}

fn say(sender: &mut Connection, hello: u64, messages: &Messages) -> Result<(), Fault> {
    let mut hello_frame = Vec::new();
    frame::append(messages.opcode, Some(*b"mask"), format!("{HELLO}{hello:08}").as_bytes(), &mut hello_frame);
    sender.send_aside(messages, &hello_frame)
}

/// Reads once; returns whether there may be more.
fn listen(
    connection: &mut Connection,
    ear: &mut Ear,
    opcode: Opcode,
    buffer: &mut [u8],
) -> Result<bool, Fault> {
    let received = match connection.stream.read(buffer) {
        Ok(0) => return Err(Fault::HungUp),
        Ok(received) => received,
        Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
        Err(error) => return Err(Fault::Broken(error)),
    };
    ear.bytes.extend_from_slice(&buffer[..received]);
    let parsed =
        |bytes: &[u8]| frame::parse_header(bytes).map_err(|wrong| Fault::frame(1, wrong.to_string()));
    while let Some((header, header_bytes)) = parsed(&ear.bytes)? {
        let frame_bytes = header_bytes.saturating_add(header.payload_bytes as usize);
        if ear.bytes.len() < frame_bytes && header.payload_bytes <= HELLO_BYTES_MAX {
            break;
        }
        let payload = ear.bytes.get(header_bytes..frame_bytes).unwrap_or_default();
        match header.opcode {
            Opcode::Close => return Err(Fault::closed(payload)),
            Opcode::Ping => connection.answer_ping(payload),
            Opcode::Pong => {}
            kind => {
                let number =
                    payload.strip_prefix(HELLO.as_bytes()).and_then(|rest| str::from_utf8(rest).ok());
                let number = number.and_then(|number| number.parse().ok());
                ear.hello = number.filter(|_| kind == opcode && header.fin).ok_or_else(|| {
                    Fault::frame(1, "not what the room's sender has said, or not as it was said")
                })?;
            }
        }
        drop(ear.bytes.drain(..frame_bytes));
    }
    Ok(received == buffer.len())
}

const HELLO: &str = "wsload: hello ";
/// No frame is longer while greetings go round.
const HELLO_BYTES_MAX: u64 = 125;
/// Before hello is said again; then twice as long, and so on.
const FIRST_HELLO_S: f64 = 0.1;
