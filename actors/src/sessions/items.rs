//! What the services of different shards say to each other.

use super::here::Entry;
use super::{SessionId, Sessions, SignInError};
use crate::packets::{Packet, Packets, Peer};
use corewire::actor::{Context, Handler};
use corewire::connection::{Close, Delivered, Frames, FramesTicket, Message};
use corewire::shard::ShardId;
use std::sync::Arc;

/// One thing that is said. Nobody outside makes or reads it.
#[derive(Debug)]
pub struct Item(pub(super) Said);

/// Sessions are those of the sender, or, in what goes to sessions, those of the receiver.
#[derive(Debug)]
pub(super) enum Said {
    /// To the user's home: there is one more.
    In { number: u64, user: Arc<str> },
    /// To the user's home, which was made anew: there is this one, and it may.
    Still { number: u64, user: Arc<str> },
    /// To the session's shard: it may.
    Admitted { number: u64 },
    /// It may not.
    TooMany { number: u64 },
    /// To the user's home: it is not there any more.
    Out { number: u64, user: Arc<str> },
    /// To the user's home: for all sessions of the user.
    ToUser { user: Arc<str>, message: Message },
    /// To the sessions' shard.
    Frames { numbers: Vec<u64>, frames: FramesTicket },
    /// To the user's home: all sessions of the user are to go.
    KickUser { user: Arc<str>, close: Close },
    /// To the sessions' shard.
    Kick { numbers: Vec<u64>, close: Close },
}

impl Peer for Sessions {
    type Item = Item;

    fn packets(&mut self) -> &mut Packets<Item> {
        &mut self.packets
    }

    fn item(&mut self, from: ShardId, Item(said): Item, cx: &mut Context<'_, Self>) {
        match said {
            Said::In { number, user } => {
                let max = self.config.sessions_per_user_max;
                let id = SessionId { shard: from, number };
                let admitted = self.partition_of(&user).add(user, id, max);
                self.say(from, if admitted { Said::Admitted { number } } else { Said::TooMany { number } });
            }
            Said::Still { number, user } => {
                self.partition_of(&user).add(user, SessionId { shard: from, number }, u32::MAX);
            }
            Said::Admitted { number } => {
                let id = SessionId { shard: self.me, number };
                if let Some(reply) = self.here.get_mut(number).and_then(|entry| entry.waiting.take()) {
                    reply.send(Ok(id), cx);
                }
            }
            Said::TooMany { number } => self.refuse(number, SignInError::TooMany, cx),
            Said::Out { number, user } => {
                self.partition_of(&user).remove(&user, SessionId { shard: from, number });
            }
            Said::ToUser { user, message } => self.send_out(&user, message, cx),
            Said::Frames { numbers, frames } => self.deliver(&numbers, &frames.open(), cx),
            Said::KickUser { user, close } => {
                let to: Vec<_> = self.partition_of(&user).of(&user).collect();
                for (shard, numbers) in to {
                    self.say(shard, Said::Kick { numbers, close: close.clone() });
                }
            }
            Said::Kick { numbers, close } => {
                for number in numbers {
                    self.kick(number, &close, cx);
                }
            }
        }
    }

    /// Nobody keeps track of that shard's sessions any more; and whoever decides about its users is to know of ours.
    fn anew(&mut self, shard: ShardId, _: &mut Context<'_, Self>) {
        self.partitions.iter_mut().for_each(|partition| partition.remove_shard(shard));
        let mut theirs: Vec<_> =
            self.here.all().filter(|(_, entry)| self.home_of(&entry.user) == shard).collect();
        theirs.sort_by_key(|(_, entry)| entry.waiting.is_some()); // who is there goes before who wants to be
        let say = |(number, Entry { user, waiting, .. }): (u64, &Entry)| match waiting {
            Some(_) => Said::In { number, user: user.clone() },
            None => Said::Still { number, user: user.clone() },
        };
        for said in theirs.into_iter().map(say).collect::<Vec<_>>() {
            self.say(shard, said);
        }
    }

    /// As before, but for good: nobody decides about its users.
    fn gone(&mut self, shard: ShardId, cx: &mut Context<'_, Self>) {
        self.partitions.iter_mut().for_each(|partition| partition.remove_shard(shard));
        for number in self.here.waiting_for(|user| self.home_of(user) == shard) {
            self.refuse(number, SignInError::Gone, cx);
        }
    }
}

impl Handler<Packet<Item>> for Sessions {
    type Reply = ();
    fn handle(&mut self, packet: Packet<Item>, cx: &mut Context<'_, Self>) {
        self.take_packet(packet, cx);
    }
}

impl Sessions {
    pub(super) fn say(&mut self, shard: ShardId, said: Said) {
        let bytes = if let Said::ToUser { message, .. } = &said { message.len() } else { 0 };
        self.packets.push_with(shard, Item(said), bytes);
    }

    /// A session that waits is not let in.
    fn refuse(&mut self, number: u64, why: SignInError, cx: &mut Context<'_, Self>) {
        let Some(entry) = self.here.remove(number) else { return };
        cx.unwatch(entry.actor);
        if let Some(reply) = entry.waiting {
            reply.send(Err(why), cx);
        }
    }

    /// It is not counted any more, from here on.
    fn kick(&mut self, number: u64, close: &Close, cx: &mut Context<'_, Self>) {
        if let Some(actor) = self.here.get(number).map(|entry| entry.actor) {
            self.sign_out(number, cx);
            cx.close_session(actor, close.clone());
        }
    }

    /// Writes a message once, and has it delivered on each shard where the user has sessions.
    fn send_out(&mut self, user: &str, message: Message, cx: &mut Context<'_, Self>) {
        let to: Vec<_> = self.partition_of(user).of(user).collect();
        if to.is_empty() {
            return;
        }
        let Ok(frame) = cx.frame_of(message) else {
            return cx.count("sessions_undelivered", 1); // the shard's memory is short
        };
        let tickets = cx.freeze(frame, to.len() as u16);
        for ((shard, numbers), frames) in to.into_iter().zip(tickets) {
            match self.has_way_to(shard) {
                Ok(()) => self.say(shard, Said::Frames { numbers, frames }),
                Err(_) => cx.count("sessions_undelivered", numbers.len() as u64),
            }
        }
    }

    fn deliver(&mut self, numbers: &[u64], frames: &Frames, cx: &mut Context<'_, Self>) {
        let terms = self.config.terms();
        for &number in numbers {
            let Some(entry) = self.here.get(number) else { continue };
            match cx.deliver(entry.actor, frames, &terms) {
                Delivered::Waits { dropped, .. } | Delivered::TooSlow { dropped } => {
                    cx.count("sessions_undelivered", dropped.into());
                }
                Delivered::Sent | Delivered::Gone => {}
            }
        }
    }
}
