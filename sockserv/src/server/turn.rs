//! One turn of the loop: wait until something is ready, do it, and see to what is due.

use std::io;
use std::time::{Duration, Instant};

use crate::concurrency::Model as _;
use crate::drain::{CUT_NOTICE, Plan, Stage};
use crate::error::RequestError;
use crate::options::OnFull;
use crate::requests::Due;
use crate::requests::children;
use crate::server::declare::Declaration;
use crate::server::{
    BELL, FIRST_LISTENER, LIFE, Server, State, TIMER, UPGRADE, WAKE, linger, senders,
};
use crate::signals::Signals;
use crate::sys::clock::Tick;

/// How many requests a turn may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Most {
    /// For `handle_request`.
    One,
    /// As many as are there, within reason.
    Many,
}

/// What a turn did.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Turn {
    /// A request was dispatched, or a peer refused.
    pub(super) served: bool,
    /// Something else was done that a caller of `handle_request` may want to know.
    pub(super) other: bool,
}

impl<H: Declaration> Server<H> {
    /// Waits for something to do, at most `until`, and does it.
    pub(super) fn turn(&mut self, until: Option<Tick>, most: Most) -> io::Result<Turn> {
        self.stays = most == Most::Many;
        self.see_to_workers();
        self.see_to_predecessor();
        self.watch_sources()?;
        let ready = self.await_ready(until)?;
        let (mut turn, mut children) = (Turn::default(), false);
        for &token in &ready {
            match token {
                WAKE => self.woken(),
                TIMER => self.timer.set(None)?,
                BELL => {
                    self.woken();
                    self.look_anew()?;
                }
                LIFE => self.end_of_life(),
                UPGRADE => self.upgrade_goes_on(),
                FIRST_LISTENER..children::TOKENS
                    if self.may_accept() && (most == Most::Many || !turn.served) =>
                {
                    turn.served |= self.accept((token - FIRST_LISTENER) as usize, most)?;
                }
                // It is still ready at the next turn, if there is one.
                FIRST_LISTENER..children::TOKENS if self.requests.is_retired() => {
                    self.requests.pass_on();
                }
                FIRST_LISTENER..children::TOKENS => {}
                children::TOKENS..linger::TOKENS => children = true,
                linger::TOKENS..senders::TOKEN => {
                    self.lingering.ready(token, &self.requests.poller)
                }
                #[cfg(feature = "admin")]
                super::admin::TOKENS.. => self.answer_admin(token),
                _ => self.senders.ready(&self.requests),
            }
        }
        turn.other = !ready.is_empty(); // Whoever polls from outside expects this call to return.
        self.ready = ready;
        if children {
            self.reap();
        }
        turn.served |= self.ask_sources(most, turn.served)?;
        self.see_to_deadlines();
        self.see_to_successor();
        self.end_turn();
        if self.is_draining() {
            self.run_what_is_held();
        }
        Ok(turn)
    }

    /// Lets begin what the turn has brought.
    pub(super) fn end_turn(&mut self) {
        self.model.end_of_turn();
        if !self.pending.is_empty() {
            self.dispatch_pending(); // The model may have made room.
            self.model.end_of_turn();
        }
    }

    fn await_ready(&mut self, until: Option<Tick>) -> io::Result<Vec<u64>> {
        let mut ready = std::mem::take(&mut self.ready);
        ready.clear();
        let timeout = self.timeout(until);
        self.requests.poller.wait(&mut ready, timeout)?;
        // A worker keeps the kernel's order: it may be the only one that was woken for the first.
        if self.requests.worker().is_none() && self.sources.len() > 1 {
            self.take_turns(&mut ready);
        }
        Ok(ready)
    }

    /// Lets the listeners begin that come after the latest one: there may be room for one request only.
    fn take_turns(&self, ready: &mut [u64]) {
        let had_theirs = FIRST_LISTENER..=self.latest;
        ready.sort_unstable_by_key(|&token| (had_theirs.contains(&token), token));
    }

    /// How long it may wait, at most `until`.
    fn timeout(&self, until: Option<Tick>) -> Option<Duration> {
        if self.must_ask() {
            return Some(Duration::ZERO);
        }
        let next = [until, self.next_due()].into_iter().flatten().min();
        next.map(Tick::left)
    }

    pub(super) fn must_ask(&self) -> bool {
        self.sources.iter().any(super::Source::must_be_asked) && self.may_accept()
    }

