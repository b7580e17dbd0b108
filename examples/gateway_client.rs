//! A client that fills the gateway (`gateway.rs`) over one connection, and says how long it took until all was handled.

use clap::Parser;
use corewire::wire::CloseCode;
use corewire::wire::close;
use corewire::wire::frame::{self, Opcode};
use corewire::wire::handshake::{self, Key};
use corewire_actors::sbe::Trade;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::process::ExitCode;
use std::time::Instant;

/// Sends trades in SBE to the gateway, and waits until all are handled
#[derive(Parser)]
#[command(version, name = "gateway_client")]
struct Flags {
    /// How many trades
    #[arg(long, default_value_t = 1_000_000)]
    send: u64,
    /// Trades that are packed into a message
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    batch: u32,
    /// The gateway
    #[arg(long, default_value = "127.0.0.1:9001", value_name = "HOST:PORT")]
    to: String,
}

fn main() -> ExitCode {
    let Flags { send, batch, to } = Flags::parse();
    match run(&to, send, batch) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("gateway_client: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(to: &str, trades: u64, batch: u32) -> io::Result<()> {
    let mut server = connect(to)?;
    let mut random = fastrand::Rng::new();
    let mut prices = [100.0; 26];
    let (mut message, mut out) = (vec![0; batch as usize * Trade::BYTES], Vec::new());
    let (mut sent, mut messages) = (0, 0_u64);
    let began = Instant::now();
    while sent < trades {
        let packed = (trades - sent).min(batch.into()) as usize;
        for room in message.chunks_exact_mut(Trade::BYTES).take(packed) {
            sent += 1;
            let symbol = random.u8(..26);
            let price = &mut prices[usize::from(symbol)];
            *price = f64::max(*price + f64::from(random.i8(-8..=8)) / 64.0, 1.0);
            let trade = Trade {
                trade_id: sent,
                symbol: b'A' + symbol,
                price: *price,
                quantity: random.u32(1..1000),
                venue: None,
            };
            trade.encode(room).map_err(io::Error::other)?;
        }
        let key = random.u32(..).to_ne_bytes();
        frame::append(Opcode::Binary, Some(key), &message[..packed * Trade::BYTES], &mut out);
        messages += 1;
        if out.len() >= WRITE_BYTES || sent == trades {
            server.write_all(&out)?;
            out.clear();
        }
    }
    // It answers a close when it has read what was before.
    close::encode(Some(CloseCode::NORMAL), "", Some([0; 4]), &mut out);
    server.write_all(&out)?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer)?;
    if answer != [0x88, 2, 0x03, 0xe8] {
        let words = String::from_utf8_lossy(answer.get(4..).unwrap_or_default());
        return Err(io::Error::other(format!("the server did not take all of it: {words}")));
    }
    let seconds = began.elapsed().as_secs_f64();
    let rate = trades as f64 / seconds / 1e6;
    println!("{trades} trades in {messages} messages, handled in {seconds:.3} s: {rate:.2} million a second");
    Ok(())
}

fn connect(to: &str) -> io::Result<TcpStream> {
    let mut server = TcpStream::connect(to)?;
    server.set_nodelay(true)?;
    let mut request = Vec::new();
    let mut nonce = [0; 16];
    nonce.fill_with(|| fastrand::u8(..));
    handshake::request(to, "/trades", &Key::from_nonce(nonce), &[], &[], &mut request)
        .map_err(io::Error::other)?;
    server.write_all(&request)?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        server.read_exact(&mut byte)?;
        answer.extend(byte);
    }
    if answer.starts_with(b"HTTP/1.1 101 ") {
        return Ok(server);
    }
    let status =
        String::from_utf8_lossy(answer.split(|&byte| byte == b'\r').next().unwrap_or_default()).into_owned();
    Err(io::Error::other(status))
}

const WRITE_BYTES: usize = 64 << 10;
