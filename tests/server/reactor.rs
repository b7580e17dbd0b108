//! Futures of glommio's in actors: they go on, and their shard hears everything else as promptly as before.
//!
//! No sleep of a shard is longer than a second, so what is done fifty times one after the other, in less than fifty seconds by
//! far, was not done by the end of those.

use super::harness::{Client, Echo, Local, PATIENCE, Said, wait_until};
use corewire::actor::Returned;
use corewire::glommio;
use corewire::glommio::io::{BufferedFile, DmaFile};
use corewire::glommio::timer::sleep;
use corewire::prelude::*;
use corewire::shard::{ShardId, on_reactor};
use futures_lite::{AsyncReadExt, AsyncWriteExt, stream};
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

const ROUNDS: u32 = 50;
const PROMPT: Duration = Duration::from_secs(15);
const LONG: Duration = Duration::from_secs(3600);

/// Does what it is told, and tells the test of it.
struct Worker {
    says: flume::Sender<String>,
    /// How often it has kept its shard busy.
    round: u32,
}

type Doing = Box<dyn FnOnce(&mut Worker, &mut Context<Worker>) + Send>;
struct Do(Doing);
struct Again;
struct Whoami;
struct Cpu;

impl Actor for Worker {
    fn returned(&mut self, _: Returned, _: &mut Context<Self>) {
        self.say("came back");
    }
}

impl Worker {
    fn say(&mut self, what: impl Into<String>) {
        let _ = self.says.send(what.into());
    }
}

impl Handler<Do> for Worker {
    type Reply = ();
    fn handle(&mut self, Do(doing): Do, cx: &mut Context<Self>) {
        doing(self, cx);
    }
}

/// Keeps its shard busy.
impl Handler<Again> for Worker {
    type Reply = ();
    fn handle(&mut self, _: Again, cx: &mut Context<Self>) {
        self.round += 1;
        let me = cx.address();
        cx.send(me, Again).expect("there is room");
    }
}

/// Its thread, in /proc.
impl Handler<Whoami> for Worker {
    type Reply = PathBuf;
    fn handle(&mut self, _: Whoami, _: &mut Context<Self>) -> PathBuf {
        Path::new("/proc").join(std::fs::read_link("/proc/thread-self").expect("Linux tells"))
    }
}

/// How long its thread has been on a CPU.
impl Handler<Cpu> for Worker {
    type Reply = Duration;
    fn handle(&mut self, _: Cpu, _: &mut Context<Self>) -> Duration {
        let stat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux tells");
        let nanos = stat.split_whitespace().next().and_then(|nanos| nanos.parse().ok());
        Duration::from_nanos(nanos.expect("a number"))
    }
}

fn server() -> Local {
    Local::with(|_| (), |server| server.at("/", |_: &Upgrade| Ok(Echo)))
}

/// A worker, and how it is spoken to.
struct Hand {
    outside: Outside,
    worker: Address<Worker>,
    heard: flume::Receiver<String>,
}

impl Hand {
    fn on(server: &Local, shard: u16) -> Self {
        let outside = server.handle.outside().clone();
        let (says, heard) = flume::unbounded();
        let worker = Worker { says, round: 0 };
        let worker = outside.spawn_on(ShardId(shard), worker).wait(PATIENCE).expect("there is a slot");
        Self { outside, worker, heard }
    }

    fn does(&self, doing: impl FnOnce(&mut Worker, &mut Context<Worker>) + Send + 'static) {
        assert!(self.outside.send(self.worker, Do(Box::new(doing))).is_ok(), "there is room");
    }

    fn hears(&self) -> String {
        self.heard.recv_timeout(PATIENCE).expect("it says something")
    }

    /// One that is under way from now on, and will be for long.
    fn awaits_glommio(&self) {
        self.does(|worker, cx| {
            cx.pipe(on_reactor(sleep(LONG)), |_, (), _| ()).expect("there is room");
            worker.say("begun");
        });
        assert_eq!(self.hears(), "begun");
    }

    /// The descriptor of the ring in which its shard sleeps.
    fn sleeps_in(&self) -> String {
        let thread = self.outside.ask(self.worker, Whoami).within(PATIENCE).wait().expect("it answers");
        let mut ring = None;
        wait_until("it sleeps in a ring", || {
            let call = std::fs::read_to_string(thread.join("syscall")).expect("a thread of this process");
            let mut words = call.split_whitespace();
            let is_enter = words.next() == Some("426"); // io_uring_enter, on every machine
            ring = words.next().filter(|_| is_enter).map(str::to_owned);
            ring.is_some()
        });
        ring.expect("it was found")
    }
}

