//! A tokio library beside the shards, in both directions: sessions wait for its answers, and its tasks send to actors and
//! ask them. Here the library is a client of a small dictionary server, which stands for a data base.

use clap::Parser;
use corewire::prelude::*;
use corewire_actors::cli::ServerFlags;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Handle, Runtime};

/// Looks up words that it is sent, and brings the news
#[derive(Parser)]
#[command(version, name = "with_tokio")]
struct Flags {
    /// Where to listen; ":9001" is every address of this machine
    #[arg(long, env = "COREWIRE_ADDR", default_value = ":9001")]
    addr: String,
    #[command(flatten)]
    server: ServerFlags,
}

// ---- what lives on tokio ----

/// As clients of data bases are: its futures run on tokio's threads and nowhere else.
async fn look_up(server: SocketAddr, word: String) -> io::Result<String> {
    let mut stream = BufReader::new(TcpStream::connect(server).await?);
    stream.write_all(format!("{word}\n").as_bytes()).await?;
    let mut meaning = String::new();
    stream.read_line(&mut meaning).await?;
    Ok(meaning.trim_end().to_owned())
}

/// The other end of that.
async fn dictionary(listener: TcpListener) -> io::Result<()> {
    loop {
        let mut stream = BufReader::new(listener.accept().await?.0);
        tokio::spawn(async move {
            let mut word = String::new();
            stream.read_line(&mut word).await?;
            let word = word.trim();
            stream.write_all(format!("{word}: a word of {} letters\n", word.chars().count()).as_bytes()).await
        });
    }
}

/// From tokio to the shards: asks actors, and sends to them.
async fn tell_news(shards: Outside) {
    for number in 1_u64.. {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let mut readers = 0;
        for desk in shards.services::<NewsDesk>() {
            match shards.ask(desk, CountReaders).await {
                Ok(more) => readers += more,
                Err(AskError::Gone) => return, // the server ends
                Err(error) => eprintln!("readers that nobody has counted: {error}"),
            }
        }
        for desk in shards.services::<NewsDesk>() {
            let _ = shards.send(desk, News(format!("news {number}, for {readers}"))); // full or gone: old by then
        }
    }
}

// ---- what lives on the shards ----

/// One for all readers of a shard: a service, so it is there before the first of them.
#[derive(Default)]
struct NewsDesk(Vec<Recipient<News>>);

struct Subscribe(Recipient<News>);
struct CountReaders;
#[derive(Clone)]
struct News(String);

impl Actor for NewsDesk {
    fn returned(&mut self, returned: Returned, _: &mut Context<Self>) {
        self.0.retain(|reader| reader.id() != returned.to); // it has hung up, or does not read
    }
}

impl Handler<Subscribe> for NewsDesk {
    type Reply = ();
    fn handle(&mut self, Subscribe(reader): Subscribe, _: &mut Context<Self>) {
        self.0.push(reader);
    }
}

impl Handler<CountReaders> for NewsDesk {
    type Reply = usize;
    fn handle(&mut self, _: CountReaders, _: &mut Context<Self>) -> usize {
        self.0.len()
    }
}

impl Handler<News> for NewsDesk {
    type Reply = ();
    fn handle(&mut self, news: News, cx: &mut Context<Self>) {
        self.0.retain(|&reader| cx.send(reader, news.clone()).is_ok());
    }
}

struct Reader {
    tokio: Handle,
    server: SocketAddr,
}

impl Session for Reader {
    fn open(&mut self, cx: &mut Context<Self>) -> Result<(), Close> {
        let me = cx.address().recipient();
        let desk = cx.service::<NewsDesk>().expect("main starts one a shard");
        Ok(cx.send(desk, Subscribe(me))?)
    }

    fn message(&mut self, message: Message, cx: &mut Context<Self>) -> Result<(), Close> {
        let word = message.as_text().unwrap_or_default().to_owned();
        // It runs there; its result, which any runtime can wait for, is waited for here.
        let found = self.tokio.spawn(look_up(self.server, word));
        cx.pipe(found, |_, found, cx| {
            let meaning = found
                .map_err(io::Error::other)
                .and_then(|found| found)
                .unwrap_or_else(|error| error.to_string());
            let _ = cx.client().send_text(&meaning); // a client that is not there any more needs no answer
        })?;
        Ok(())
    }
}

impl Handler<News> for Reader {
    type Reply = ();
    fn handle(&mut self, News(text): News, cx: &mut Context<Self>) {
        let _ = cx.client().send_text(&text); // who is slow misses some
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let flags = Flags::parse();
    flags.server.log();
    let runtime = Runtime::new()?; // threads of its own, which run where the shards do not keep them from it
    let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
    let server = listener.local_addr()?;
    runtime.spawn(dictionary(listener));

    let tokio = runtime.handle().clone();
    let reader = move |_: &Upgrade| Ok(Reader { tokio: tokio.clone(), server });
    let web_server = Server::bind(flags.addr).config(flags.server.config());
    web_server.service(|_| NewsDesk::default()).at("/", reader).run_with(|running| {
        runtime.spawn(tell_news(running.handle().outside().clone()));
        let port = running.address().port();
        println!(
            "listening on {}; try: npx wscat -c ws://localhost:{port}, and say a word",
            running.address()
        );
    })?;
    Ok(())
}
