//! Accepting: what is taken, verified, given a place and dispatched, and what a failed accept leads to.

use std::fs::File;
use std::io;
use std::time::Duration;

use crate::address::{Address, Endpoint};
use crate::concurrency::life::verify;
use crate::concurrency::{Model as _, Unit};
use crate::error::{FULL, PAUSES, Phase, RequestError};
use crate::listener::packets::BATCH;
use crate::listener::{Arrived, Failure, Incoming};
use crate::observer::Event;
use crate::observer::Refusal;
use crate::options::OnFull;
use crate::requests::Ticket;
use crate::server::Server;
use crate::server::declare::Declaration;
use crate::server::turn::Most;
use crate::sys::clock::Tick;
use crate::transport::{Linger, Wait};

/// How many requests a turn takes from one listener before the others have theirs.
const REQUESTS_PER_TURN: u64 = 64;

/// For how long it does, should they run here, and be slow: deadlines, signals and a watchdog wait meanwhile, too.
const TIME_PER_TURN: Duration = Duration::from_millis(10);

/// How many clients are shed at once when no descriptor can be had and nothing of ours can end.
const SHED: usize = 64;

/// What an own listener is told whose requests nobody handles.
const UNSERVED: &str = "the listener made a request of a kind that the handler does not serve";

impl<H: Declaration> Server<H> {
    /// Takes what a listener has; returns whether there was anything.
    pub(super) fn accept(&mut self, index: usize, most: Most) -> io::Result<bool> {
        let until = Tick::coarse().after(TIME_PER_TURN);
        let mut taken = 0;
        while taken < REQUESTS_PER_TURN {
            let count = if most == Most::One {
                1
            } else {
                self.batch(index)
            };
            let (came, result) = self.take(index, count);
            if came > 0 {
                self.sources[index].took_one();
                self.latest = self.sources[index].token;
                taken += came;
            }
            if let Err(error) = result {
                return self.failed(index, error).map(|()| taken > 0);
            }
            if self.sources[index].listener.place().is_none() {
                self.model.end_of_turn(); // An own listener may wait for its next one.
            }
            let has_room = self.model.has_room(self.sources[index].is_stream());
            let is_over = most == Most::One || Tick::coarse() >= until;
            if is_over || !has_room || !self.may_accept() {
                break;
            }
        }
        Ok(taken > 0)
    }

    /// Takes at most `count` requests from a listener. Returns how many came, however that ended.
    pub(super) fn take(&mut self, index: usize, count: usize) -> (u64, io::Result<()>) {
        for came in 0..count {
            match self.sources[index].listener.accept_among(count - came) {
                Ok((incoming, peer)) => self.came(incoming, peer),
                Err(error) => return (came as u64, Err(error)),
            }
        }
        (count as u64, Ok(()))
    }

    /// Dispatches a request, unless it is refused at once, or must wait.
    fn came(&mut self, incoming: Incoming, peer: Address) {
        // Asked once: one that waits for a place must not count twice against its peer's rate.
        if let Some(why) = self.requests.limits.refuses(&peer) {
            return self.refused(why, incoming, &peer);
        }
        let waiting = match self.pending.is_empty() {
            true => self.begin(incoming, peer),
            false => Some((incoming, peer)),
        };
        if let Some(waiting) = waiting {
            self.pending.push_back(waiting);
        }
    }

    /// How many requests to take at once: packets come in batches, connections one by one, so that each is dispatched
    /// before the next is accepted.
    fn batch(&self, index: usize) -> usize {
        match self.sources[index].listener.place() {
            // What a worker holds, its siblings cannot take.
            Some(_) if self.requests.worker().is_some() => 1,
            Some(place) if !place.kind.is_stream() => BATCH,
            _ => 1,
        }
    }

    fn failed(&mut self, index: usize, error: io::Error) -> io::Result<()> {
        match Failure::of(error) {
            Failure::Nothing => self.sources[index].nap(),
            Failure::Skip => self.requests.count_refused(),
            Failure::Exhausted => self.sources[index].exhausted = true,
            Failure::Pause(error) => self.pause(index, &error),
            Failure::Fatal(error) => {
                let at = self.announced_at(index);
                return Err(io::Error::new(
                    error.kind(),
                    format!("cannot accept on {at}: {error}"),
                ));
            }
        }
        Ok(())
    }

    /// The form in which `run` announced a listener.
    fn announced_at(&self, index: usize) -> &Endpoint {
        &self.announced[index % self.announced.len()] // Each worker may have sockets of its own, in the same order.
    }

    /// Descriptors or memory ran out.
    fn pause(&mut self, index: usize, error: &io::Error) {
        let is_worker = self.requests.worker().is_some();
        if is_worker {
            self.requests.pass_on();
        }
        let may_come_elsewhere = is_worker && !self.sources[index].pauses_longest();
        let can_end = self.requests.is_in_use() || !self.lingering.is_empty();
        let shed = match can_end || may_come_elsewhere {
            true => 0,
            false => self.shed(index),
        };
        self.leave_alone(index, error, shed);
    }

