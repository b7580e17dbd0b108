//! Names and groups of the real server: sessions find each other over shards that sleep.

use super::harness::{Client, Local, Said, wait_until};
use corewire::actor::{Group, NameError};
use corewire::prelude::*;

const EVERYBODY: Group<Guest> = Group::new("everybody");

/// Takes the name that its client says, and hands on what it says to others.
struct Guest;

struct Heard(String);
#[derive(Clone)]
struct Shout(String);

impl Session for Guest {
    fn open(&mut self, cx: &mut Context<Self>) -> Result<(), Close> {
        cx.join(EVERYBODY).map_err(|error| Close::new(1013, error.to_string()))
    }

    fn message(&mut self, message: Message, cx: &mut Context<Self>) -> Result<(), Close> {
        let text = message.as_text().unwrap_or_default().to_owned();
        let (word, rest) = text.split_once(' ').unwrap_or((&text, ""));
        let me = cx.address();
        let answer = match word {
            "name" => {
                return cx
                    .register(rest, me)
                    .then(Self::named)
                    .map_err(|error| Close::new(1013, error.to_string()));
            }
            "find" => cx.whereis::<Guest>(rest).is_some().to_string(),
            "count" => cx.members(EVERYBODY).len().to_string(),
            "shout" => cx.send_to_group(EVERYBODY, Shout(rest.to_owned())).to_string(),
            _ => match cx.whereis::<Guest>(word) {
                Some(guest) => cx.send(guest, Heard(rest.to_owned())).is_ok().to_string(),
                None => "nobody".into(),
            },
        };
        Ok(cx.client().send_text(&answer)?)
    }
}

impl Guest {
    fn named(&mut self, named: Result<(), NameError>, cx: &mut Context<Self>) {
        let _ = cx.client().send_text(&format!("{named:?}")); // a client that has gone does not need it
    }
}

impl Handler<Heard> for Guest {
    type Reply = ();
    fn handle(&mut self, Heard(text): Heard, cx: &mut Context<Self>) {
        let _ = cx.client().send_text(&text);
    }
}

impl Handler<Shout> for Guest {
    type Reply = ();
    fn handle(&mut self, Shout(text): Shout, cx: &mut Context<Self>) {
        let _ = cx.client().send_text(&text);
    }
}

fn said(client: &mut Client, text: &str) -> Said {
    client.text(text);
    client.next()
}

#[test]
fn sessions_find_each_other_by_name_until_they_end() {
    let server = Local::with(|config| config.workers = 3, |server| server.at("/", |_: &Upgrade| Ok(Guest)));
    let mut clients: Vec<Client> = (0..12).map(|_| server.client()).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        assert_eq!(said(client, &format!("name guest-{number}")), Said::Text("Ok(())".into()));
        assert_eq!(said(client, &format!("find guest-{number}")), Said::Text("true".into()));
    }
    assert_eq!(said(&mut clients[0], "name guest-5"), Said::Text("Err(Taken)".into()));
    for number in 0..12 {
        let from = (number + 5) % 12;
        wait_until("the name is known", || {
            said(&mut clients[from], &format!("find guest-{number}")) == Said::Text("true".into())
        });
        assert_eq!(said(&mut clients[from], &format!("guest-{number} hello")), Said::Text("true".into()));
        assert_eq!(clients[number].next(), Said::Text("hello".into()));
    }
    let leaver = clients.remove(5);
    drop(leaver);
    wait_until("the name is free, and another has it", || {
        said(&mut clients[0], "name guest-5") == Said::Text("Ok(())".into())
    });
    wait_until("all know it", || said(&mut clients[7], "find guest-5") == Said::Text("true".into()));
    assert_eq!(said(&mut clients[7], "guest-5 again"), Said::Text("true".into()));
    assert_eq!(clients[0].next(), Said::Text("again".into()));
    assert_eq!(server.handle.stats().wakes_lost, 0);
}

#[test]
fn what_is_for_a_group_is_heard_by_all_its_members_on_all_shards() {
    let server = Local::with(|config| config.workers = 3, |server| server.at("/", |_: &Upgrade| Ok(Guest)));
    let mut clients: Vec<Client> = (0..9).map(|_| server.client()).collect();
    for client in &mut clients {
        wait_until("all nine are known", || said(client, "count") == Said::Text("9".into()));
    }
    clients[4].text("shout all");
    let mut heard = vec![clients[4].next(), clients[4].next()];
    heard.sort_by_key(|said| format!("{said:?}").len());
    assert_eq!(heard, [Said::Text("0".into()), Said::Text("all".into())]);
    for client in clients.iter_mut().enumerate().filter(|(number, _)| *number != 4).map(|(_, client)| client)
    {
        assert_eq!(client.next(), Said::Text("all".into()));
    }
    clients.truncate(3);
    for client in &mut clients {
        wait_until("those who have gone have left", || said(client, "count") == Said::Text("3".into()));
    }
}