    fn ask_sources(&mut self, most: Most, served: bool) -> io::Result<bool> {
        let mut served = served;
        for index in 0..self.sources.len() {
            if self.sources[index].must_be_asked()
                && self.may_accept()
                && (most == Most::Many || !served)
            {
                served |= self.accept(index, most)?;
            }
        }
        Ok(served)
    }

    /// Whether new requests are welcome now.
    pub(super) fn may_accept(&self) -> bool {
        let requests = &self.requests;
        let is_closed = requests.is_draining() || requests.is_suspended() || requests.is_held();
        if self.state != State::Active || is_closed {
            return false;
        }
        if self.leaves_it_to_workers() {
            return false;
        }
        if requests.worker().is_some() && Signals::count() > 0 {
            requests.retire(); // It may be long before the loop waits again.
            return false;
        }
        if self.have_all_ended() {
            return false; // Nothing can be accepted, and the end of the last request is waited for.
        }
        if self.has_room() {
            requests.need_no_wake();
            return true;
        }
        requests.want_wake();
        self.has_room() // A request may have ended before the wake-up was asked for.
    }

    /// Whether a new request would be dispatched, or refused, at once.
    fn has_room(&self) -> bool {
        let refuses = || self.requests.limits.on_full() == OnFull::Refuse;
        self.pending.is_empty() && (!self.requests.is_full() || refuses())
    }

    /// Watches the listeners, or leaves them alone while nothing can be accepted: the kernel's queue holds the clients.
    pub(super) fn watch_sources(&mut self) -> io::Result<()> {
        let wanted = self.may_accept();
        let model = &self.model;
        let has_room = [false, true].map(|is_stream| model.has_room(is_stream));
        #[cfg(feature = "admin")]
        self.tend_admin()?;
        for index in 0..self.sources.len() {
            let source = &mut self.sources[index];
            let wanted = wanted && has_room[usize::from(source.is_stream())];
            if let Some(error) = source.tend(wanted, &self.requests)? {
                self.leave_alone(index, &error, 0);
            }
        }
        Ok(())
    }

    /// After a `handle_request`: what is due later must make the descriptor readable, for who polls it from outside.
    pub(super) fn settle(&mut self) -> io::Result<()> {
        self.watch_sources()?;
        let due = self.next_due();
        if due.is_some() || self.timer_is_set {
            self.timer.set(due.map(Tick::left))?;
            self.timer_is_set = due.is_some();
        }
        Ok(())
    }

    pub(super) fn next_due(&self) -> Option<Tick> {
        let paused = self.sources.iter().filter_map(super::Source::paused_until);
        let is_needed = |plan: &Plan| {
            self.requests.active_here() > 0
                || self.requests.has_children()
                || plan.stage(Tick::now()) == Stage::LameDuck
        };
        let plan = self.requests.plan().filter(is_needed);
        let stage = plan.and_then(|plan| plan.next(Tick::now()));
        // Nothing alive, nothing due: an idle server makes no system call.
        let must_look = |_: &Tick| self.requests.is_in_use() || self.requests.awaits_told();
        let looks = [self.next_look, self.requests.next_unattended()].into_iter();
        let look = looks.flatten().min().filter(must_look);
        let model = self.model.next_due().map(Tick::from);
        #[cfg(feature = "admin")]
        let look = [look, self.next_admin()].into_iter().flatten().min();
        paused
            .chain(look)
            .chain(stage)
            .chain(self.lingering.next())
            .chain(self.senders.due())
            .chain(model)
            .chain(self.next_worker())
            .chain(self.upgrade.due())
            .min()
    }

    /// Somebody wants the loop's attention.
    fn woken(&mut self) {
        self.requests.wake.clear();
        if self.handles_signals {
            self.heed_signals();
        }
        self.see_to_predecessor();
        self.heed_upgrades();
        if self.requests.is_shutting_down() {
            self.requests.pull_life_line(); // A worker, or a child, may have asked for it.
        }
        self.requests.tell_done();
        self.lingering.take(&self.requests);
        self.senders.take(&self.requests);
        for (error, peer) in self.requests.failures.take() {
            self.report(&error, &peer);
        }
        self.dispatch_pending();
    }

