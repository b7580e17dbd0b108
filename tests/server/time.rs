//! Deadlines, silence, and peers that are gone without a word.

use super::harness::{Client, Local, Said, connect, read_all, wait_until};
use corewire::prelude::*;
use corewire::wire::frame::Opcode;
use std::net::Shutdown;
use std::time::{Duration, Instant};

#[test]
fn one_who_connects_and_says_nothing_is_answered_408_at_the_deadline() {
    let server = Local::echo(|config| config.rules.handshake_timeout = Duration::from_millis(300));
    let begun = Instant::now();
    let mut stream = connect(server.address);
    let answer = read_all(&mut stream);
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer:?}");
    let waited = begun.elapsed();
    assert!((Duration::from_millis(300) - EARLY..LATE).contains(&waited), "{waited:?}");
    drop(stream);
    wait_until("it is forgotten", || server.handle.stats().connections == 0);
}

/// A shard's clock is as old as its turn, so on a busy machine a deadline may come a little early, by our clock.
const EARLY: Duration = Duration::from_millis(150);
/// By then it has come on any machine, and what else would end a connection has not.
const LATE: Duration = Duration::from_secs(10);

/// A server that is impatient with silence, but not with a machine on which this test gets no time for a while.
fn impatient() -> Local {
    Local::echo(|config| {
        config.rules.ping_interval = PING;
        config.rules.idle_timeout = IDLE;
    })
}
const PING: Duration = Duration::from_millis(500);
const IDLE: Duration = Duration::from_secs(3);

#[test]
fn a_silent_client_is_pinged_and_then_closed_with_1001() {
    let server = impatient();
    let begun = Instant::now();
    let mut client = server.client();
    assert_eq!(client.next(), Said::Ping(vec![]));
    let pinged = begun.elapsed();
    client.check_closed(1001);
    let closed = begun.elapsed();
    assert!((PING - EARLY..LATE).contains(&pinged), "pinged after {pinged:?}");
    assert!((IDLE - EARLY..LATE).contains(&closed), "closed after {closed:?}");
    drop(client);
    wait_until("it is forgotten", || server.handle.stats().connections == 0);
}

#[test]
fn a_client_that_answers_pings_stays() {
    let server = impatient();
    let begun = Instant::now();
    let mut client = server.client();
    let mut pings = 0;
    while begun.elapsed() < 2 * IDLE {
        let said = client.next();
        let Said::Ping(payload) = said else { panic!("{said:?} after {pings} pings") };
        client.send(Opcode::Pong, &payload);
        pings += 1;
    }
    assert!(pings >= 2, "{pings} pings in two time-outs");
    client.check_echo("still here");
}

#[test]
fn a_client_that_speaks_is_not_pinged() {
    let server = Local::echo(|config| {
        config.rules.ping_interval = IDLE; // longer than this test may stand still between two words
        config.rules.idle_timeout = 3 * IDLE;
    });
    let begun = Instant::now();
    let mut client = server.client();
    while begun.elapsed() < 2 * IDLE {
        client.text("here");
        assert_eq!(client.next(), Said::Text(b"here".to_vec()));
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

#[test]
fn a_client_that_does_not_answer_our_close_is_cut_off() {
    let server = Local::echo(|config| {
        config.rules.ping_interval = Duration::from_secs(1000);
        config.rules.idle_timeout = Duration::from_millis(200);
        config.rules.close_timeout = Duration::from_millis(300);
    });
    let mut client = server.client();
    assert!(matches!(client.next(), Said::Close(Some(1001), _)));
    let begun = Instant::now();
    wait_until("it is forgotten", || server.handle.stats().connections == 0); // and `client` is still open
    assert!(begun.elapsed() < LATE, "{:?}", begun.elapsed()); // and nothing else would end it
    client.hang_up();
}

#[test]
fn peers_that_hang_up_half_reset_or_vanish_are_cleaned_up() {
    let server = Local::echo(|config| config.rules.close_timeout = Duration::from_millis(300));
    let mut bystander = server.client();
    let (mut held, everybody): (Vec<Client>, _) = (Vec::new(), 60);
    for n in 0..everybody {
        let mut client = if n % 2 == 0 { server.client() } else { Client::new(connect(server.address)) };
        match n % 6 {
            0 | 1 => client.stream.shutdown(Shutdown::Write).expect("it is open"),
            2 | 3 => {
                let socket = socket2::SockRef::from(&client.stream);
                socket.set_linger(Some(Duration::ZERO)).expect("it is TCP"); // closing it resets it
                continue;
            }
            4 => client.raw(b"\x81\xfe\x01\0"), // in the middle of a header
            _ => client.raw(b"GET / HT"),
        }
        if n % 6 < 2 {
            held.push(client); // half open
        }
    }
    wait_until("only the bystander is left", || server.handle.stats().connections == 1);
    bystander.check_echo("where is everybody?");
}

#[test]
fn one_who_hangs_up_after_asking_gets_its_answer_and_leaves_nothing_behind() {
    // Longer than a test waits: the end must come from the peer's, not from a deadline.
    let server = Local::echo(|config| config.rules.close_timeout = Duration::from_secs(60));
    for bytes in [20, 200_000] {
        let mut client = server.client();
        let payload: Vec<u8> = (0..bytes).map(|at| at as u8).collect();
        client.send(Opcode::Binary, &payload);
        client.stream.shutdown(Shutdown::Write).expect("it is open");
        assert!(client.next() == Said::Binary(payload), "{bytes} bytes");
        wait_until("it is forgotten", || server.handle.stats().connections == 0);
    }
}

/// Ticks every 5 ms, sleeps in one of them, and tells its client when it heard the last.
struct Sleeper(Vec<u64>);

#[derive(Clone)]
struct Tick;

impl Session for Sleeper {
    fn open(&mut self, cx: &mut Context<Self>) -> Result<(), Close> {
        let me = cx.address();
        cx.every(Duration::from_millis(5), me, Tick)?;
        Ok(())
    }

    fn message(&mut self, _: Message, _: &mut Context<Self>) -> Result<(), Close> {
        Ok(())
    }
}

impl Handler<Tick> for Sleeper {
    type Reply = ();
    fn handle(&mut self, _: Tick, cx: &mut Context<Self>) {
        self.0.push(cx.now().as_nanos() / 1000);
        match self.0.len() {
            3 => std::thread::sleep(Duration::from_millis(100)), // the stall that this is about
            20 => {
                let heard: Vec<_> = self.0.iter().map(u64::to_string).collect();
                cx.client().send_text(&heard.join(" ")).expect("there is room");
            }
            _ => {}
        }
    }
}

#[test]
fn what_is_sent_every_so_often_is_not_made_up_for_after_a_stall() {
    let server = Local::with(|_| (), |server| server.at("/", |_: &Upgrade| Ok(Sleeper(Vec::new()))));
    let mut client = server.client();
    let Said::Text(heard) = client.next() else { panic!("it tells when it heard its ticks") };
    let heard = String::from_utf8(heard).expect("it is text");
    let heard: Vec<u64> = heard.split(' ').map(|moment| moment.parse().expect("a number")).collect();
    assert!(heard.windows(2).all(|pair| pair[0] < pair[1]), "two in one turn: {heard:?}");
    // Nineteen periods are 95 ms; some of them fell into the stall.
    assert!(heard[19] - heard[0] > 150_000, "what was missed was made up for: {heard:?}");
}