/// `round`, again and again.
fn promptly(what: &str, mut round: impl FnMut(u32)) {
    let begun = Instant::now();
    (0..ROUNDS).for_each(&mut round);
    let took = begun.elapsed();
    assert!(took < PROMPT, "{what}: {ROUNDS} took {took:?}");
}

#[test]
fn a_timer_of_glommio_s_fires_while_its_shard_sleeps() {
    let server = server();
    let hand = Hand::on(&server, 1);
    promptly("timers", |_| {
        hand.does(|_, cx| {
            let soon = on_reactor(sleep(Duration::from_millis(1)));
            cx.pipe(soon, |worker, (), _| worker.say("it rang")).expect("there is room");
        });
        assert_eq!(hand.hears(), "it rang");
    });
    assert_eq!(server.handle.stats().wakes_lost, 0);
}

#[test]
fn a_timer_of_glommio_s_fires_while_its_shard_is_always_busy() {
    let server = server();
    let (hand, busy) = (Hand::on(&server, 1), Hand::on(&server, 1));
    assert!(busy.outside.send(busy.worker, Again).is_ok(), "there is room");
    promptly("timers", |_| {
        hand.does(|_, cx| {
            let soon = on_reactor(sleep(Duration::from_millis(1)));
            cx.pipe(soon, |worker, (), _| worker.say("it rang")).expect("there is room");
        });
        assert_eq!(hand.hears(), "it rang");
    });
    // And it was not as if it slept meanwhile.
    busy.does(|worker, _| worker.say(worker.round.to_string()));
    let rounds: u32 = busy.hears().parse().expect("a number");
    assert!(rounds > 10 * ROUNDS, "{rounds} messages");
}

/// A file that is there as long as this is.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        // Beside the binaries: what is in memory only knows no direct I/O everywhere.
        Self(Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id())))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

async fn buffered(path: PathBuf) -> Result<String, glommio::GlommioError<()>> {
    let file = BufferedFile::create(&path).await?;
    file.write_at(b"written and read".to_vec(), 0).await?;
    file.fdatasync().await?;
    file.close().await?;
    let file = BufferedFile::open(&path).await?;
    let read = file.read_at(0, 100).await?.to_vec();
    file.close().await?;
    Ok(String::from_utf8_lossy(&read).into_owned())
}

async fn direct(path: PathBuf) -> Result<String, glommio::GlommioError<()>> {
    let file = DmaFile::create(&path).await?;
    let mut buf = file.alloc_dma_buffer(4096);
    buf.as_bytes_mut().fill(b'x');
    file.write_at(buf, 0).await?;
    file.close().await?;
    let file = DmaFile::open(&path).await?;
    let read = file.read_at(0, 4096).await?.to_vec();
    file.close().await?;
    Ok(read.iter().filter(|byte| **byte == b'x').count().to_string())
}

#[test]
fn files_of_glommio_s_are_written_and_read() {
    let server = server();
    let hand = Hand::on(&server, 0);
    let (one, other) = (Scratch::new("buffered"), Scratch::new("direct"));
    for round in 0..10 {
        let (path, other) = (one.0.clone(), other.0.clone());
        hand.does(move |_, cx| {
            cx.pipe(on_reactor(buffered(path)), |worker, read, _| worker.say(read.expect("a file")))
                .expect("there is room");
        });
        assert_eq!(hand.hears(), "written and read", "{round}");
        hand.does(move |_, cx| {
            cx.pipe(on_reactor(direct(other)), |worker, read, _| worker.say(read.expect("a file")))
                .expect("there is room");
        });
        assert_eq!(hand.hears(), "4096", "{round}");
    }
}

#[test]
fn who_waits_for_glommio_handles_nothing_before() {
    let server = server();
    let hand = Hand::on(&server, 1);
    hand.does(|_, cx| {
        let soon = on_reactor(sleep(Duration::from_millis(50)));
        cx.wait(soon, |worker, (), _| worker.say("it has waited")).expect("there is room");
    });
    hand.does(|worker, _| worker.say("after that"));
    assert_eq!([hand.hears(), hand.hears()], ["it has waited", "after that"]);
}

#[test]
fn a_stream_of_glommio_s_comes_item_by_item() {
    let server = server();
    let hand = Hand::on(&server, 1);
    hand.does(|_, cx| {
        let ticks = stream::unfold(0, |n| async move {
            sleep(Duration::from_millis(1)).await;
            (n < ROUNDS).then_some((n, n + 1))
        });
        let each = |worker: &mut Worker, n: u32, _: &mut Context<Worker>| worker.say(n.to_string());
        cx.stream(on_reactor(ticks), each, |worker, _| worker.say("end")).expect("there is room");
    });
    promptly("ticks", |n| assert_eq!(hand.hears(), n.to_string()));
    assert_eq!(hand.hears(), "end");
}

