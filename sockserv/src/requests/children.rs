//! The children of a server, forked for one request each or as workers, watched by descriptor, and only these are reaped.

use std::fmt;
use std::io;
use std::mem::forget;
use std::os::fd::RawFd;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::process::Signal;

use crate::address::Address;
use crate::drain::{CUT_NOTICE, LAST_WORDS, Stage};
use crate::error::complain;
use crate::requests::workers::{RunningWorker, Worker};
use crate::requests::{Ended, Requests, Ticket, Told, lock};
use crate::sys::clock::Tick;
use crate::sys::fork::{self, Fork, Threads};
use crate::sys::poller::Interest;
use crate::sys::signal;
use crate::transport::Linger;

/// Tokens of children in the poller begin here; below are the server's own.
pub(crate) const TOKENS: u64 = 1 << 32;

/// What the parent keeps for a child.
#[derive(Debug)]
pub(crate) enum Kept {
    /// Whose request the child serves, and its place in the table.
    Place(Address, Ticket),
    /// The same, of a request that this process still holds, with its socket.
    Held(Arc<dyn Held>),
    Worker(Worker),
}

/// A request that its parent holds while a child serves it.
pub(crate) trait Held: Send + Sync + fmt::Debug {
    fn ticket(&self) -> &Ticket;
    fn peer(&self) -> &Address;
}

impl Kept {
    /// The place of the one request that the child serves.
    pub(crate) fn ticket(&self) -> Option<&Ticket> {
        match self {
            Self::Place(_, ticket) => Some(ticket),
            Self::Held(request) => Some(request.ticket()),
            Self::Worker(_) => None,
        }
    }

    pub(crate) fn worker(&self) -> Option<Worker> {
        match self {
            Self::Worker(worker) => Some(*worker),
            _ => None,
        }
    }

    pub(crate) fn peer(&self) -> &Address {
        match self {
            Self::Place(peer, _) => peer,
            Self::Held(request) => request.peer(),
            Self::Worker(_) => &Address::Unnamed,
        }
    }
}

/// The children that run.
#[derive(Debug, Default)]
pub(crate) struct Children {
    pub(super) running: Mutex<Vec<Running>>,
}

#[derive(Debug)]
pub(super) struct Running {
    child: fork::Child,
    kept: Kept,
    /// When it was told to end, and how long it may take.
    told: Option<(Tick, Duration)>,
    killed: Option<Tick>,
}

/// What names a child in the poller.
fn token(child: &fork::Child) -> u64 {
    TOKENS + u64::from(child.id())
}

/// Whether a process died of a signal that `press` sends.
fn is_ours(status: ExitStatus) -> bool {
    let ours = [Signal::TERM, Signal::KILL].map(Signal::as_raw);
    status.signal().is_some_and(|signal| ours.contains(&signal))
}

impl Requests {
    /// Forks for one request. Returns the child in the parent, where [`watch`](Self::watch) must follow, and `None` in the
    /// child, which has become one in every respect; of the listeners it keeps those in `keep`.
    pub(crate) fn fork(&self, threads: Threads, keep: &[RawFd]) -> io::Result<Option<fork::Child>> {
        let _masked = signal::mask(); // Until the child has its own handlers.
        match fork::fork(threads, keep)? {
            Fork::Parent(child) => self.adopt(child).map(Some),
            Fork::Child => {
                // First of all: whatever is dropped from here on is the parent's to give back. A child that cannot become one
                // must not go on as its parent, who sees it end before its time and reports that.
                if let Err(error) = self.become_child() {
                    complain(|| format!("a child cannot begin: {error}"));
                    fork::exit(1);
                }
                Ok(None)
            }
        }
    }

    /// Waits for the end of a child that serves a request, and keeps what the parent has of the request until then.
    pub(crate) fn watch(&self, child: fork::Child, kept: Kept) {
        if let Some(ticket) = kept.ticket() {
            self.forget_transport(ticket.index); // The child waits, is told and cut by its own means.
        }
        self.watch_child(child, kept);
    }

    /// Lets the end of a child wake the accept loop.
    pub(super) fn adopt(&self, child: fork::Child) -> io::Result<fork::Child> {
        match self.poller.add(&child, token(&child), Interest::IN) {
            Ok(()) => Ok(child),
            Err(error) => {
                child.put_down(); // Out of memory.
                Err(error)
            }
        }
    }

    pub(super) fn watch_child(&self, child: fork::Child, kept: Kept) {
        lock(&self.children.running).push(Running {
            child,
            kept,
            told: None,
            killed: None,
        });
    }

    /// Reaps the children that have ended, whose tokens are among those that are `ready`; returns the workers, and those
    /// that did not finish their request by themselves.
    pub(crate) fn reap(&self, ready: &[u64]) -> Vec<(u32, ExitStatus, Kept)> {
        let mut ended = Vec::new();
        let mut running = lock(&self.children.running);
        let mut index = 0;
        while index < running.len() {
            let child = &running[index].child;
            let is_ready = ready.contains(&token(child));
            match is_ready.then(|| child.ended()).flatten() {
                Some(status) => ended.push((status, running.swap_remove(index))),
                None => index += 1,
            }
        }
        drop(running); // Closing and giving back may take system calls.
        let mut failed = Vec::new();
        for (status, running) in ended {
            // What the parent signals may die of that before it can do anything else.
            let by_us = running.told.is_some() && is_ours(status);
            let Running { child, kept, .. } = running;
            // It fails only if it was never added.
            let _ = self.poller.remove(&child);
            let unfinished = match kept.ticket() {
                None => true,
                Some(ticket) => {
                    let is_cut = by_us && ticket.slot().told() != Told::Request;
                    if is_cut && ticket.ended() == Ended::Not {
                        self.end(ticket.index, Told::Cut);
                    }
                    self.exited(ticket.index)
                }
            };
            if unfinished {
                failed.push((child.id(), status, kept));
            }
        }
        failed
    }

