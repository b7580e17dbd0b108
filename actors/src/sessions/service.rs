//! What sessions, and whoever else, say to the service of a shard.

use super::items::Said;
use super::{NotSaid, SessionId, Sessions, SignInError};
use crate::packets::Peer;
use corewire::actor::{Actor, ActorId, Context, Down, Handler, Request, Returned};
use corewire::connection::{Close, Message};
use corewire::shard::ShardId;
use std::sync::Arc;

/// To the service of the session's own shard: this session is this user's. See [`InSessions::sign_in`](super::InSessions::sign_in).
#[derive(Debug)]
pub struct SignIn {
    /// Who signs in.
    pub session: ActorId,
    /// Whose it is.
    pub user: Arc<str>,
    /// On what.
    pub device: Arc<str>,
}

/// To the service of the session's own shard: it is nobody's any more.
#[derive(Debug)]
pub struct SignOut(pub ActorId);

/// To the service of the session's own shard: it was active just now.
#[derive(Debug)]
pub struct NoteActivity(pub ActorId);

/// To the service of the session's own shard: it is subscribed to something, or not any more. The answer is false where it
/// has as many subscriptions as it may, or is not signed in.
#[derive(Debug)]
pub struct NoteSubscription {
    /// Who.
    pub session: ActorId,
    /// To what.
    pub name: Arc<str>,
    /// Whether it is.
    pub on: bool,
}

/// To any shard's service: a message for all sessions of a user. Who has none hears nothing, and neither does the sender.
#[derive(Debug)]
pub struct ToUser {
    /// Whom.
    pub user: Arc<str>,
    /// What.
    pub message: Message,
}

/// To any shard's service: these sessions are closed, and signed out at once.
#[derive(Debug)]
pub struct Kick {
    /// Which.
    pub whom: Whom,
    /// With what.
    pub close: Close,
}

/// Whom to kick.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whom {
    /// All sessions of a user.
    User(Arc<str>),
    /// One session.
    Session(SessionId),
}

/// For tests: the service fails, as if a handler of its had panicked.
#[doc(hidden)]
#[derive(Debug)]
pub struct Fail;

impl Handler<Fail> for Sessions {
    type Reply = ();
    fn handle(&mut self, _: Fail, _: &mut Context<'_, Self>) {
        std::panic::resume_unwind(Box::new("on purpose"));
    }
}

/// For tests: the service ends, for good.
#[doc(hidden)]
#[derive(Debug)]
pub struct End;

impl Handler<End> for Sessions {
    type Reply = ();
    fn handle(&mut self, _: End, cx: &mut Context<'_, Self>) {
        cx.stop();
    }
}

impl Actor for Sessions {
    /// Thousands may sign in within a turn.
    const MAILBOX_SLOTS: Option<u32> = Some(16_384);

    fn started(&mut self, cx: &mut Context<'_, Self>) {
        self.shards = cx.shards();
        // Made anew, it knows no numbers that its former life gave; a session takes longer to sign in than a nanosecond.
        self.here.begin_at(cx.now().as_nanos());
        let mine = (self.me.0..self.config.partitions.max(1)).step_by(self.shards.into());
        self.partitions.resize_with(mine.len(), Default::default);
        let users =
            |service: &Self| service.partitions.iter().map(|partition| i64::from(partition.users())).sum();
        let probes = cx.register_probe("sessions", |service| service.here.len() as i64);
        if let Err(full) = probes.and_then(|()| cx.register_probe("users", users)) {
            tracing::warn!("sessions and users are not among the probes: {full}");
        }
        if self.is_second {
            cx.close_sessions(&Close::new(1012, "who is there had to be forgotten; connect again"));
        }
        self.flush_packets(cx);
    }

    fn returned(&mut self, returned: Returned, cx: &mut Context<'_, Self>) {
        let _ = self.take_back(returned, cx); // nothing else is sent
    }
}

