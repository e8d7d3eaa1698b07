//! [`Operator`]: who runs the program, beside its peers. What is said to the terminal, to the service manager and to
//! signals, while [`run`](super::Server::run) serves.

use std::sync::Arc;
use std::time::Duration;

use crate::address::Endpoint;
use crate::drain::Stage;
use crate::notify::Manager;
use crate::requests::Requests;
use crate::sys::clock::Tick;

/// How often a drain says how many requests are left, at most.
const PACE: Duration = Duration::from_secs(1);

/// Whom servers are run for. The one without a manager is told nothing.
#[derive(Debug, Default)]
pub(super) struct Operator {
    servers: Vec<Arc<Requests>>,
    listeners: String,
    manager: Option<Manager>,
    /// What the manager was told last, and when.
    status: Option<(String, Tick)>,
    is_stopping: bool,
}

impl Operator {
    /// Finds out who started this process.
    pub(super) fn new<'a>(
        servers: Vec<Arc<Requests>>,
        listeners: impl Iterator<Item = &'a Endpoint>,
    ) -> Self {
        let manager = Manager::find().unwrap_or_else(|error| {
            crate::error::note(&format!("cannot use NOTIFY_SOCKET: {error}"));
            None
        });
        let listeners: Vec<String> = listeners.map(Endpoint::to_string).collect();
        Self {
            servers,
            listeners: listeners.join(", "),
            manager,
            ..Self::default()
        }
    }

    /// The servers listen: whoever depends on them may start.
    pub(super) fn ready(&mut self) {
        let status = format!("listening on {}", self.listeners);
        self.tell("READY=1", status);
    }

    /// When to [`tend`](Self::tend) without a cause.
    pub(super) fn due(&self) -> Option<Tick> {
        self.manager.as_ref().and_then(Manager::due)
    }

    /// Tells what has changed.
    pub(super) fn tend(&mut self) {
        if self.manager.is_none() {
            return;
        }
        if !self.is_stopping && self.servers.iter().all(|server| server.is_shutting_down()) {
            self.is_stopping = true;
            let status = self.numbers();
            self.tell("STOPPING=1", status);
        }
        let must_beat = self.manager.as_mut().is_some_and(Manager::must_beat);
        if must_beat {
            let status = self.numbers();
            self.tell("WATCHDOG=1", status);
        } else if self.is_stopping && self.is_paced() {
            let status = self.numbers();
            self.tell("", status);
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
            crate::error::note(&format!("cannot tell the service manager: {error}"));
        }
        self.status = Some((status, Tick::now()));
    }
}
