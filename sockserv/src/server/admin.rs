//! The operator's endpoint in the accept loop: a few entries of its poll set, none of which it ever waits for.

use std::collections::VecDeque;
use std::io;

use crate::address::{Address, Endpoint, Kind};
use crate::admin::{self, Ask, Connection, Readiness, Reply, Tally, View};
use crate::drain::Stage;
use crate::error::Throttle;
use crate::listener::streams::Streams;
use crate::listener::{Arrived, Failure};
use crate::options::Options;
use crate::requests::Requests;
use crate::server::declare::Declaration;
use crate::server::source::Source;
use crate::server::{Server, State, open};
use crate::sys::clock::Tick;
use crate::sys::poller::Poller;

/// Tokens of the endpoint in the poller begin here: its listeners, and then its connections.
pub(super) const TOKENS: u64 = 8 << 32;
const CONNECTIONS: u64 = TOKENS + (1 << 16);

/// How many connections there may be at once. Then the oldest is closed: who holds them must not keep a health check out.
const MAX_CONNECTIONS: usize = 8;

/// What is said about a listener that cannot accept, at most so often a second.
static LINES: Throttle = Throttle::new(1);

/// From where the endpoint may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// From this machine.
    Private,
    Public,
}

/// The endpoint of one server.
#[derive(Debug)]
pub(super) struct Admin {
    sources: Vec<Source>,
    connections: VecDeque<Connection>,
    addrs: Vec<Address>,
    next: u64,
    tally: Tally,
    since: Tick,
}

impl Admin {
    /// Binds the endpoint where the options say so.
    pub(super) fn bind(options: &mut Options) -> io::Result<Option<Self>> {
        let places = &options.admin;
        if places.private.is_empty() && places.public.is_empty() {
            return Ok(None);
        }
        let all = |endpoints: &Vec<_>| endpoints.iter().cloned().collect();
        let [private, public]: [Result<Vec<Endpoint>, _>; 2] =
            [&places.private, &places.public].map(all);
        let mut admin = Self {
            sources: Vec::new(),
            connections: VecDeque::new(),
            addrs: Vec::new(),
            next: CONNECTIONS,
            tally: Tally::new()?,
            since: Tick::now(),
        };
        options.observers.push(admin.tally.clone());
        admin.listen(&private?, Reach::Private)?;
        admin.listen(&public?, Reach::Public)?;
        Ok(Some(admin))
    }

    fn listen(&mut self, endpoints: &[Endpoint], reach: Reach) -> io::Result<()> {
        for endpoint in endpoints {
            let kind = [Kind::Tcp, Kind::Unix]
                .into_iter()
                .find(|kind| endpoint.fits(*kind));
            let kind = kind.unwrap_or(Kind::Tcp); // `places` says what does not fit.
            let options = Options::new().addr(endpoint.clone()).explicitly();
            let places = open::places(&[kind], &options, &|_| Ok(()));
            let places = places
                .map_err(|error| io::Error::new(error.kind(), format!("`admin`: {error}")))?;
            for place in places {
                check_reach(&place.address, reach)?;
                place.activate(&options)?;
                self.addrs.push(place.address.clone());
                let token = TOKENS + self.sources.len() as u64;
                self.sources
                    .push(Source::new(Box::new(Streams::new(place)), token));
            }
        }
        Ok(())
    }

    /// What it listens on.
    #[cfg(feature = "upgrade")]
    pub(super) fn sources(&self) -> impl Iterator<Item = &Source> {
        self.sources.iter()
    }

    /// Takes who has connected, and lets the oldest go if these are too many.
    fn accept(&mut self, index: usize, requests: &Requests) {
        let poller = &requests.poller;
        let source = &mut self.sources[index];
        let at = source.listener.local_addr();
        for _ in 0..MAX_CONNECTIONS {
            match source.listener.accept().map_err(Failure::of) {
                Ok((incoming, _)) => {
                    source.took_one();
                    self.next += 1;
                    if let Arrived::Stream { transport, .. } = incoming.arrived {
                        let new = Connection::new(transport, self.next, is_loopback(&at), poller);
                        self.connections.extend(new);
                    }
                }
                Err(Failure::Skip) => {}
                Err(Failure::Nothing | Failure::Exhausted) => break,
                Err(Failure::Pause(error) | Failure::Fatal(error)) => {
                    pause(source, &error);
                    break;
                }
            }
        }
        while self.connections.len() > MAX_CONNECTIONS {
            let oldest = self.connections.pop_front();
            oldest.inspect(|oldest| oldest.leave(poller));
        }
    }

    fn go_on(&mut self, token: u64, poller: &Poller, answer: impl Fn(&Ask) -> Reply) {
        self.keep(poller, |connection| {
            connection.token() != token || connection.go_on(poller, &answer)
        });
    }

    /// Closes the connections that do not stay.
    fn keep(&mut self, poller: &Poller, mut stays: impl FnMut(&mut Connection) -> bool) {
        self.connections.retain_mut(|connection| {
            let stays = stays(connection);
            if !stays {
                connection.leave(poller);
            }
            stays
        });
    }
}

