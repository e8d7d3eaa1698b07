//! [`Operator`]: who runs the program, beside its peers. What is said to the terminal, to the service manager and to
//! signals, while [`run`](super::Server::run) serves.

use std::sync::Arc;
use std::time::Duration;

use crate::address::Endpoint;
use crate::drain::Stage;
use crate::error::note;
use crate::notify::Manager;
use crate::observer::Event;
use crate::requests::Requests;
use crate::server::status;
use crate::signals::Signals;
use crate::sys::clock::Tick;

/// How often a drain says how many requests are left, at most.
const PACE: Duration = Duration::from_secs(1);

/// Whom servers are run for; the default is nobody.
#[derive(Debug, Default)]
pub(super) struct Operator {
    servers: Vec<Arc<Requests>>,
    listeners: String,
    began: Option<Tick>,
    /// How many SIGHUPs were heeded.
    hang_ups: u32,
    manager: Option<Manager>,
    /// What the manager believes.
    state: State,
    /// What it was told last, and when.
    status: Option<(String, Tick)>,
}

/// What a service manager believes of us.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Starting,
    Ready,
    Stopping,
}

impl Operator {
    /// Finds out who started this process.
    pub(super) fn new<'a>(
        servers: Vec<Arc<Requests>>,
        listeners: impl Iterator<Item = &'a Endpoint>,
    ) -> Self {
        let inherits = servers.iter().any(|server| server.is_held());
        let manager = Manager::find(inherits).unwrap_or_else(|error| {
            note(&format!("cannot use NOTIFY_SOCKET: {error}"));
            None
        });
        let listeners: Vec<String> = listeners.map(Endpoint::to_string).collect();
        let (listeners, began) = (listeners.join(", "), Tick::now());
        status::answer_beside_requests(&servers, &listeners, began);
        Self {
            servers,
            listeners,
            began: Some(began),
            hang_ups: Signals::hang_ups(),
            manager,
            ..Self::default()
        }
    }

    /// Whether a SIGHUP means something else than that the terminal has gone.
    pub(super) fn reloads(&self) -> bool {
        let reloads =
            |server: &Arc<Requests>| server.has_workers() || !server.options.observers.is_empty();
        self.manager.is_some() || self.servers.iter().any(reloads)
    }

    /// When to [`tend`](Self::tend) without a cause.
    pub(super) fn due(&self) -> Option<Tick> {
        self.manager.as_ref().and_then(Manager::due)
    }

    /// Heeds the operator's signals, and tells the manager what has changed.
    pub(super) fn tend(&mut self) {
        let Some(began) = self.began else {
            return; // Nobody.
        };
        if Signals::take_question() {
            status::print(&self.servers, &self.listeners, began);
        }
        if self.hang_ups != Signals::hang_ups() {
            self.hang_ups = Signals::hang_ups();
            self.reload();
        }
        if self.manager.is_some() {
            self.tell_changes();
        }
    }

    fn reload(&mut self) {
        if self.state == State::Ready {
            self.state = State::Starting;
            let micros = Tick::now().0 / 1000; // The clock that systemd asks for: sd_notify(3).
            let status = "reloading".to_owned();
            self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"), status);
        }
        for server in &self.servers {
            server.options.observers.tell(|| Event::Reload);
            server.renew_workers();
        }
    }

    fn tell_changes(&mut self) {
        if self.servers.iter().any(|server| server.is_handed_over()) {
            self.manager = None; // It hears from another process from now on.
            return;
        }
        let all = |is_so: fn(&Requests) -> bool| self.servers.iter().all(|server| is_so(server));
        let news = match self.state {
            State::Starting | State::Ready if all(Requests::is_shutting_down) => {
                self.state = State::Stopping;
                "STOPPING=1"
            }
            State::Starting if all(|server| server.are_workers_ready() && !server.is_held()) => {
                self.state = State::Ready;
                "READY=1"
            }
            _ => "",
        };
        let must_beat = self.manager.as_mut().is_some_and(Manager::must_beat);
        let said = match must_beat {
            true => format!("{news}\nWATCHDOG=1"),
            false => news.to_owned(),
        };
        if !said.is_empty() || (self.state == State::Stopping && self.is_paced()) {
            let status = self.numbers();
            self.tell(said.trim_start(), status);
        }
    }

    /// Whether the last word was long enough ago.
    fn is_paced(&self) -> bool {
        let last = self.status.as_ref().map(|(_, at)| *at);
        last.is_none_or(|last| Tick::now().since(last) >= PACE)
    }

    /// One line on how the servers do.
    fn numbers(&self) -> String {
        let stats = self.servers.iter().map(|server| server.stats());
        let (mut active, mut served) = (0, 0);
        stats.for_each(|stats| {
            active += stats.active;
            served += stats.finished + stats.failed;
        });
        let stage = self.servers.iter().map(|server| server.stage()).min();
        let doing = match stage.unwrap_or(Stage::Over) {
            Stage::Serving if self.state == State::Starting => "starting workers".to_owned(),
            Stage::Serving => format!("listening on {}", self.listeners),
            Stage::LameDuck => "serving on before the shutdown (lame_duck)".to_owned(),
            Stage::Draining => "draining".to_owned(),
            Stage::Told | Stage::Cut | Stage::Over => "cutting".to_owned(),
        };
        format!("{doing}; {active} requests alive, {served} served")
    }

    /// Sends what is to be said, with the status if that is another one than before.
    fn tell(&mut self, said: &str, status: String) {
        let Some(manager) = &self.manager else {
            return;
        };
        let is_old = self.status.as_ref().is_some_and(|(old, _)| *old == status);
        let text = match is_old {
            true if said.is_empty() => return,
            true => said.to_owned(),
            false => format!("{said}\nSTATUS={status}"),
        };
        if let Err(error) = manager.tell(&text) {
            note(&format!("cannot tell the service manager: {error}"));
        }
        self.status = Some((status, Tick::now()));
    }
}