    /// The first signal asks for a shutdown, the second ends its grace. Each is heeded once: both wake this loop themselves.
    pub(super) fn heed_signals(&mut self) {
        let count = Signals::count();
        if self.requests.worker().is_some() {
            if count >= 1 {
                self.requests.retire();
            }
            return;
        }
        if count >= 1 && !self.requests.is_shutting_down() {
            self.requests.shutdown();
        }
        if count >= 2 && !self.requests.is_grace_over() {
            self.requests.note_end_of_grace();
        }
    }

    fn reap(&mut self) {
        self.requests.need_no_wake(); // For ends that it sees to itself: it looks anew before it waits.
        for (process, status, kept) in self.requests.reap(&self.ready) {
            if let (true, Some(worker)) = (Self::WORKERS.are_some(), kept.worker()) {
                self.worker_ended(worker, process, status);
                continue;
            }
            let error = RequestError::exit(status);
            let peer = kept.peer().clone();
            if let Some(ticket) = kept.ticket() {
                ticket.failed(&error, &peer);
            }
            drop(kept); // Gives the place in the table back.
            self.report(&error, &peer);
        }
        self.lingering.take(&self.requests);
        self.dispatch_pending();
    }

    /// Ends what has waited too long, and looks for when to look again.
    pub(super) fn see_to_deadlines(&mut self) {
        self.lingering.expire(&self.requests.poller);
        self.senders.try_again(&self.requests);
        let stage = self.requests.stage();
        if stage >= Stage::Draining && self.requests.is_server_ending() {
            self.requests.note_drain(); // Before anybody is told.
        }
        let unattended = self.requests.next_unattended();
        let mut looks = [self.next_look, unattended].into_iter().flatten();
        if stage <= Stage::LameDuck && looks.all(|look| look > Tick::now()) {
            return;
        }
        let now = Tick::now();
        self.requests.forget_unattended();
        let options = &self.requests.options;
        // The workers of `prefork` wait for first bytes themselves.
        let first_byte = options
            .first_byte_timeout
            .filter(|_| self.workers.is_none());
        let mut next: Option<Tick> = None;
        let mut late = Vec::new();
        self.requests.for_each(|slot, index| {
            if stage < Stage::Cut && !self.requests.is_mine(slot) {
                return; // Its worker looks after it.
            }
            let is_idle = |slot: &_| self.requests.is_idle(slot);
            match slot.due(stage, now, first_byte, is_idle) {
                Due::Now(why) => late.push((index, why)),
                Due::Later(at) => next = [next, at].into_iter().flatten().min(),
            }
        });
        for (index, why) in late {
            self.requests.end(index, why);
        }
        self.next_look = [next, self.requests.press(stage)]
            .into_iter()
            .flatten()
            .min();
    }

    /// A request was dispatched: its deadlines may be the next.
    pub(super) fn look_after(&mut self) {
        if !self.requests.is_in_use() {
            return;
        }
        let options = &self.requests.options;
        let timeouts = [options.first_byte_timeout, options.request_timeout];
        if let Some(timeout) = timeouts.into_iter().flatten().min() {
            let due = Tick::coarse().after(timeout);
            self.next_look = Some(self.next_look.map_or(due, |look| look.min(due)));
        }
    }

    fn have_all_ended(&self) -> bool {
        !self.sources.is_empty() && self.sources.iter().all(|source| source.exhausted)
    }

    /// Whether no listener will ever have another request, and all that were taken have ended.
    pub(super) fn is_exhausted(&self) -> bool {
        if !self.have_all_ended() {
            return false;
        }
        self.requests.want_wake(); // Before the count is looked at, so that the last end is not missed.
        self.pending.is_empty() && self.requests.active() == 0
    }

    /// Lets the model run what it holds, during a drain: nothing else is alive that the accept loop must look after.
    pub(super) fn run_what_is_held(&mut self) {
        let is_main = self.workers.is_none(); // What the workers' models hold, they run.
        if let Some(plan) = self.requests.plan()
            && is_main
            && self.begins_requests()
            && self.requests.are_all_held()
        {
            self.model.drain(Instant::now() + plan.told.left());
        }
    }

    /// Lets the model end what it keeps, at the end of a run.
    pub(super) fn dismiss(&mut self) {
        // What is left behind is not waited for again.
        let time = match self.requests.stage() {
            Stage::Over => Duration::ZERO,
            _ => CUT_NOTICE,
        };
        self.model.drain(Instant::now() + time);
    }
}
