//! Which path gets which session, or which page.

use super::through::Entrance;
use crate::actor::ActorId;
use crate::actor::cell::Cell;
use crate::actor::outside::Calls;
use crate::connection::handshake::{Admitted, Decision, Doorman};
use crate::connection::{Connection, Session, Ticket, Upgrade};
use crate::sync::Arc;
use crate::wire::http::{Page, Refusal, Request};
use std::marker::PhantomData;

/// All paths of a server, shared by its shards.
#[derive(Default, Clone)]
pub(crate) struct Routes(Arc<Paths>);

#[derive(Default)]
struct Paths {
    entries: Vec<Entry>,
    /// What those get who ask for no WebSocket.
    pages: Vec<(String, Page)>,
    /// Whose a request is, if that was said.
    user_of: Option<Box<UserOf>>,
}

type UserOf = dyn Fn(&Upgrade<'_>) -> Option<Vec<u8>> + Send + Sync;

struct Entry {
    path: String,
    subprotocols: Vec<String>,
    route: Box<dyn Route>,
}

/// Makes connections of one kind of session.
trait Route: Send + Sync {
    fn decide(&self, upgrade: &Upgrade<'_>, calls: &Calls, to: ActorId) -> Result<Decision, Refusal>;
}

struct To<E, F, S> {
    /// What stands before it.
    entrance: E,
    make: F,
    session: PhantomData<fn() -> S>,
}

impl<E, F, S> Route for To<E, F, S>
where
    E: Entrance,
    F: Fn(&Upgrade<'_>) -> Result<S, Refusal> + Send + Sync,
    S: Session,
{
    fn decide(&self, upgrade: &Upgrade<'_>, _: &Calls, _: ActorId) -> Result<Decision, Refusal> {
        let around = self.entrance.enter(upgrade)?;
        let session = (self.make)(upgrade)?;
        Ok(Decision::Now(Box::new(move |link| {
            Box::new(Connection::new(session, link, around)) as Box<dyn Cell>
        })))
    }
}

/// As [`To`], for those who decide on another thread.
struct Later<E, F, S> {
    entrance: E,
    ask: F,
    session: PhantomData<fn() -> S>,
}

impl<E, F, S> Route for Later<E, F, S>
where
    E: Entrance,
    F: Fn(&Upgrade<'_>, Ticket<S>) + Send + Sync,
    S: Session,
{
    fn decide(&self, upgrade: &Upgrade<'_>, calls: &Calls, to: ActorId) -> Result<Decision, Refusal> {
        let around = self.entrance.enter(upgrade)?;
        let (ticket, verdict) = Ticket::new::<E::Around>(calls.clone(), to);
        (self.ask)(upgrade, ticket);
        Ok(Decision::Later(verdict, Box::new(around)))
    }
}

impl Routes {
    /// Adds a path. The first that fits is taken.
    pub(crate) fn add<E, F, S>(&mut self, path: &str, subprotocols: &[&str], entrance: E, make: F)
    where
        E: Entrance,
        F: Fn(&Upgrade<'_>) -> Result<S, Refusal> + Send + Sync + 'static,
        S: Session,
    {
        self.push(path, subprotocols, Box::new(To { entrance, make, session: PhantomData }));
    }

    /// Adds a path whose requests are decided later.
    pub(crate) fn add_later<E, F, S>(&mut self, path: &str, entrance: E, ask: F)
    where
        E: Entrance,
        F: Fn(&Upgrade<'_>, Ticket<S>) + Send + Sync + 'static,
        S: Session,
    {
        self.push(path, &[], Box::new(Later { entrance, ask, session: PhantomData }));
    }

    fn push(&mut self, path: &str, subprotocols: &[&str], route: Box<dyn Route>) {
        let subprotocols = subprotocols.iter().map(|&name| name.to_owned()).collect();
        let entry = Entry { path: path.to_owned(), subprotocols, route };
        self.paths().entries.push(entry);
    }

    /// Adds a page. The first of its path is shown.
    pub(crate) fn add_page(&mut self, path: &str, page: Page) {
        self.paths().pages.push((path.to_owned(), page));
    }

    /// Whose a request is.
    pub(crate) fn user_by(
        &mut self,
        user_of: impl Fn(&Upgrade<'_>) -> Option<Vec<u8>> + Send + Sync + 'static,
    ) {
        self.paths().user_of = Some(Box::new(user_of));
    }

    fn paths(&mut self) -> &mut Paths {
        Arc::get_mut(&mut self.0).expect("routes are added before they are shared")
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.entries.is_empty()
    }

    fn find(&self, path: &str) -> Option<&Entry> {
        self.0.entries.iter().find(|entry| match entry.path.strip_suffix('*') {
            Some(above) if above.ends_with('/') => path.starts_with(above),
            _ => entry.path == path,
        })
    }
}

impl Doorman for Routes {
    fn admit(&self, upgrade: &Upgrade<'_>, calls: &Calls, to: ActorId) -> Result<Admitted, Refusal> {
        let entry = self.find(upgrade.path()).ok_or_else(|| Refusal::new(404))?;
        // The client's order is its preference (RFC 6455 §1.9). None in common is no error: the client decides.
        let subprotocol =
            upgrade.subprotocols().find(|offered| entry.subprotocols.iter().any(|ours| ours == offered));
        let session = entry.route.decide(upgrade, calls, to)?;
        Ok(Admitted { subprotocol: subprotocol.map(str::to_owned), session })
    }

    fn user_of(&self, upgrade: &Upgrade<'_>) -> Option<Vec<u8>> {
        match &self.0.user_of {
            Some(user_of) => user_of(upgrade),
            None => {
                let mut pairs = upgrade.query()?.split('&');
                pairs.find_map(|pair| pair.strip_prefix("user=")).map(|user| user.as_bytes().to_vec())
            }
        }
    }

    fn plain(&self, request: &Request<'_>, answer: &mut Vec<u8>) {
        if let Some((_, page)) = self.0.pages.iter().find(|(path, _)| path == request.path()) {
            return page.answer(request, answer);
        }
        let refusal = match self.find(request.path()) {
            Some(_) => Refusal::upgrade_required()
                .with_body("This is a WebSocket: connect with a WebSocket client.\n"),
            None => Refusal::new(404),
        };
        refusal.encode(request.is_head(), answer);
    }
}