impl Handler<Request<SignIn, Result<SessionId, SignInError>>> for Sessions {
    type Reply = ();
    fn handle(
        &mut self,
        request: Request<SignIn, Result<SessionId, SignInError>>,
        cx: &mut Context<'_, Self>,
    ) {
        let Request { message: SignIn { session, user, device }, reply } = request;
        let home = self.home_of(&user);
        let refused = if session.shard() != self.me {
            Some(SignInError::Elsewhere)
        } else if let Some(number) = self.here.number_of(session) {
            Some(SignInError::Already(SessionId { shard: self.me, number }))
        } else if user.len().max(device.len()) > NAME_BYTES_MAX {
            Some(SignInError::TooLong)
        } else if let Err(why) = self.has_way_to(home) {
            Some(if why == NotSaid::Gone { SignInError::Gone } else { SignInError::Full })
        } else if self.here.len() >= self.config.sessions_max as usize || cx.watch(session).is_err() {
            Some(SignInError::Full)
        } else {
            None
        };
        match refused {
            Some(why) => reply.send(Err(why), cx),
            None => {
                let number = self.here.add(session, user.clone(), device, cx.now(), reply);
                self.say(home, Said::In { number, user });
            }
        }
        self.flush_packets(cx);
    }
}

impl Handler<SignOut> for Sessions {
    type Reply = ();
    fn handle(&mut self, SignOut(session): SignOut, cx: &mut Context<'_, Self>) {
        if let Some(number) = self.here.number_of(session) {
            self.sign_out(number, cx);
        }
        self.flush_packets(cx);
    }
}

impl Handler<Down> for Sessions {
    type Reply = ();
    fn handle(&mut self, down: Down, cx: &mut Context<'_, Self>) {
        if let Some(number) = self.here.number_of(down.who) {
            self.sign_out(number, cx);
        }
        self.flush_packets(cx);
    }
}

impl Handler<NoteActivity> for Sessions {
    type Reply = ();
    fn handle(&mut self, NoteActivity(session): NoteActivity, cx: &mut Context<'_, Self>) {
        self.here.note_activity(session, cx.now());
        self.flush_packets(cx);
    }
}

impl Handler<NoteSubscription> for Sessions {
    type Reply = bool;
    fn handle(&mut self, note: NoteSubscription, cx: &mut Context<'_, Self>) -> bool {
        let NoteSubscription { session, name, on } = note;
        let noted = name.len() <= NAME_BYTES_MAX
            && self.here.note_subscription(session, name, on, self.config.subscriptions_max);
        cx.count("sessions_subscriptions_refused", u64::from(!noted));
        self.flush_packets(cx);
        noted
    }
}

impl Handler<ToUser> for Sessions {
    type Reply = Result<(), NotSaid>;
    fn handle(&mut self, ToUser { user, message }: ToUser, cx: &mut Context<'_, Self>) -> Self::Reply {
        let home = self.home_of(&user);
        let said = self.has_way_to(home);
        match said {
            Ok(()) => self.say(home, Said::ToUser { user, message }),
            Err(_) => cx.count("sessions_undelivered", 1),
        }
        self.flush_packets(cx);
        said
    }
}

impl Handler<Kick> for Sessions {
    type Reply = Result<(), NotSaid>;
    fn handle(&mut self, Kick { whom, close }: Kick, cx: &mut Context<'_, Self>) -> Self::Reply {
        let (to, said) = match whom {
            Whom::User(user) => (self.home_of(&user), Said::KickUser { user, close }),
            Whom::Session(SessionId { shard, number }) => {
                (shard, Said::Kick { numbers: vec![number], close })
            }
        };
        let way = if to.0 < self.shards { self.has_way_to(to) } else { Ok(()) }; // nobody has such a number
        match way {
            Ok(()) if to.0 < self.shards => self.say(to, said),
            Ok(()) => {}
            Err(_) => cx.count("sessions_unkicked", 1),
        }
        self.flush_packets(cx);
        way
    }
}

impl Sessions {
    /// It is not there any more.
    pub(super) fn sign_out(&mut self, number: u64, cx: &mut Context<'_, Self>) {
        let Some(entry) = self.here.remove(number) else { return };
        cx.unwatch(entry.actor); // false if this is because of its end
        self.say(self.home_of(&entry.user), Said::Out { number, user: entry.user });
    }

    /// Whether what can be refused may still be said to that shard.
    pub(super) fn has_way_to(&self, shard: ShardId) -> Result<(), NotSaid> {
        if self.packets.is_gone(shard) {
            Err(NotSaid::Gone)
        } else if self.packets.waiting(shard) >= self.config.waiting_max as usize
            || self.packets.waiting_bytes(shard) >= WAITING_BYTES_MAX
        {
            Err(NotSaid::Full)
        } else {
            Ok(())
        }
    }
}

/// So much of what is for users may wait for another shard.
const WAITING_BYTES_MAX: usize = 16 << 20;
/// Of users, devices and subscriptions.
const NAME_BYTES_MAX: usize = 255;