/// Leaves a listener alone for a while.
fn pause(source: &mut Source, error: &io::Error) {
    let (at, pause) = (source.listener.local_addr(), source.pause());
    LINES.say(|missed| {
        format!(
            "cannot accept on `admin` at {at}: {error}; pausing {pause:?} ({missed} more not shown)"
        )
    });
}

/// The endpoint answers everybody who connects: that strangers can must have been said.
fn check_reach(at: &Address, reach: Reach) -> io::Result<()> {
    if reach == Reach::Public || at.as_inet().is_none() || is_loopback(at) {
        return Ok(());
    }
    let text = format!(
        "`{at}` can be reached from elsewhere, and `admin` answers everybody; write `127.0.0.1`, or `admin_public` in \
         place of `admin`"
    );
    Err(io::Error::new(io::ErrorKind::InvalidInput, text))
}

fn is_loopback(at: &Address) -> bool {
    at.as_inet()
        .is_some_and(|at| at.ip().to_canonical().is_loopback())
}

impl<H: Declaration> Server<H> {
    /// Returns where the operator's endpoint listens, with real ports.
    #[cfg_attr(docsrs, doc(cfg(feature = "admin")))]
    #[must_use]
    pub fn admin_addrs(&self) -> &[Address] {
        self.admin.as_ref().map_or(&[], |admin| &admin.addrs)
    }

    /// What `run` says of the endpoint.
    pub(super) fn admin_lines(&self) -> String {
        let line = |at: &Address| match at {
            Address::Inet(at) => format!("admin on http://{at}\n"),
            at => format!("admin on {at}\n"),
        };
        self.admin_addrs().iter().map(line).collect()
    }

    /// One of the endpoint's entries is ready.
    pub(super) fn answer_admin(&mut self, token: u64) {
        let readiness = self.readiness();
        let Some(admin) = &mut self.admin else {
            return;
        };
        if token < CONNECTIONS {
            return admin.accept((token - TOKENS) as usize, &self.requests);
        }
        let (tally, since) = (admin.tally.clone(), admin.since);
        admin.go_on(token, &self.requests.poller, |ask| {
            let view = View {
                handler: word::<H>(),
                model: &model::<H::Model>(),
                listening: &self.announced,
                uptime: Tick::now().since(since),
                readiness,
                requests: &self.requests,
                tally: &tally,
            };
            admin::answer(ask, &view)
        });
    }

    fn readiness(&self) -> Readiness {
        let requests = &self.requests;
        match requests.stage() {
            _ if requests.is_handed_over() => Readiness::HandedOver,
            Stage::Serving if requests.is_suspended() => Readiness::Suspended,
            Stage::Serving if !requests.has_begun() => Readiness::Starting,
            Stage::Serving => Readiness::Ready,
            Stage::LameDuck => Readiness::LameDuck,
            _ => Readiness::Draining,
        }
    }

    /// Closes the connections whose patience is over, and watches the listeners.
    pub(super) fn tend_admin(&mut self) -> io::Result<()> {
        let requests = &self.requests;
        // Of two processes the one that accepts answers, so that its readiness is the answer.
        let wanted = self.state == State::Active && !requests.another_accepts();
        let Some(admin) = &mut self.admin else {
            return Ok(());
        };
        if !admin.connections.is_empty() {
            let now = Tick::now();
            admin.keep(&requests.poller, |connection| connection.until() > now);
        }
        for source in &mut admin.sources {
            if let Some(error) = source.tend(wanted, requests)? {
                pause(source, &error);
            }
        }
        Ok(())
    }

    /// When a connection's patience ends, or a listener's pause.
    pub(super) fn next_admin(&self) -> Option<Tick> {
        let admin = self.admin.as_ref()?;
        let connections = admin.connections.iter().map(Connection::until);
        let sources = admin.sources.iter().filter_map(Source::paused_until);
        connections.chain(sources).min()
    }

    /// A run has ended.
    pub(super) fn close_admin(&mut self) {
        if let Some(admin) = &mut self.admin {
            admin.keep(&self.requests.poller, |_| false);
            admin.sources.clear();
        }
    }

    /// Listens at the same addresses for another run.
    pub(super) fn reopen_admin(&mut self) -> io::Result<()> {
        let Some(admin) = &mut self.admin else {
            return Ok(());
        };
        let endpoints: Vec<_> = admin.addrs.drain(..).map(Endpoint::from).collect();
        admin.listen(&endpoints, Reach::Public) // Each was checked before.
    }

    /// In a worker: it is the parent's, and its descriptors are closed.
    pub(super) fn leave_admin(&mut self) {
        std::mem::forget(self.admin.take());
    }
}

/// The last word of a type's path.
fn word<T>() -> &'static str {
    let path = std::any::type_name::<T>();
    let path = path.split('<').next().unwrap_or(path);
    path.rsplit("::").next().unwrap_or(path)
}

/// The word that chooses a model.
fn model<T>() -> String {
    match word::<T>().trim_start_matches("Unchecked") {
        "Synchronous" => "sync".to_owned(),
        other => other.to_lowercase(),
    }
}
