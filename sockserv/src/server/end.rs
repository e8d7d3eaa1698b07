//! The end of a run: take what has arrived, close the listeners, tell the requests, and wait for the last one.

use std::io;

use crate::address::Endpoint;
use crate::drain::{DrainReport, Stage};
use crate::listener::Failure;
use crate::observer::Event;
use crate::server::declare::Declaration;
use crate::server::operator::Operator;
use crate::server::turn::Most;
use crate::server::{Server, State};
use crate::sys::clock::Tick;

/// How many packets are still taken at a shutdown: a flood must not keep the server from ending.
const PACKETS: u32 = 1024;

/// What becomes of connections that the kernel has completed when a run ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Last {
    /// They are served: closing the listener would reset them.
    Served,
    /// Nobody asked for them to be served: the server is dropped.
    Dropped,
}

/// What a drain counts from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Draining {
    /// How many requests had ended before.
    ended: u64,
    /// How many requests of this process had not, or came then.
    own: u64,
}

impl<H: Declaration> Server<H> {
    /// Ends the run. It returns as soon as the last request has ended, at the latest when the plan is over.
    pub(super) fn drain(&mut self, last: Last, operator: &mut Operator) {
        self.begin_drain(last);
        operator.tend();
        while !self.is_drained() {
            // A poll set that fails leaves nothing to wait with.
            if self.turn(operator.due(), Most::Many).is_err() {
                break;
            }
            operator.tend();
        }
        self.end_drain();
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining.is_some()
    }

    /// Takes what has arrived, closes the listeners, and tells the idle requests.
    pub(super) fn begin_drain(&mut self, last: Last) {
        // A broken listener, or one that is exhausted, ends a run too; in a worker it ends this worker.
        match self.requests.worker() {
            Some(_) => self.requests.retire(),
            None => self.requests.shutdown(),
        }
        if self.requests.worker().is_none() || self.requests.is_server_ending() {
            self.requests.note_drain();
        }
        self.give_up_upgrade();
        self.requests.options.observers.tell(|| Event::Draining);
        let ended = self.requests.ended_before();
        let mut own = u64::from(self.requests.active_here());
        if last == Last::Served && self.state == State::Active && self.are_mine_to_take() {
            own += self.take_the_last();
            self.end_turn();
        }
        self.draining = Some(Draining { ended, own });
        self.close_listeners();
        self.see_to_deadlines();
        self.run_what_is_held();
    }

    /// Whether nobody else goes on serving those who have connected.
    fn are_mine_to_take(&self) -> bool {
        let is_worker = self.requests.worker().is_some();
        let is_ours = !self.requests.another_accepts();
        is_ours && !self.leaves_it_to_workers() && (!is_worker || self.requests.is_server_ending())
    }

    /// Serves what the kernel has completed already: closing the listener would reset those clients.
    fn take_the_last(&mut self) -> u64 {
        let mut count = self.pending.len() as u64;
        for index in 0..self.sources.len() {
            let most = match self.sources[index].listener.place() {
                Some(place) if place.kind.is_stream() => self.requests.options.backlog,
                Some(_) => PACKETS,
                None => 0,
            };
            for _ in 0..most {
                if !self.begins_requests() {
                    break;
                }
                let (came, result) = self.take(index, 1);
                count += came;
                match result.map_err(Failure::of) {
                    Ok(()) | Err(Failure::Skip) => {}
                    Err(_) => break,
                }
            }
        }
        count
    }

    /// Whether a request may still begin. Under `sync` each runs here: the grace is theirs, too, and a second signal ends it.
    pub(super) fn begins_requests(&mut self) -> bool {
        if self.handles_signals {
            self.heed_signals();
        }
        let plan = self.requests.plan();
        plan.is_none_or(|plan| plan.begins_requests(Tick::now()))
    }

    fn close_listeners(&mut self) {
        self.disown();
        for source in &mut self.sources {
            // It fails only if it was not watched.
            let _ = source.ignore(&self.requests);
        }
        self.sources
            .retain(|source| source.listener.place().is_none());
    }

    /// Whether all requests have ended, or nothing can be done about those that have not.
    pub(super) fn is_drained(&mut self) -> bool {
        self.requests.want_wake(); // Before the count is looked at, so that no end is missed.
        self.lingering.take(&self.requests);
        let alive = self.requests.active_here() > 0
            || self.requests.has_children()
            || (!self.pending.is_empty() && self.begins_requests());
        let is_over = self.requests.stage() == Stage::Over && !self.requests.has_done_children();
        (!alive || is_over) && !self.lingering.holds_replies()
    }

    /// Reports, and lets go of everything that belonged to this run.
    pub(super) fn end_drain(&mut self) {
        let Some(Draining { ended, own }) = self.draining.take() else {
            return;
        };
        for (error, peer) in self.requests.failures.take() {
            self.report(&error, &peer);
        }
        self.requests.leave_behind();
        let mut unfinished = self.requests.cut.take();
        if self.requests.worker().is_none() {
            unfinished.extend(self.requests.take_cut_alone());
        }
        let all = match self.requests.worker() {
            Some(_) => own,
            None => self.requests.alive_since(ended),
        };
        let finished = all.saturating_sub(unfinished.len() as u64);
        let report = DrainReport {
            finished: finished.min(self.requests.ended() - ended),
            unfinished,
        };
        self.requests.set_report(report.clone());
        self.requests.need_no_wake();
        self.pending.clear();
        self.dismiss();
        self.lingering.clear(&self.requests.poller);
        self.senders.clear(&self.requests.poller);
        drop(self.requests.unsent.take()); // Each holds this table.
        self.state = State::Ended;
        #[cfg(feature = "admin")]
        self.close_admin();
        let observers = &self.requests.options.observers;
        observers.tell(|| Event::Drained(&report));
    }

    /// Makes ready for another run at the same addresses.
    pub(super) fn reopen(&mut self) -> io::Result<()> {
        self.requests.begin();
        let mut listeners = Vec::new();
        for at in &self.announced {
            let Endpoint::Only(kind, address) = at else {
                continue;
            };
            let Endpoint::Address(address) = &**address else {
                continue;
            };
            if self.inherited.contains(address) {
                let text = format!(
                    "`{at}` was inherited, and a shutdown has closed it: it cannot be opened again"
                );
                return Err(io::Error::new(io::ErrorKind::AddrNotAvailable, text));
            }
            listeners.push(self.bind_further(*kind, address)?);
        }
        listeners.extend(self.sources.drain(..).map(|source| source.listener)); // Own ones were never closed.
        self.listen_to(listeners);
        self.multiply_sockets()?;
        #[cfg(feature = "admin")]
        self.reopen_admin()?;
        self.state = State::Bound;
        Ok(())
    }
}
