//! Rooms on real shards: from core to core, from other threads, and when thousands leave at once.

use super::harness::{Client, Local, Process, Said, alone, connect_from, request, wait_until};
use corewire::prelude::*;
use corewire::server::Placement;
use corewire::wire::handshake::Key;
use corewire_actors::rooms::{
    AskStats, Body, InRooms, Join, Note, Rooms, RoomsConfig, RoomsFromOutside, RoomsStats,
};
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

struct Member;
impl Session for Member {
    fn open(&mut self, cx: &mut Context<Self>) -> Result<(), Close> {
        Ok(cx.join_room("lobby", Join::plain())?)
    }
    fn message(&mut self, message: Message, cx: &mut Context<Self>) -> Result<(), Close> {
        Ok(cx.publish("lobby", message)?)
    }
}

fn server(workers: u32) -> Local {
    Local::with(
        // One after the other, so that there are members on all shards.
        |config| (config.workers, config.placement) = (workers, Placement::RoundRobin),
        |server| server.service(Rooms::service(RoomsConfig::default())).at("/", |_: &Upgrade| Ok(Member)),
    )
}

fn stats(server: &Local) -> Vec<RoomsStats> {
    let outside = server.handle.outside();
    let ask = |rooms| outside.ask(rooms, AskStats { slowest: 10 }).wait().expect("it answers");
    outside.services::<Rooms>().map(ask).collect()
}

/// Members, as the rooms' homes know them.
fn guests(server: &Local) -> usize {
    stats(server).iter().map(|stats| stats.guests).sum()
}

fn hear(client: &mut Client) -> String {
    match client.next() {
        Said::Text(text) => String::from_utf8(text).expect("it is text"),
        other => panic!("{other:?} instead of a text"),
    }
}

#[test]
fn what_is_said_on_one_core_is_heard_on_all_in_the_same_order() {
    let server = server(2);
    let mut clients: Vec<Client> = (0..8).map(|_| server.client()).collect();
    wait_until("all are in", || guests(&server) == 8);
    assert!(stats(&server).iter().all(|stats| stats.members > 0), "on both shards, or this shows nothing");
    for n in 0..100 {
        for (index, client) in clients.iter_mut().enumerate() {
            client.text(&format!("{index}: {n}"));
        }
    }
    let first: Vec<String> = (0..800).map(|_| hear(&mut clients[0])).collect();
    for client in &mut clients[1..] {
        let heard: Vec<String> = (0..800).map(|_| hear(client)).collect();
        assert_eq!(heard, first);
    }
    for index in 0..8 {
        let its: Vec<&String> = first.iter().filter(|text| text.starts_with(&format!("{index}:"))).collect();
        assert_eq!(
            its,
            (0..100).map(|n| format!("{index}: {n}")).collect::<Vec<_>>().iter().collect::<Vec<_>>()
        );
    }
}

#[test]
fn other_threads_speak_in_rooms_too() {
    let server = server(2);
    let mut client = server.client();
    wait_until("it is in", || guests(&server) == 1);
    server.handle.outside().publish("lobby", Note::new(Body::Text("hello".into()))).expect("there is room");
    assert_eq!(hear(&mut client), "hello");
}

#[test]
fn large_messages_go_to_all_as_they_came() {
    let server = server(2);
    let mut clients: Vec<Client> = (0..4).map(|_| server.client()).collect();
    wait_until("all are in", || guests(&server) == 4);
    let large: String = ('a'..='z').cycle().take(300_000).collect();
    clients[0].text(&large);
    for client in &mut clients {
        assert!(hear(client) == large);
    }
}

#[test]
fn a_room_that_everybody_has_left_is_forgotten() {
    let server = server(2);
    drop((0..4).map(|_| server.client()).collect::<Vec<_>>());
    wait_until("all are out, and the room is forgotten", || {
        stats(&server).iter().all(|stats| (stats.homes, stats.relays, stats.members) == (0, 0, 0))
    });
}

#[test]
fn ten_thousand_who_leave_at_once_do_not_stop_who_stays() {
    let _alone = alone();
    let server = Process::example("rooms", &[]);
    let key = Key::from_nonce([0; 16]);
    let open = |n: u8| {
        let mut client = Client::new(connect_from(Ipv4Addr::new(127, 0, 3, n), server.address));
        client.raw(&request("/room/lobby", &[], &key));
        client
    };
    let mut stays = open(1);
    stays.opened(&key, &[]);
    let mut crowd: Vec<Client> = (0..10_000).map(|_| open(2)).collect();
    for client in &mut crowd {
        client.opened(&key, &[]);
    }
    let mut say = |text: &str| {
        let began = Instant::now();
        stays.text(text);
        while hear(&mut stays) != text {}
        began.elapsed()
    };
    say("before");
    for client in &crowd {
        let socket = socket2::SockRef::from(&client.stream);
        socket.set_linger(Some(Duration::ZERO)).expect("it is TCP"); // it is reset
    }
    let gone = std::thread::spawn(move || drop(crowd));
    let mut times: Vec<Duration> = (0..500).map(|n| say(&format!("during {n}"))).collect();
    gone.join().expect("sockets close");
    times.sort_unstable();
    println!(
        "said and heard while 10,000 leave: median {:?}, p99 {:?}, worst {:?}",
        times[250], times[495], times[499]
    );
    assert!(times[495] < Duration::from_secs(2), "{times:?}");
}
