//! Names: by which an actor is found that nobody has handed the address of.

use super::ask::Callback;
use super::envelope::with_actor;
use super::handle::{Asked, Outside};
use super::outside::Word;
use super::{Actor, Address, Context};
use crate::ring::parcel::Parcel;
use std::any::TypeId;
use std::fmt;

/// A name has so many bytes at most, and so has a group's.
pub const NAME_BYTES_MAX: usize = 255;

/// A name that is to be claimed, from [`Context::register`].
#[must_use = "it is claimed by `then`"]
pub struct Register<'c, 'a, 'n, A, B> {
    cx: &'c mut Context<'a, A>,
    name: &'n str,
    address: Address<B>,
}

impl<'a, A: Actor> Context<'a, A> {
    /// Claims `name` for an actor: [`Register::then`] says what is done when it is known whether it has it. One actor
    /// of all shards has a name at a time, of whatever type, until it ends or [`Self::unregister`]. It keeps its names when
    /// it is made anew by its supervisor, and may claim them again.
    ///
    /// ```
    /// use corewire::actor::NameError;
    /// use corewire::prelude::*;
    ///
    /// struct Lobby;
    /// impl Actor for Lobby {
    ///     fn started(&mut self, cx: &mut Context<Self>) {
    ///         let me = cx.address();
    ///         if cx.register("lobby", me).then(Self::named).is_err() {
    ///             cx.stop();
    ///         }
    ///     }
    /// }
    /// impl Lobby {
    ///     fn named(&mut self, named: Result<(), NameError>, cx: &mut Context<Self>) {
    ///         if named.is_err() {
    ///             cx.stop(); // there is a lobby already
    ///         }
    ///     }
    /// }
    ///
    /// /// In any handler of any actor, on any shard.
    /// fn lobby<A: Actor>(cx: &Context<A>) -> Option<Address<Lobby>> {
    ///     cx.whereis("lobby")
    /// }
    /// ```
    pub fn register<'n, B: Actor>(
        &mut self,
        name: &'n str,
        address: Address<B>,
    ) -> Register<'_, 'a, 'n, A, B> {
        Register { cx: self, name, address }
    }

    /// Frees a name, whoever has it. False: this shard knows of nobody who has. Until all shards have heard of it, who
    /// claims it waits.
    pub fn unregister(&mut self, name: &str) -> bool {
        self.local.unregister(name)
    }

    /// Who has `name`, if it is a `B`. It is read from this shard's copy, without a message: another shard's news may be on
    /// their way, but no two shards ever tell of two actors, and whoever was told that it has a name is found by it here.
    pub fn whereis<B: Actor>(&self, name: &str) -> Option<Address<B>> {
        self.local.whereis(name, TypeId::of::<B>()).map(Address::new)
    }
}

impl<A: Actor, B: Actor> Register<'_, '_, '_, A, B> {
    /// Claims it. `then` is called once, when it is decided, unless this actor stops before. There is no deadline; who
    /// comes while the one before is still known somewhere waits until it is not.
    ///
    /// # Errors
    /// `then` is not called: the name is too long, or there is no room for the answer
    /// ([`asks_max`](crate::server::Config::asks_max)).
    pub fn then(
        self,
        then: impl FnOnce(&mut A, Result<(), NameError>, &mut Context<'_, A>) + 'static,
    ) -> Result<(), NameError> {
        let Self { cx, name, address } = self;
        if name.len() > NAME_BYTES_MAX {
            return Err(NameError::TooLong);
        }
        let callback: Callback = Box::new(|cell, answer, local, me| {
            let parcel: Parcel = answer.expect("who has no deadline is answered");
            let answer = parcel.downcast().expect("it is decided by names alone");
            with_actor(cell, local, me, |actor, cx| then(actor, answer, cx))
        });
        let asker = cx.local.keep_callback(cx.me, callback).ok_or(NameError::Busy)?;
        cx.local.register(name, address.id, TypeId::of::<B>(), asker);
        Ok(())
    }
}

impl Outside {
    /// Who has `name`, if it is a `B`. It is asked of the shard that decides about the name.
    ///
    /// ```
    /// use corewire::actor::Outside;
    /// use corewire::prelude::*;
    /// use std::time::Duration;
    ///
    /// # struct Lobby;
    /// # impl Actor for Lobby {}
    /// # struct Doors(bool);
    /// # impl Handler<Doors> for Lobby {
    /// #     type Reply = ();
    /// #     fn handle(&mut self, _: Doors, _: &mut Context<Self>) {}
    /// # }
    /// /// On any thread.
    /// fn close_lobby(shards: &Outside) -> Result<(), AskError> {
    ///     let lobby = shards.whereis::<Lobby>("lobby").wait(Duration::from_secs(1))?.ok_or(AskError::Gone)?;
    ///     shards.send(lobby, Doors(false)).map_err(|error| error.reason().into())
    /// }
    /// ```
    pub fn whereis<B: Actor>(&self, name: &str) -> Asked<Option<Address<B>>> {
        let (answer, asked) = Asked::new();
        let refused = answer.clone();
        let said = self.say(self.home_of(name), Box::<str>::from(name), move |name| {
            Word::Errand(Box::new(move |local| {
                let id = local.whereis(&name, TypeId::of::<B>());
                let _ = answer.try_send(Ok(id.map(Address::new))); // nobody may wait any more
            }))
        });
        if let Err(error) = said {
            let _ = refused.try_send(Err(error.reason().into()));
        }
        asked
    }
}

/// Why an actor does not have a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum NameError {
    /// Another has it.
    Taken,
    /// The actor has ended.
    Gone,
    /// The shard that decides about it has as many names as [`names_max`](crate::server::Config::names_max) allows.
    Full,
    /// It is longer than [`NAME_BYTES_MAX`].
    TooLong,
    /// As many questions of this shard's actors wait for their answers as
    /// [`asks_max`](crate::server::Config::asks_max) allows, and this would be one more.
    Busy,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Taken => "another actor has the name; find it with whereis, or take another name",
            Self::Gone => "the actor that was to have the name has ended",
            Self::Full => "there are as many names as names_max allows; free some, or raise it",
            Self::TooLong => "a name has 255 bytes at most",
            Self::Busy => "as many questions are open as asks_max allows; claim it later, or raise it",
        })
    }
}

impl std::error::Error for NameError {}

impl<A, B> fmt::Debug for Register<'_, '_, '_, A, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Register")
            .field("name", &self.name)
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}