async fn serve(tell: flume::Sender<SocketAddr>) -> std::io::Result<String> {
    let listener = glommio::net::TcpListener::bind("127.0.0.1:0")?;
    let _ = tell.send(listener.local_addr()?);
    let mut peer = listener.accept().await?;
    let mut said = [0; 5];
    peer.read_exact(&mut said).await?;
    peer.write_all(b"world").await?;
    Ok(String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn tasks_and_sockets_of_glommio_s_run_beside_the_shard() {
    let server = server();
    let hand = Hand::on(&server, 1);
    let (tell, told) = flume::bounded(1);
    hand.does(move |_, cx| {
        let task = glommio::spawn_local(serve(tell));
        cx.pipe(on_reactor(task), |worker, said, _| worker.say(said.expect("a peer")))
            .expect("there is room");
    });
    let address = told.recv_timeout(PATIENCE).expect("it listens");
    let mut peer = std::net::TcpStream::connect(address).expect("it accepts");
    peer.set_read_timeout(Some(PATIENCE)).expect("it may be limited");
    peer.write_all(b"hello").expect("it reads");
    let mut said = [0; 5];
    peer.read_exact(&mut said).expect("it answers");
    assert_eq!((&said, hand.hears().as_str()), (b"world", "hello"));
}

#[test]
fn a_shard_that_sleeps_in_glommio_hears_everything_else_promptly() {
    let server = server();
    let hands = [Hand::on(&server, 0), Hand::on(&server, 1)];
    hands.iter().for_each(Hand::awaits_glommio);
    let [hand, other] = &hands;
    let rings = [hand.sleeps_in(), other.sleeps_in()];

    let mut clients: Vec<Client> = (0..4).map(|_| server.client()).collect();
    promptly("messages of clients", |n| {
        for client in &mut clients {
            client.text(&n.to_string());
            assert_eq!(client.next(), Said::Text(n.to_string().into()));
        }
    });
    promptly("questions from outside", |_| {
        hand.outside.ask(hand.worker, Cpu).within(PATIENCE).wait().expect("it answers");
    });
    let there = other.worker;
    promptly("questions to another shard", |_| {
        hand.does(move |_, cx| {
            let tell = |worker: &mut Worker, answer: Result<PathBuf, AskError>, _: &mut Context<Worker>| {
                worker.say(if answer.is_ok() { "answered" } else { "not answered" });
            };
            cx.ask(there, Whoami).then(tell).expect("there is room");
        });
        assert_eq!(hand.hears(), "answered");
    });
    promptly("timers of the shard's", |_| {
        hand.does(|_, cx| {
            let me = cx.address();
            let ring = Do(Box::new(|worker, _| worker.say("it rang")));
            cx.after(Duration::from_millis(1), me, ring).expect("there is room");
        });
        assert_eq!(hand.hears(), "it rang");
    });
    let (wake, woken) = flume::unbounded::<u32>();
    hand.does(|_, cx| {
        let each = |worker: &mut Worker, n: u32, _: &mut Context<Worker>| worker.say(n.to_string());
        cx.stream(woken.into_stream(), each, |_, _| ()).expect("there is room");
    });
    promptly("futures that another thread wakes", |n| {
        wake.send(n).expect("it listens");
        assert_eq!(hand.hears(), n.to_string());
    });
    assert_eq!(rings, [hand.sleeps_in(), other.sleeps_in()], "all that in glommio");
    assert_eq!(server.handle.stats().wakes_lost, 0);
}

#[test]
fn a_shard_that_sleeps_in_glommio_takes_no_time() {
    let server = server();
    let hand = Hand::on(&server, 1);
    hand.awaits_glommio();
    let cpu = || hand.outside.ask(hand.worker, Cpu).within(PATIENCE).wait().expect("it answers");
    let (begun, before) = (Instant::now(), cpu());
    std::thread::sleep(Duration::from_secs(2)); // what is measured
    let (took, lasted) = (cpu() - before, begun.elapsed());
    assert!(took < lasted / 50, "{took:?} of {lasted:?}");
}

#[test]
fn a_shard_sleeps_in_its_own_ring_again_when_nobody_needs_glommio() {
    let server = server();
    let hand = Hand::on(&server, 1);
    let own = hand.sleeps_in();
    for _ in 0..2 {
        hand.does(|_, cx| {
            let task = cx.pipe(on_reactor(sleep(LONG)), |_, (), _| ()).expect("there is room");
            let me = cx.address();
            let end = Do(Box::new(move |_, cx| assert!(cx.cancel_task(task))));
            cx.after(Duration::from_secs(2), me, end).expect("there is room");
        });
        assert_ne!(hand.sleeps_in(), own);
        wait_until("it sleeps where it did", || hand.sleeps_in() == own);
    }
}

/// Tells when it is dropped.
struct Told(flume::Sender<()>);
impl Drop for Told {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

async fn for_long(_told: Told) {
    sleep(LONG).await;
}

#[test]
fn an_actor_that_ends_takes_its_futures_of_glommio_s_along() {
    let server = server();
    let hand = Hand::on(&server, 1);
    let witness = Hand::on(&server, 1);
    let own = witness.sleeps_in();
    let (tell, told) = flume::bounded(2);
    let path = Scratch::new("dropped");
    let theirs = path.0.clone();
    hand.does(move |worker, cx| {
        cx.pipe(on_reactor(for_long(Told(tell.clone()))), |_, (), _| ()).expect("there is room");
        // One that is with the kernel then.
        let file = async move {
            let _told = Told(tell);
            let _ = buffered(theirs).await;
            let listener = glommio::net::TcpListener::bind("127.0.0.1:0").expect("a port");
            drop(listener.accept().await);
        };
        cx.pipe(on_reactor(file), |_, (), _| ()).expect("there is room");
        worker.say("begun");
    });
    assert_eq!(hand.hears(), "begun");
    hand.does(|_, cx| cx.stop());
    for _ in 0..2 {
        told.recv_timeout(PATIENCE).expect("it is dropped");
    }
    wait_until("the shard sleeps as before", || witness.sleeps_in() == own);
}

#[test]
fn a_panic_in_a_future_of_glommio_s_costs_its_actor_and_nobody_else() {
    let server = server();
    let (hand, witness) = (Hand::on(&server, 1), Hand::on(&server, 1));
    let own = witness.sleeps_in();
    hand.does(|_, cx| {
        let panics = async {
            sleep(Duration::from_millis(1)).await;
            panic!("on purpose");
        };
        cx.pipe(on_reactor(panics), |_, (), _| ()).expect("there is room");
    });
    assert_eq!(hand.heard.recv_timeout(PATIENCE), Err(flume::RecvTimeoutError::Disconnected));
    wait_until("it is counted", || server.handle.stats().panics == 1);
    wait_until("the shard sleeps as before", || witness.sleeps_in() == own);
}

#[test]
fn a_server_stops_while_glommio_s_futures_are_under_way() {
    let server = server();
    let (tell, told) = flume::unbounded();
    for shard in [0, 1] {
        for waits in [true, false] {
            let (hand, told) = (Hand::on(&server, shard), Told(tell.clone()));
            hand.does(move |worker, cx| {
                let future = on_reactor(for_long(told));
                let begun =
                    if waits { cx.wait(future, |_, (), _| ()) } else { cx.pipe(future, |_, (), _| ()) };
                begun.expect("there is room");
                worker.say("begun");
            });
            assert_eq!(hand.hears(), "begun");
        }
    }
    let begun = Instant::now();
    server.handle.stop();
    server.join();
    assert!(begun.elapsed() < Config::default().drain_timeout, "{:?}", begun.elapsed());
    assert_eq!(told.try_iter().count(), 4);
}

#[test]
fn glommio_s_futures_come_to_their_end_beside_clients_that_keep_all_shards_busy() {
    let server = server();
    let hands: Vec<Hand> = (0..4).map(|n| Hand::on(&server, n % 2)).collect();
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let talking: Vec<_> = (0..2)
        .map(|_| {
            let (address, stop) = (server.address, stop.clone());
            std::thread::spawn(move || {
                let mut clients: Vec<Client> = (0..8).map(|_| Client::open(address)).collect();
                let mut rounds = 0;
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    clients.iter_mut().for_each(|client| client.text("hello"));
                    for client in &mut clients {
                        assert_eq!(client.next(), Said::Text("hello".into()));
                    }
                    rounds += 1;
                }
                rounds
            })
        })
        .collect();
    let scratches = ["a", "b", "c", "d"].map(Scratch::new);
    promptly("timers and files", |n| {
        for (hand, scratch) in hands.iter().zip(&scratches) {
            let path = scratch.0.clone();
            hand.does(move |_, cx| {
                let steps = async move {
                    sleep(Duration::from_micros(u64::from(n))).await;
                    buffered(path).await.expect("a file")
                };
                cx.pipe(on_reactor(steps), |worker, read, _| worker.say(read)).expect("there is room");
            });
        }
        hands.iter().for_each(|hand| assert_eq!(hand.hears(), "written and read"));
    });
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    for talking in talking {
        assert!(talking.join().expect("all are answered") > 0);
    }
    assert_eq!(server.handle.stats().wakes_lost, 0);
}
