//! `Sessions` of the real server, whose shards sleep between two words.

use super::harness::{Client, Local, Said, wait_until};
use corewire::prelude::*;
use corewire_actors::sessions::{
    Count, Found, InSessions, Kick, OfUser, SessionId, Sessions, SessionsConfig, SignInError, Whom,
};

/// `/?ann`: signs in, and sends what its client says to all sessions of the user that is named first.
struct Desk(String);

impl Session for Desk {
    fn open(&mut self, cx: &mut Context<Self>) -> Result<(), Close> {
        Ok(cx.sign_in(&self.0.clone(), "desk", Self::signed_in)?)
    }

    fn message(&mut self, message: Message, cx: &mut Context<Self>) -> Result<(), Close> {
        let whom = message.as_text().and_then(|text| text.split(' ').next()).unwrap_or_default().to_owned();
        Ok(cx.send_to_user(&whom, message)?)
    }
}

impl Desk {
    fn signed_in(&mut self, id: Result<SessionId, SignInError>, cx: &mut Context<Self>) {
        match id {
            Ok(_) => cx.client().send_text("in").expect("it reads"),
            Err(error) => cx.client().close(error.into()),
        }
    }
}

#[test]
fn users_with_sessions_on_two_shards_are_found_spoken_to_and_kicked() {
    let mut config = SessionsConfig::default();
    config.sessions_per_user_max = 8;
    let server = Local::with(
        |config| config.workers = 2,
        |server| {
            server.service(Sessions::with(config)).at("/", |upgrade: &Upgrade| {
                Ok(Desk(upgrade.query().ok_or_else(|| Refusal::new(400))?.to_owned()))
            })
        },
    );
    let open = |user: &str| Client::open_at(server.address, &format!("/?{user}"), &[]).0;
    let mut clients = Vec::new();
    for n in 0..16 {
        let mut client = open(["ann", "bob"][n % 2]);
        assert_eq!(client.next(), Said::Text("in".into()));
        clients.push(client);
    }
    let mut ninth = open("ann");
    assert!(matches!(ninth.next(), Said::Close(Some(1008), _)));
    ninth.close(1008, "");
    assert_eq!(ninth.next(), Said::End);
    for round in 0..50 {
        let (from, to) = (round % 16, round % 2);
        let text = format!("{} {round} {}", ["ann", "bob"][to], "x".repeat(round * 20));
        clients[from].text(&text);
        for client in clients.iter_mut().skip(to).step_by(2) {
            assert_eq!(client.next_but_pings(), Said::Text(text.clone().into_bytes()));
        }
    }
    let outside = server.handle.outside();
    let services: Vec<_> = outside.services::<Sessions>().collect();
    for &service in &services {
        let counts = outside.ask(service, Count).wait().expect("it answers");
        assert_eq!((counts.users, counts.sessions, counts.unanswered), (2, 16, 0));
        let Found { sessions, .. } = outside.ask(service, OfUser("ann".into())).wait().expect("it answers");
        assert_eq!(sessions.len(), 8);
    }
    let kick = Kick { whom: Whom::User("ann".into()), close: Close::new(4000, "enough") };
    outside.send(services[1], kick).expect("there is room");
    for (n, client) in clients.iter_mut().enumerate() {
        if n % 2 == 0 {
            assert_eq!(client.next_but_pings(), Said::Close(Some(4000), "enough".into()));
        }
    }
    clients.truncate(2); // the others are gone without a word
    wait_until("one session is left", || {
        let counts = outside.ask(services[0], Count).wait().expect("it answers");
        (counts.users, counts.sessions) == (1, 1)
    });
    clients[1].text("bob is here");
    assert_eq!(clients[1].next_but_pings(), Said::Text("bob is here".into()));
    assert_eq!(server.handle.stats().wakes_lost, 0);
}