    /// Tells observers of requests that have ended while their children still drain what the peers say. That may take two
    /// seconds and occupies a process, but is no part of the request.
    pub(crate) fn tell_done(&self) {
        let running = lock(&self.children.running);
        let tickets = running.iter().filter_map(|running| running.kept.ticket());
        let done = tickets.filter(|ticket| ticket.ended() != Ended::Not);
        let done: Vec<u32> = done.map(|ticket| ticket.index).collect();
        drop(running);
        done.into_iter().for_each(|index| self.stopped(index));
    }

    /// Tells, and then kills, the children whose time is over. Returns when to look again.
    pub(crate) fn press(&self, stage: Stage) -> Option<Tick> {
        let now = Tick::now();
        let kill = self.plan().filter(|_| stage >= Stage::Cut);
        let kill = kill.map(|plan| plan.kill());
        let mut next: Option<Tick> = None;
        for running in &mut *lock(&self.children.running) {
            let look = running.press(self, stage, kill, now);
            next = [next, look].into_iter().flatten().min();
        }
        next
    }

    /// Tells the older worker of the same index to end; returns how long it may take.
    pub(crate) fn retire_before(&self, new: Worker) -> Duration {
        let old = |running: &&mut Running| {
            let worker = running.kept.worker();
            worker.is_some_and(|old| old.index == new.index && old.generation < new.generation)
        };
        let grace = self.options.shutdown_grace + LAST_WORDS + LAST_WORDS;
        for running in lock(&self.children.running).iter_mut().filter(old) {
            running.tell(Tick::now(), grace);
        }
        grace
    }

    pub(crate) fn workers(&self) -> Vec<RunningWorker> {
        let running = lock(&self.children.running);
        let workers = running.iter().filter_map(|running| {
            Some(RunningWorker {
                worker: running.kept.worker()?,
                is_told: running.told.is_some(),
            })
        });
        workers.collect()
    }

    /// Whether a child that was told to end has yet to be killed, should it stay.
    pub(crate) fn awaits_told(&self) -> bool {
        let running = lock(&self.children.running);
        running
            .iter()
            .any(|running| running.told.is_some() && running.killed.is_none())
    }

    pub(crate) fn has_children(&self) -> bool {
        !lock(&self.children.running).is_empty()
    }

    /// Whether children have yet to end, or to be killed, although what they served has ended.
    pub(crate) fn has_done_children(&self) -> bool {
        let now = Tick::now();
        let running = lock(&self.children.running);
        let awaited = |running: &Running| running.given_up().is_none_or(|at| at > now);
        running
            .iter()
            .any(|running| running.is_done(self) && awaited(running))
    }
}

impl Running {
    /// In another child: it is the parent's. Its descriptor and its place in the table harm nobody, and letting go of them
    /// costs a page fault each. A socket must go: its peer would wait for our end.
    pub(super) fn forget(self) {
        if let Kept::Held(request) = self.kept {
            drop(request);
        } else {
            forget(self);
        }
    }

    fn tell(&mut self, now: Tick, grace: Duration) {
        if self.told.is_none() {
            self.child.signal(Signal::TERM);
            self.told = Some((now, grace));
        }
    }

    /// Tells or kills this child if its time is over. Returns when to look at it again.
    fn press(
        &mut self,
        requests: &Requests,
        stage: Stage,
        kill: Option<Tick>,
        now: Tick,
    ) -> Option<Tick> {
        let expires = match self.kept.ticket() {
            Some(ticket) => ticket.slot().expires(),
            None => requests.worker_expires(self.child.id()),
        };
        // The child's own wait ends it at its deadline; what computes is told a little later, and then killed.
        let late = expires.map(|expires| expires.after(LAST_WORDS));
        let is_late = late.is_some_and(|late| late <= now);
        if stage >= Stage::Told || is_late {
            self.tell(now, LAST_WORDS);
            match self.kept.ticket() {
                _ if stage >= Stage::Told => {}
                Some(ticket) => ticket.slot().tell(Told::Request),
                None => requests.tell_expired(self.child.id()),
            }
        }
        let killed = self.told.map(|(told, grace)| told.after(grace));
        let killed = killed.filter(|_| stage < Stage::Told).or(kill);
        // It may still drain what the last request's peer says.
        let killed = killed.map(|at| match self.is_done(requests) {
            true => at.after(Linger::Talking.time()),
            false => at,
        });
        if self.killed.is_none() && killed.is_some_and(|at| at <= now) {
            self.child.signal(Signal::KILL);
            self.killed = Some(now);
        }
        match self.given_up() {
            Some(at) => Some(at).filter(|&at| at > now),
            None => killed.or(late),
        }
    }

    /// Whether what it serves has ended.
    fn is_done(&self, requests: &Requests) -> bool {
        match self.kept.ticket() {
            Some(ticket) => ticket.ended() != Ended::Not,
            None => !requests.is_serving(self.child.id()),
        }
    }

    /// When nobody waits for it any longer, having killed it.
    fn given_up(&self) -> Option<Tick> {
        self.killed.map(|at| at.after(CUT_NOTICE))
    }
}
