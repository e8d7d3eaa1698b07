//! Worker processes: how one is made, what it shares with the process that made it, and what it leaves behind.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::address::Address;
use crate::error::complain;
use crate::requests::children::{Kept, Running};
use crate::requests::{Requests, Slot, Told, lock};
use crate::sys::clock::Tick;
use crate::sys::fork::{self, Fork, Threads};
use crate::sys::signal;

/// One worker in the memory that all processes share.
#[derive(Debug, Default)]
#[repr(C)]
pub(super) struct Post {
    /// Which generation, counted from one, has prepared itself last, and serves.
    ready: AtomicU32,
    /// Whether it ended as it should, and whether that was [`Done::Exhausted`].
    done: AtomicBool,
    pub(super) exhausted: AtomicBool,
}

crate::sys::shared::shareable!(Post);

/// What is known of all workers together.
#[derive(Debug, Default)]
#[repr(C)]
pub(super) struct Workforce {
    /// How often the operator has asked for new ones.
    generation: AtomicU32,
    /// How often a worker left, or had no descriptors, although the kernel had woken it, and no sibling, for a client that
    /// waits.
    passed_on: AtomicU32,
    /// Whether the parent looks after the deadlines of their requests: not while there are none.
    watched: AtomicBool,
}

/// A worker: which of them it is, counted from zero, and after how many calls for new ones it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Worker {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

impl Worker {
    /// What its post says once it serves.
    fn ready(self) -> u32 {
        self.generation.wrapping_add(1)
    }
}

/// Why a worker ends as it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Done {
    /// It was told to, or has served enough.
    Told,
    /// Its listeners will never have another request.
    Exhausted,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct RunningWorker {
    pub(crate) worker: Worker,
    /// Whether it was told to end.
    pub(crate) is_told: bool,
}