    /// Lets a listener pause, so that the loop does not spin.
    pub(super) fn leave_alone(&mut self, index: usize, error: &io::Error, shed: usize) {
        let pause = self.sources[index].pause();
        let at = self.announced_at(index);
        let observers = &self.requests.options.observers;
        observers.tell(|| Event::Paused { at, error, pause });
        PAUSES.say(|missed| {
            format!("cannot accept on {at}: {error}; pausing {pause:?}, {shed} clients turned away ({missed} more not shown)")
        });
    }

    /// Nothing of ours can end and free a descriptor: clients that wait would wait for ever, so they are turned away.
    fn shed(&mut self, index: usize) -> usize {
        // A packet needs no descriptor: it can wait.
        let are_clients = self.methods.stream.is_some() && self.sources[index].is_stream();
        if !are_clients || self.spare.take().is_none() {
            return 0;
        }
        let listener = &self.sources[index].listener;
        let taken = (0..SHED).map_while(|_| listener.accept().ok());
        let shed = taken
            .inspect(|(_, peer)| self.requests.refused(peer, Refusal::Full))
            .count();
        self.spare = File::open("/dev/null").ok();
        shed
    }

    /// Dispatches what was accepted, as far as there are places.
    pub(super) fn dispatch_pending(&mut self) {
        while let Some((incoming, peer)) = self.pending.pop_front() {
            if let Some(waiting) = self.begin(incoming, peer) {
                return self.pending.push_front(waiting);
            }
        }
    }

    /// Dispatches a request, or refuses it; returns it if it must wait.
    fn begin(&mut self, incoming: Incoming, peer: Address) -> Option<(Incoming, Address)> {
        if !self.begins_requests() || !self.model.has_room(incoming.is_stream()) {
            return Some((incoming, peer));
        }
        match self.place(&incoming, &peer) {
            Ok(ticket) => self.dispatch(incoming, peer, ticket),
            Err(Refusal::Full) if self.requests.limits.on_full() == OnFull::Wait => {
                return Some((incoming, peer));
            }
            Err(why) => self.refused(why, incoming, &peer),
        }
        None
    }

    /// Dispatches a request that has a place.
    fn dispatch(&mut self, incoming: Incoming, peer: Address, ticket: Ticket) {
        if !self.requests.options.observers.is_empty() {
            ticket.start(&peer, incoming.known_local(), incoming.carrier(&peer));
        }
        let (tell, request) = (self.hooks.handle_error, ticket.request());
        let unit = match Unit::new(incoming, peer, ticket, &self.methods, tell, self.stays) {
            Ok(unit) => unit,
            Err(peer) => {
                let error = RequestError::new(Phase::Dispatch, UNSERVED);
                self.requests.failed(request, &error, &peer);
                return self.report(&error, &peer);
            }
        };
        if self.requests.worker().is_some() && self.requests.options.request_timeout.is_some() {
            self.requests.be_watched();
        }
        match self.model.admit(unit, &self.prototype) {
            Ok(()) => self.look_after(),
            Err(unit) => unit.give_up_on(&self.prototype),
        }
        self.count_down();
    }

    /// Verifies a request and gives it a place in the table, or says why not.
    fn place(&self, incoming: &Incoming, peer: &Address) -> Result<Ticket, Refusal> {
        if self.requests.has_enough(peer) {
            return Err(Refusal::PerPeer);
        }
        let transport = match &incoming.arrived {
            Arrived::Stream { transport, .. } => Some(transport),
            Arrived::Packet(_) => None,
        };
        let ticket = self.requests.take(peer, transport);
        let ticket = ticket.ok_or(Refusal::Full)?;
        let why = if self.requests.has_too_many(peer) {
            Refusal::PerPeer // Another process has given it one at the same moment.
        } else if !self.verify(incoming, peer) {
            Refusal::Verify
        } else {
            return Ok(ticket);
        };
        ticket.refuse();
        Err(why)
    }

    fn verify(&self, incoming: &Incoming, peer: &Address) -> bool {
        let (hooks, requests) = (&self.hooks, &self.requests);
        verify(hooks, &self.prototype, requests, incoming, peer)
    }

    /// Closes a request that is not served, without a reset: what the peer says meanwhile is drained.
    fn refused(&mut self, why: Refusal, incoming: Incoming, peer: &Address) {
        self.requests.refused(peer, why);
        if why == Refusal::Full {
            let alive = self.requests.limits.max_connections();
            FULL.say(|missed| {
                format!("{alive} requests are alive (max_connections); refusing ({missed} more not shown)")
            });
        }
        let Arrived::Stream { transport, .. } = incoming.arrived else {
            return; // A packet is dropped.
        };
        let banner = &self.requests.options.banner;
        if why.is_told() && !banner.is_empty() {
            // A new socket has room for it, and a peer that has left needs none: nothing waits here.
            let _ = transport.send(banner, Wait::Not);
        }
        self.lingering.add(&self.requests, transport, Linger::Quiet);
    }
}
