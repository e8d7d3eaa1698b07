//! The children of a server: forked for one request each, watched by descriptor, and only these are ever reaped.

use std::fmt;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::sync::Mutex;

use rustix::process::Signal;

use crate::address::Address;
use crate::drain::{LAST_WORDS, Stage};
use crate::requests::{Ended, Requests, Ticket, Told, lock};
use crate::sys::clock::Tick;
use crate::sys::fork::{self, Fork, Threads};
use crate::sys::poller::Interest;

/// Tokens of children in the poller begin here; below are the server's own.
pub(crate) const TOKENS: u64 = 1 << 32;

/// What the parent keeps of a request that a child handles: its place in the table, and whose it was.
pub(crate) trait Kept: Send + fmt::Debug {
    fn ticket(&self) -> &Ticket;
    fn peer(&self) -> &Address;
    /// Whether the parent's copy of the socket is open.
    fn keeps_socket(&self) -> bool;
}

/// The children that run.
#[derive(Debug, Default)]
pub(crate) struct Children {
    running: Mutex<Vec<Running>>,
}

#[derive(Debug)]
struct Running {
    child: fork::Child,
    kept: Box<dyn Kept>,
    told: Option<Tick>,
    killed: bool,
}

/// Whether a process died of a signal that `press` sends.
fn is_ours(status: ExitStatus) -> bool {
    let ours = [Signal::TERM, Signal::KILL].map(Signal::as_raw);
    status.signal().is_some_and(|signal| ours.contains(&signal))
}

impl Requests {
    /// Forks for one request. Returns the child in the parent, where [`watch`](Self::watch) must follow, and `None` in the
    /// child, which has become one in every respect.
    pub(crate) fn fork(&self, threads: Threads) -> io::Result<Option<fork::Child>> {
        match fork::fork(threads)? {
            Fork::Parent(child) => Ok(Some(child)),
            Fork::Child => {
                // First of all: whatever is dropped from here on is the parent's to give back. A child that cannot become one
                // must not go on as its parent, who sees it end without a word and reports that.
                if self.become_child().is_err() {
                    fork::exit(1);
                }
                // A sibling's descriptor and place in the table harm nobody, and letting go of them costs a page fault each.
                // What keeps a socket must go: its peer would wait for our end.
                for Running { child, kept, .. } in lock(&self.children.running).drain(..) {
                    std::mem::forget(child);
                    match kept.keeps_socket() {
                        true => drop(kept),
                        false => std::mem::forget(kept),
                    }
                }
                Ok(None)
            }
        }
    }

    /// Waits for a child's end from now on, and keeps what the parent has of its request until then.
    pub(crate) fn watch(&self, child: fork::Child, kept: Box<dyn Kept>) {
        let token = TOKENS + u64::from(child.id());
        if self.poller.add(&child, token, Interest::IN).is_err() {
            child.signal(Signal::KILL); // Out of memory: what cannot be watched must not run. The next reap finds it.
            self.wake.wake();
        }
        self.forget_transport(kept.ticket().index); // The child waits, is told and cut by its own means.
        lock(&self.children.running).push(Running {
            child,
            kept,
            told: None,
            killed: false,
        });
    }

    /// Reaps the children that have ended; returns those that did not finish their request by themselves.
    pub(crate) fn reap(&self) -> Vec<(ExitStatus, Box<dyn Kept>)> {
        let mut ended = Vec::new();
        let mut running = lock(&self.children.running);
        let mut index = 0;
        while index < running.len() {
            match running[index].child.ended() {
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
            let index = kept.ticket().index;
            if by_us
                && kept.ticket().ended() == Ended::Not
                && kept.ticket().slot().told() != Told::Request
            {
                self.end(index, Told::Cut);
            }
            if self.exited(index) {
                failed.push((status, kept));
            }
        }
        failed
    }

    /// Counts the requests that are done while their children still drain what the peers say: that may take two seconds, and
    /// keeps the place of a process, but is no part of the request.
    pub(crate) fn settle_done(&self) {
        let running = lock(&self.children.running);
        let tickets = running.iter().map(|running| running.kept.ticket());
        let done = tickets.filter(|ticket| ticket.ended() != Ended::Not);
        let done: Vec<u32> = done.map(|ticket| ticket.index).collect();
        drop(running);
        done.into_iter().for_each(|index| self.settle(index));
    }

    /// Tells, and then kills, the children whose time is over. Returns when to look again.
    pub(crate) fn press(&self, stage: Stage) -> Option<Tick> {
        let now = Tick::now();
        let mut next: Option<Tick> = None;
        for running in &mut *lock(&self.children.running) {
            let expires = running.kept.ticket().slot().expires();
            // The child's own wait ends it at its deadline; what computes is told a little later, and then killed.
            let late = expires.map(|expires| expires.after(LAST_WORDS));
            if running.told.is_none()
                && (stage >= Stage::Told || late.is_some_and(|late| late <= now))
            {
                running.child.signal(Signal::TERM);
                running.told = Some(now);
                if stage < Stage::Told {
                    running.kept.ticket().slot().tell(Told::Request);
                }
            }
            let killed = running.told.map(|told| told.after(LAST_WORDS));
            if !running.killed && (stage >= Stage::Cut || killed.is_some_and(|at| at <= now)) {
                running.child.signal(Signal::KILL);
                running.killed = true;
            }
            let look = if running.killed {
                None
            } else {
                killed.or(late)
            };
            next = [next, look].into_iter().flatten().min();
        }
        next
    }

    pub(crate) fn has_children(&self) -> bool {
        !lock(&self.children.running).is_empty()
    }
}
