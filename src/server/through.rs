//! What stands before a route: how middleware is put together, and made for each client.

use super::Server;
use super::route::Routes;
use crate::connection::guard::{Around, Guarded};
use crate::connection::middleware::Chain;
use crate::connection::{Middleware, Session, Ticket, Upgrade};
use crate::wire::http::Refusal;
use std::fmt;
use std::marker::PhantomData;

/// What makes the middleware of each client. Nobody implements this; it follows from [`Server::with`].
pub trait Layers: Send + Sync + 'static {
    #[doc(hidden)]
    type Middleware: Middleware;

    #[doc(hidden)]
    fn make(&self, upgrade: &Upgrade<'_>) -> Result<Self::Middleware, Refusal>;
}

/// One function that makes some.
pub struct Layer<F, M> {
    make: F,
    middleware: PhantomData<fn() -> M>,
}

impl<F, M> Layers for Layer<F, M>
where
    F: Fn(&Upgrade<'_>) -> Result<M, Refusal> + Send + Sync + 'static,
    M: Middleware,
{
    type Middleware = M;

    fn make(&self, upgrade: &Upgrade<'_>) -> Result<M, Refusal> {
        (self.make)(upgrade)
    }
}

/// Some around some more.
#[derive(Debug)]
pub struct Layered<L, M> {
    outer: L,
    inner: M,
}

impl<L: Layers, M: Layers> Layers for Layered<L, M> {
    type Middleware = Chain<L::Middleware, M::Middleware>;

    fn make(&self, upgrade: &Upgrade<'_>) -> Result<Self::Middleware, Refusal> {
        let outer = self.outer.make(upgrade)?;
        Ok(Chain::new(outer, self.inner.make(upgrade)?))
    }
}

/// A server, or a [`World`](crate::sim::World), whose next route has middleware before it. From [`Server::with`].
///
/// It cannot be run: it must lead somewhere first.
///
/// ```compile_fail,E0599
/// # use corewire::prelude::*;
/// # struct Echo;
/// # impl Session for Echo {
/// #     fn message(&mut self, message: Message, cx: &mut Context<Self>) -> Result<(), Close> {
/// #         Ok(cx.client().send(message)?)
/// #     }
/// # }
/// Server::bind(":9001").at("/", |_: &Upgrade| Ok(Echo)).with(Logging::of).run(); // logs what?
/// ```
#[must_use = "middleware stands before a route: go on with `at`"]
pub struct Through<H, L> {
    host: H,
    layers: L,
}

impl<H: Hosts, F, M> Through<H, Layer<F, M>>
where
    F: Fn(&Upgrade<'_>) -> Result<M, Refusal> + Send + Sync + 'static,
    M: Middleware,
{
    pub(crate) fn new(host: H, make: F) -> Self {
        Self { host, layers: Layer { make, middleware: PhantomData } }
    }
}

impl<H: Hosts, L: Layers> Through<H, L> {
    /// And this one, nearer to the session than those before it.
    pub fn with<F, M>(self, make: F) -> Through<H, Layered<L, Layer<F, M>>>
    where
        F: Fn(&Upgrade<'_>) -> Result<M, Refusal> + Send + Sync + 'static,
        M: Middleware,
    {
        let inner = Layer { make, middleware: PhantomData };
        Through { host: self.host, layers: Layered { outer: self.layers, inner } }
    }

    /// As [`Server::at`], through this middleware.
    pub fn at<F, S>(self, path: &str, make: F) -> H
    where
        F: Fn(&Upgrade<'_>) -> Result<S, Refusal> + Send + Sync + 'static,
        S: Session,
    {
        self.at_with(path, &[], make)
    }

    /// As [`Server::at_with`], through this middleware.
    pub fn at_with<F, S>(self, path: &str, subprotocols: &[&str], make: F) -> H
    where
        F: Fn(&Upgrade<'_>) -> Result<S, Refusal> + Send + Sync + 'static,
        S: Session,
    {
        let Self { mut host, layers } = self;
        host.routes().add(path, subprotocols, Fronted(layers), make);
        host
    }

    /// As [`Server::at_later`], through this middleware, which is asked first and at once.
    pub fn at_later<F, S>(self, path: &str, ask: F) -> H
    where
        F: Fn(&Upgrade<'_>, Ticket<S>) + Send + Sync + 'static,
        S: Session,
    {
        let Self { mut host, layers } = self;
        host.routes().add_later(path, Fronted(layers), ask);
        host
    }
}

/// What has routes. Nobody implements this.
pub trait Hosts: Sized {
    #[doc(hidden)]
    #[expect(private_interfaces, reason = "for this crate's own")]
    fn routes(&mut self) -> &mut Routes;
}

impl Hosts for Server {
    #[expect(private_interfaces, reason = "for this crate's own")]
    fn routes(&mut self) -> &mut Routes {
        &mut self.routes
    }
}

/// What stands before a route, as the route sees it.
pub(crate) trait Entrance: Send + Sync + 'static {
    type Around: Around;

    fn enter(&self, upgrade: &Upgrade<'_>) -> Result<Self::Around, Refusal>;
}

/// Nothing does.
pub(crate) struct Open;

impl Entrance for Open {
    type Around = ();

    fn enter(&self, _: &Upgrade<'_>) -> Result<(), Refusal> {
        Ok(())
    }
}

/// Middleware does.
struct Fronted<L>(L);

impl<L: Layers> Entrance for Fronted<L> {
    type Around = Guarded<L::Middleware>;

    fn enter(&self, upgrade: &Upgrade<'_>) -> Result<Self::Around, Refusal> {
        self.0.make(upgrade).map(Guarded::new)
    }
}

impl<F, M> fmt::Debug for Layer<F, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Layer(..)")
    }
}

impl<H, L> fmt::Debug for Through<H, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Through(..)")
    }
}
