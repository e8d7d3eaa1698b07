//! [`Ground`]: what a request needs of a server, without one.

use std::sync::Arc;

use super::record::{Seen, Witness};
use crate::address::Address;
use crate::concurrency::Unit;
use crate::concurrency::life::{report_on_clone, verify};
use crate::handler::Methods;
use crate::hooks::HookTable;
use crate::listener::{Arrived, Incoming};
use crate::observer::Refusal;
use crate::options::Options;
use crate::requests::{Requests, Ticket};
use crate::server::declare::{Declaration, Transport};
use crate::sys::clock::Stopped;

/// A handler with its table of requests, its hooks and its limits, on a thread whose clock stands still.
pub(super) struct Ground<H> {
    prototype: H,
    hooks: HookTable<H>,
    methods: Methods<H>,
    requests: Arc<Requests>,
    witness: Witness,
    _clock: Stopped,
}

impl<H: Declaration> Ground<H> {
    #[track_caller]
    pub(super) fn new(prototype: H, options: Options) -> Self {
        let (mut prototype, hooks) = (prototype, H::hooks());
        if let Err(error) = (hooks.worker_start)(&mut prototype, 0) {
            panic!("`worker_start` failed: {error}");
        }
        let witness = Witness::default();
        let mut options = options.with_observers().observer(witness.clone());
        options.max_connections = 1;
        let clock = Stopped::now();
        let requests = Requests::new(options, None, None);
        Self {
            prototype,
            hooks,
            methods: <H::Transport as Transport<H>>::methods(),
            requests: Arc::new(requests.expect("the system has a few descriptors left")),
            witness,
            _clock: clock,
        }
    }

    /// Serves one request as a server does: `placed` is told its place in the table.
    pub(super) fn serve(&self, incoming: Incoming, peer: &Address, placed: impl FnOnce(&Ticket)) {
        if let Some(why) = self.requests.limits.refuses(peer) {
            return self.requests.refused(peer, why);
        }
        let transport = match &incoming.arrived {
            Arrived::Stream { transport, .. } => Some(transport),
            Arrived::Packet(_) => None,
        };
        let ticket = self.requests.take(peer, transport).expect("a free place");
        if !verify(
            &self.hooks,
            &self.prototype,
            &self.requests,
            &incoming,
            peer,
        ) {
            ticket.refuse();
            return self.requests.refused(peer, Refusal::Verify);
        }
        placed(&ticket);
        ticket.start(peer, incoming.known_local(), None);
        let tell = self.hooks.handle_error;
        let unit = Unit::new(incoming, peer.clone(), ticket, &self.methods, tell, false);
        let mut unit = unit.expect("the handler serves what its test sends");
        match unit.clone_handler(&self.prototype) {
            true => unit.run(),
            false => unit.give_up_on(&self.prototype),
        }
    }

    pub(super) fn requests(&self) -> &Arc<Requests> {
        &self.requests
    }

    /// Waits until all requests have ended, and does what is left to a server then.
    #[track_caller]
    pub(super) fn finish(&self) -> Seen {
        let seen = self.witness.seen();
        for (error, peer) in self.requests.failures.take() {
            report_on_clone(&self.prototype, self.hooks.handle_error, &error, &peer);
        }
        // Nobody drains a peer or waits for its room here, and each of these holds the table that it stands in.
        drop(self.requests.lingering.take());
        drop(self.requests.unsent.take());
        seen
    }
}