impl Requests {
    /// Makes a worker. Returns its process in the parent, where [`watch_worker`](Self::watch_worker) must follow, and `None`
    /// in the worker itself, which keeps the listeners in `keep`.
    pub(crate) fn fork_worker(
        &self,
        worker: Worker,
        threads: Threads,
        keep: &[RawFd],
    ) -> io::Result<Option<fork::Child>> {
        let post = self.post(worker.index);
        post.done.store(false, Ordering::SeqCst);
        // One of this generation was there before; one of an older generation goes on until this one is ready.
        let forget = |ready| (ready == worker.ready()).then_some(0);
        let _ = post
            .ready
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, forget);
        let _masked = signal::mask(); // Until the worker has its own handlers.
        match fork::fork(threads, keep)? {
            Fork::Parent(child) => self.adopt(child).map(Some),
            Fork::Child => {
                if let Err(error) = self.become_worker(worker.index) {
                    complain(|| format!("worker {} cannot begin: {error}", worker.index));
                    fork::exit(1); // Its parent sees that, and starts another one later.
                }
                Ok(None)
            }
        }
    }

    /// Waits for a worker's end from now on.
    pub(crate) fn watch_worker(&self, worker: Worker, child: fork::Child) {
        self.watch_child(child, Kept::Worker(worker));
    }

    /// A worker has prepared itself and begins to serve.
    pub(crate) fn report_ready(&self, worker: Worker) {
        // After two quick renewals the older generation may report later than the newer one.
        let ready = &self.post(worker.index).ready;
        ready.fetch_max(worker.ready(), Ordering::SeqCst);
        self.ring(); // A rolling restart waits for it.
    }

    /// A worker ends as it should.
    pub(crate) fn report_done(&self, index: u32, done: Done) {
        let post = self.post(index);
        post.exhausted
            .store(done == Done::Exhausted, Ordering::SeqCst);
        post.done.store(true, Ordering::SeqCst);
    }

    /// Whether the worker that has ended told so before.
    pub(crate) fn is_done(&self, index: u32) -> bool {
        self.post(index).done.load(Ordering::SeqCst)
    }

    /// Whether nothing more will come to this worker, whichever process it is.
    pub(crate) fn is_worker_exhausted(&self, index: u32) -> bool {
        self.post(index).exhausted.load(Ordering::SeqCst)
    }

    pub(crate) fn is_ready(&self, worker: Worker) -> bool {
        self.post(worker.index).ready.load(Ordering::SeqCst) == worker.ready()
    }

    /// Whether a worker has prepared itself, or there are none to wait for.
    #[cfg(feature = "admin")]
    pub(crate) fn has_begun(&self) -> bool {
        let is_ready = |post: &Post| post.ready.load(Ordering::SeqCst) != 0;
        self.bell.is_none() || self.posts.iter().any(is_ready)
    }

    /// Whether the server has workers.
    pub(crate) fn has_workers(&self) -> bool {
        !self.posts.is_empty()
    }

    /// Whether all workers have begun to serve, those of the last renewal.
    pub(crate) fn are_workers_ready(&self) -> bool {
        let generation = self.generation();
        let mut all = 0..self.posts.len() as u32;
        all.all(|index| self.is_ready(Worker { index, generation }))
    }

    fn workforce(&self) -> &Workforce {
        &self.control().workforce
    }

    fn post(&self, index: u32) -> &Post {
        &self.posts[index as usize]
    }

    /// How often new workers were asked for.
    pub(crate) fn generation(&self) -> u32 {
        self.workforce().generation.load(Ordering::SeqCst)
    }

    /// Asks for new workers in the place of all that run.
    pub(crate) fn renew_workers(&self) {
        if self.has_workers() {
            self.workforce().generation.fetch_add(1, Ordering::SeqCst);
            self.ring();
        }
    }

    /// A worker has taken a request that has a deadline: its parent, which may sleep, is to look after it.
    pub(crate) fn be_watched(&self) {
        if !self.workforce().watched.swap(true, Ordering::SeqCst) {
            self.ring();
        }
    }

    /// Whether the parent must look after deadlines; if no request is alive, not until one is taken.
    pub(crate) fn must_watch(&self) -> bool {
        let watched = &self.workforce().watched;
        if !self.is_in_use() {
            watched.store(false, Ordering::SeqCst);
            // One may have come in between: then its worker rings, or is seen here.
            if !self.is_in_use() {
                return false;
            }
            watched.store(true, Ordering::SeqCst);
        }
        watched.load(Ordering::SeqCst)
    }

    /// A worker that leaves, or has no descriptors, was woken for a client that waits: the others, who were not, are to look.
    pub(crate) fn pass_on(&self) {
        self.workforce().passed_on.fetch_add(1, Ordering::SeqCst);
        self.ring();
    }

    /// How often that has happened.
    pub(crate) fn passed_on(&self) -> u32 {
        self.workforce().passed_on.load(Ordering::SeqCst)
    }

    /// Wakes the accept loops of all processes of this server.
    pub(crate) fn ring(&self) {
        self.wake.wake(); // From a child for one request this is its parent's.
        if let Some(bell) = &self.bell {
            bell.wake();
        }
    }

    /// What the accept loop of each process watches, edge by edge, because nobody reads from it.
    pub(crate) fn bell(&self) -> Option<BorrowedFd<'_>> {
        self.bell.as_ref().map(AsFd::as_fd)
    }

    /// Ends the requests of a worker whose process has died; returns which those are that it had not finished, and whose.
    pub(crate) fn abandon(&self, process: u32) -> Vec<(Option<u64>, Address)> {
        let mut peers = Vec::new();
        for (index, slot) in self.used_slots().iter().enumerate() {
            if slot.process.load(Ordering::Relaxed) != process {
                continue;
            }
            // It may have died while it took the place, and while it gave it back.
            if slot.owed.load(Ordering::Relaxed) {
                if self.exited(index as u32) {
                    peers.push((slot.request(), slot.peer()));
                }
                self.conclude(index as u32);
            }
            self.give_back(index as u32);
            self.wake_if_wanted();
        }
        peers
    }
}

impl Requests {
    /// Whether a worker has a live request.
    pub(super) fn is_serving(&self, process: u32) -> bool {
        self.used_slots().iter().any(|slot| slot.is_of(process))
    }

    /// When the deadline of the request passes that holds a worker's accept loop, if one does.
    pub(super) fn worker_expires(&self, process: u32) -> Option<Tick> {
        self.held_by(process).filter_map(Slot::expires).min()
    }

    /// A worker is to end because the request that holds it had a deadline: that is why this one ends.
    pub(super) fn tell_expired(&self, process: u32) {
        self.held_by(process)
            .for_each(|slot| slot.tell(Told::Request));
    }

    /// What the accept loop of a worker is in the middle of. The rest of it sees to itself.
    fn held_by(&self, process: u32) -> impl Iterator<Item = &Slot> {
        let own = self.used_slots().iter();
        own.filter(move |slot| slot.is_of(process) && !slot.apart.load(Ordering::Relaxed))
    }

    /// In a child or a worker: its siblings are the parent's to watch.
    pub(super) fn forget_siblings(&self) {
        lock(&self.children.running)
            .drain(..)
            .for_each(Running::forget);
    }
}
