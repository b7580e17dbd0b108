//! What the rivals on tokio share: flags, a runtime of one thread, and accepting.

use clap::Parser;
use std::io;
use std::net::Ipv4Addr;
use tokio::net::{TcpListener, TcpStream};

#[derive(Parser)]
struct Flags {
    /// Where to listen, on 127.0.0.1
    #[arg(long)]
    port: u16,
}

/// Accepts on the port that the command line names, for ever, and spawns what `client` makes of each stream.
/// All of it runs on this thread.
pub fn serve<Client>(client: impl Fn(TcpStream) -> Client) -> io::Result<()>
where
    Client: Future<Output = ()> + Send + 'static,
{
    let flags = Flags::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, flags.port)).await?;
        println!("listening on {}", listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio::spawn(client(stream));
        }
    })
}
