//! Which path gets which session.

use crate::actor::cell::Cell;
use crate::connection::handshake::{Admitted, Doorman};
use crate::connection::{Connection, Session, Upgrade};
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
    fn admit(&self, upgrade: &Upgrade<'_>, subprotocol: Option<String>) -> Result<Admitted, Refusal>;
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
    fn admit(&self, upgrade: &Upgrade<'_>, subprotocol: Option<String>) -> Result<Admitted, Refusal> {
        let session = (self.make)(upgrade)?;
        let open = Box::new(move |link| Box::new(Connection::new(session, link)) as Box<dyn Cell>);
        Ok(Admitted { subprotocol, open })
    }
}

impl Routes {
    /// Adds a path. The first that fits is taken.
    pub(crate) fn add<F, S>(&mut self, path: &str, subprotocols: &[&str], make: F)
    where
        F: Fn(&Upgrade<'_>) -> Result<S, Refusal> + Send + Sync + 'static,
        S: Session,
    {
        let entry = Entry {
            path: path.to_owned(),
            subprotocols: subprotocols.iter().map(|&name| name.to_owned()).collect(),
            route: Box::new(To { make, session: PhantomData }),
        };
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
    fn admit(&self, upgrade: &Upgrade<'_>) -> Result<Admitted, Refusal> {
        let entry = self.find(upgrade.path()).ok_or_else(|| Refusal::new(404))?;
        // The client's order is its preference (RFC 6455 §1.9). None in common is no error: the client decides.
        let subprotocol =
            upgrade.subprotocols().find(|offered| entry.subprotocols.iter().any(|ours| ours == offered));
        entry.route.admit(upgrade, subprotocol.map(str::to_owned))
    }

    fn plain(&self, request: &Request<'_>) -> Refusal {
        match self.find(request.path()) {
            Some(_) => Refusal::upgrade_required()
                .with_body("This is a WebSocket: connect with a WebSocket client.\n"),
            None => Refusal::new(404),
        }
    }
}
