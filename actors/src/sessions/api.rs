//! What a session, or any other actor, does with sessions, without knowing where anything lives.

use super::service::{Kick, NoteActivity, NoteSubscription, SignIn, SignOut, ToUser, Whom};
use super::{SessionId, Sessions};
use corewire::actor::{Actor, Address, AskError, Context, Priority, Refused, SendError};
use corewire::connection::{Close, Message};
use std::fmt;
use std::time::Duration;

/// What actors do with sessions: methods of their [`Context`]. See the [module](super) for an example.
///
/// All of them are messages to the service of this shard; where there is none, nobody is there ([`Refused::Gone`]).
pub trait InSessions<A: Actor> {
    /// This session is `user`'s, on this device, until it ends or signs out. `then` is called once with its number, or with why
    /// it is not let in; unless it ends before. Who is not let in is not closed: that is the session's to do.
    ///
    /// # Errors
    /// There is no room for the question, and `then` is not called.
    fn sign_in(
        &mut self,
        user: &str,
        device: &str,
        then: impl FnOnce(&mut A, Result<SessionId, SignInError>, &mut Context<'_, A>) + 'static,
    ) -> Result<(), SignInError>;

    /// This session is nobody's any more. Where a session ends this happens by itself.
    ///
    /// # Errors
    /// There is no room to say so.
    fn sign_out(&mut self) -> Result<(), Refused>;

    /// This session was active just now. It is noted as far as the service comes to it; nobody waits for it.
    fn note_activity(&mut self);

    /// This session is subscribed to something, a room say, or (`on` is false) not any more. Beyond
    /// [`subscriptions_max`](super::SessionsConfig::subscriptions_max) it is not noted, and counted. Who wants to hear of that
    /// asks by [`NoteSubscription`].
    ///
    /// # Errors
    /// There is no room to say so.
    fn note_subscription(&mut self, name: &str, on: bool) -> Result<(), Refused>;

    /// Sends a message to all sessions of a user, wherever they are. It is written once. What is lost on the way, because a
    /// shard is stuck or out of memory, is counted as `sessions_undelivered`.
    ///
    /// # Errors
    /// The message comes back: there is no room for it.
    fn send_to_user(&mut self, user: &str, message: Message) -> Result<(), SendError<Message>>;

    /// Closes all sessions of a user, or one session.
    ///
    /// # Errors
    /// There is no room to say so.
    fn kick(&mut self, whom: Whom, close: Close) -> Result<(), Refused>;
}

/// Which service knows an actor: that of the shard where it was born, also if it lives on another by now.
fn sessions_of<A: Actor>(cx: &Context<'_, A>) -> Option<Address<Sessions>> {
    cx.service_on(cx.address().id().shard())
}

impl<A: Actor> InSessions<A> for Context<'_, A> {
    fn sign_in(
        &mut self,
        user: &str,
        device: &str,
        then: impl FnOnce(&mut A, Result<SessionId, SignInError>, &mut Context<'_, A>) + 'static,
    ) -> Result<(), SignInError> {
        let service = sessions_of(self).ok_or(SignInError::Gone)?;
        let sign_in = SignIn { session: self.address().id(), user: user.into(), device: device.into() };
        let asked = self.ask(service, sign_in).within(SIGN_IN_WITHIN).then(|actor, answer, cx| {
            let answer = answer.unwrap_or_else(|error| Err(error.into()));
            then(actor, answer, cx);
        });
        asked.map_err(|error| error.reason().into())
    }

    fn sign_out(&mut self) -> Result<(), Refused> {
        let service = sessions_of(self).ok_or(Refused::Gone)?;
        let me = self.address().id();
        self.send(service, SignOut(me)).map_err(|error| error.reason())
    }

    fn note_activity(&mut self) {
        let me = self.address().id();
        if let Some(service) = sessions_of(self) {
            let _ = self.send_at(Priority::Low, service, NoteActivity(me)); // full: others are more important
        }
    }

    fn note_subscription(&mut self, name: &str, on: bool) -> Result<(), Refused> {
        let service = sessions_of(self).ok_or(Refused::Gone)?;
        let note = NoteSubscription { session: self.address().id(), name: name.into(), on };
        self.send(service, note).map_err(|error| error.reason())
    }

    fn send_to_user(&mut self, user: &str, message: Message) -> Result<(), SendError<Message>> {
        let Some(service) = sessions_of(self) else { return Err(SendError::Gone(message)) };
        self.send(service, ToUser { user: user.into(), message }).map_err(|error| match error {
            SendError::Full(back) => SendError::Full(back.message),
            SendError::Gone(back) => SendError::Gone(back.message),
        })
    }

    fn kick(&mut self, whom: Whom, close: Close) -> Result<(), Refused> {
        let service = sessions_of(self).ok_or(Refused::Gone)?;
        self.send(service, Kick { whom, close }).map_err(|error| error.reason())
    }
}

/// Why a session is not signed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SignInError {
    /// As many sessions are signed in on this shard as may, or its actors watch as many as they may; or there is no room for
    /// the question.
    Full,
    /// The user has as many sessions as one may.
    TooMany,
    /// It is signed in already.
    Already(SessionId),
    /// It was put to the service of another shard than the session's.
    Elsewhere,
    /// The user's or the device's name has more than 255 bytes.
    TooLong,
    /// It signed out, or was kicked, before there was an answer.
    SignedOut,
    /// There is no answer in time. It may be signed in later: sign out, or close.
    TimedOut,
    /// There is no such service, or the one that decides about this user has ended.
    Gone,
}

