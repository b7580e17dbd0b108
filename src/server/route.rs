//! Which path gets which session.

use crate::actor::ActorId;
use crate::actor::cell::Cell;
use crate::actor::outside::Calls;
use crate::connection::handshake::{Admitted, Decision, Doorman};
use crate::connection::{Connection, Session, Ticket, Upgrade};
use crate::sync::Arc;
use crate::wire::http::{Refusal, Request};
use std::marker::PhantomData;

/// All paths of a server, shared by its shards.
#[derive(Default, Clone)]
pub(crate) struct Routes(Arc<Vec<Entry>>);

struct Entry {
    path: String,
    subprotocols: Vec<String>,
    route: Box<dyn Route>,
}

/// Makes connections of one kind of session.
trait Route: Send + Sync {
    fn decide(&self, upgrade: &Upgrade<'_>, calls: &Calls, to: ActorId) -> Result<Decision, Refusal>;
}

struct To<F, S> {
    make: F,
    session: PhantomData<fn() -> S>,
}

impl<F, S> Route for To<F, S>
where
    F: Fn(&Upgrade<'_>) -> Result<S, Refusal> + Send + Sync,
    S: Session,
{
    fn decide(&self, upgrade: &Upgrade<'_>, _: &Calls, _: ActorId) -> Result<Decision, Refusal> {
        let session = (self.make)(upgrade)?;
        Ok(Decision::Now(Box::new(move |link| Box::new(Connection::new(session, link)) as Box<dyn Cell>)))
    }
}

/// As [`To`], for those who decide on another thread.
struct Later<F, S> {
    ask: F,
    session: PhantomData<fn() -> S>,
}

impl<F, S> Route for Later<F, S>
where
    F: Fn(&Upgrade<'_>, Ticket<S>) + Send + Sync,
    S: Session,
{
    fn decide(&self, upgrade: &Upgrade<'_>, calls: &Calls, to: ActorId) -> Result<Decision, Refusal> {
        let (ticket, verdict) = Ticket::new(calls.clone(), to);
        (self.ask)(upgrade, ticket);
        Ok(Decision::Later(verdict))
    }
}

impl Routes {
    /// Adds a path. The first that fits is taken.
    pub(crate) fn add<F, S>(&mut self, path: &str, subprotocols: &[&str], make: F)
    where
        F: Fn(&Upgrade<'_>) -> Result<S, Refusal> + Send + Sync + 'static,
        S: Session,
    {
        self.push(path, subprotocols, Box::new(To { make, session: PhantomData }));
    }

    /// Adds a path whose requests are decided later.
    pub(crate) fn add_later<F, S>(&mut self, path: &str, ask: F)
    where
        F: Fn(&Upgrade<'_>, Ticket<S>) + Send + Sync + 'static,
        S: Session,
    {
        self.push(path, &[], Box::new(Later { ask, session: PhantomData }));
    }

    fn push(&mut self, path: &str, subprotocols: &[&str], route: Box<dyn Route>) {
        let subprotocols = subprotocols.iter().map(|&name| name.to_owned()).collect();
        let entry = Entry { path: path.to_owned(), subprotocols, route };
        Arc::get_mut(&mut self.0).expect("routes are added before they are shared").push(entry);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn find(&self, path: &str) -> Option<&Entry> {
        self.0.iter().find(|entry| entry.path == path)
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

    fn plain(&self, request: &Request<'_>) -> Refusal {
        match self.find(request.path()) {
            Some(_) => Refusal::upgrade_required()
                .with_body("This is a WebSocket: connect with a WebSocket client.\n"),
            None => Refusal::new(404),
        }
    }
}
