//! Handlers behind one type, whatever they take and return.
//!
//! Does not know: which messages they are for, and what becomes of their errors.

use super::Failure;
use corewire::actor::Context;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::marker::PhantomData;

/// What a handler is behind its types.
pub(super) trait Handles<S>: Send + Sync {
    fn handle(&self, session: &mut S, data: Data<'_>, cx: &mut Context<'_, S>) -> Result<(), Failure>;
}

pub(super) struct Of<F, T, E> {
    handler: F,
    types: PhantomData<fn(T) -> E>,
}

pub(super) struct OfData<F, E> {
    handler: F,
    error: PhantomData<fn() -> E>,
}

/// The data of one message, not read yet: the bytes as they came. For handlers whose types borrow from them, or that
/// pass them on as they are; see [`Typed::on_data`](super::Typed::on_data).
#[derive(Debug, Clone, Copy)]
pub struct Data<'a>(&'a str);

impl<'a> Data<'a> {
    pub(super) fn new(json: &'a str) -> Self {
        Self(json)
    }

    /// The JSON.
    pub fn as_str(self) -> &'a str {
        self.0
    }

    /// The JSON as a `T`, which may borrow from it.
    ///
    /// # Errors
    /// It is no `T`: the client is told `bad_data`, and why.
    pub fn read<T: Deserialize<'a>>(self) -> Result<T, Failure> {
        serde_json::from_str(self.0).map_err(|error| Failure::bad_data(self.0, &error))
    }
}

impl<F, T, E> Of<F, T, E> {
    pub(super) fn new(handler: F) -> Self {
        Self { handler, types: PhantomData }
    }
}

impl<F, E> OfData<F, E> {
    pub(super) fn new(handler: F) -> Self {
        Self { handler, error: PhantomData }
    }
}

impl<S, F, T, E> Handles<S> for Of<F, T, E>
where
    F: Fn(&mut S, T, &mut Context<'_, S>) -> Result<(), E> + Send + Sync,
    T: DeserializeOwned,
    E: Into<Failure>,
{
    fn handle(&self, session: &mut S, data: Data<'_>, cx: &mut Context<'_, S>) -> Result<(), Failure> {
        (self.handler)(session, data.read()?, cx).map_err(Into::into)
    }
}

impl<S, F, E> Handles<S> for OfData<F, E>
where
    F: Fn(&mut S, Data<'_>, &mut Context<'_, S>) -> Result<(), E> + Send + Sync,
    E: Into<Failure>,
{
    fn handle(&self, session: &mut S, data: Data<'_>, cx: &mut Context<'_, S>) -> Result<(), Failure> {
        (self.handler)(session, data, cx).map_err(Into::into)
    }
}