impl fmt::Display for SignInError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str(
                "this shard has as many sessions as it may; come back later, or raise sessions_max",
            ),
            Self::TooMany => f.write_str("the user has as many sessions as one may; end another first"),
            Self::Already(id) => write!(f, "the session is signed in already, as {id}; sign out first"),
            Self::Elsewhere => f.write_str("a session signs in with the service of its own shard"),
            Self::TooLong => f.write_str("the names of users and devices have at most 255 bytes"),
            Self::SignedOut => f.write_str("the session was signed out meanwhile"),
            Self::TimedOut => f.write_str("no answer in time; sign out, or close"),
            Self::Gone => f.write_str(
                "there is no Sessions service any more; add it to the server, or look why it ended",
            ),
        }
    }
}

impl std::error::Error for SignInError {}

impl From<AskError> for SignInError {
    fn from(error: AskError) -> Self {
        match error {
            AskError::Full | AskError::Dropped => Self::Full,
            AskError::NoReply => Self::SignedOut,
            AskError::TimedOut => Self::TimedOut,
            _ => Self::Gone,
        }
    }
}

impl From<Refused> for SignInError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Full => Self::Full,
            Refused::Gone => Self::Gone,
        }
    }
}

/// What the client is told: 1013 where there is no room, 1008 (against the rules) where there are too many of the user.
impl From<SignInError> for Close {
    fn from(error: SignInError) -> Self {
        match error {
            SignInError::Full | SignInError::TimedOut => {
                Self::new(1013, "too many are here; try again later")
            }
            SignInError::TooMany => Self::new(1008, "too many sessions of this user"),
            SignInError::TooLong => Self::new(1008, "the name is too long"),
            SignInError::Already(_) | SignInError::SignedOut => Self::new(1008, "signed in or out twice"),
            SignInError::Elsewhere | SignInError::Gone => Self::new(1011, "sessions are not kept"),
        }
    }
}

/// Why something is not on its way: the answer to [`ToUser`] and [`Kick`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotSaid {
    /// Too much waits for the shard that knows the user's sessions.
    Full,
    /// The service there has ended.
    Gone,
}

impl fmt::Display for NotSaid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "too much waits for the user's shard; say it later, or less",
            Self::Gone => "the service of the user's shard has ended",
        })
    }
}

impl std::error::Error for NotSaid {}

/// A shard that does not answer so long is stuck.
const SIGN_IN_WITHIN: Duration = Duration::from_secs(30);
