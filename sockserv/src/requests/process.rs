//! [`Process`]: which of a server's processes this is, and what becomes of the parent's in a child of a fork.

use std::hint::black_box;
use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::{self, ThreadId};

use crate::requests::meeting::Once;
use crate::requests::{Requests, Slot, lock};
use crate::sys::clock::Tick;
use crate::sys::fork;

/// The main process, which bound the server; its child for one request; or one of its workers.
#[derive(Debug, Default)]
pub(super) struct Process {
    is_child: AtomicBool,
    /// Which worker it is, counted from one, or zero.
    worker: AtomicU32,
    /// A worker's process id, or zero: its requests are known by it.
    id: AtomicU32,
    /// When this child, or this worker, alone was asked to end.
    pub(super) retired: Once,
    accepting: Mutex<Option<ThreadId>>,
}

impl Process {
    /// By what its requests are known: zero unless it is a worker.
    pub(super) fn id(&self) -> u32 {
        self.id.load(Ordering::Relaxed)
    }

    #[cfg(test)]
    pub(super) fn set_id(&self, id: u32) {
        self.id.store(id, Ordering::Relaxed);
        self.worker.store(id, Ordering::Relaxed);
    }
}

impl Requests {
    /// Whether this process is the child of a fork, for one request.
    pub(crate) fn is_child(&self) -> bool {
        self.process.is_child.load(Ordering::Relaxed)
    }

    /// Which worker this process is, counted from zero.
    pub(crate) fn worker(&self) -> Option<u32> {
        self.process.worker.load(Ordering::Relaxed).checked_sub(1)
    }

    /// Whether this is the process that bound the server.
    pub(super) fn is_main(&self) -> bool {
        !self.is_child() && self.worker().is_none()
    }

    /// Whether this process took a request: what a worker took, the worker tells.
    pub(crate) fn is_mine(&self, slot: &Slot) -> bool {
        slot.process.load(Ordering::Relaxed) == self.process.id()
    }

    /// The accepting thread says who it is: requests that run there must be told by a descriptor.
    pub(crate) fn accept_here(&self) {
        *lock(&self.process.accepting) = Some(thread::current().id());
    }

    pub(crate) fn is_accepting_here(&self) -> bool {
        self.is_child() || *lock(&self.process.accepting) == Some(thread::current().id())
    }

    /// This worker, or this child, alone ends: it has served enough, or its parent wants another one in its place.
    pub(crate) fn retire(&self) {
        self.process.retired.happen(Tick::now().0); // The first time counts: its grace has begun.
    }

    pub(crate) fn is_retired(&self) -> bool {
        self.process.retired.when().is_some()
    }

    /// Makes this process the child of a fork: it keeps its request and the life line, and nothing else.
    pub(super) fn become_child(&self) -> io::Result<()> {
        self.process.is_child.store(true, Ordering::Relaxed); // This process has one thread.
        self.over.renew()?; // The parent's is for its own signals.
        self.leave_to_parent();
        crate::signals::as_child(&self.over)
    }

    /// Makes this process a worker: it wakes, polls and ends by descriptors of its own.
    pub(super) fn become_worker(&self, index: u32) -> io::Result<()> {
        fork::share_no_longer();
        let process = &self.process;
        process.worker.store(index + 1, Ordering::Relaxed);
        process.id.store(std::process::id(), Ordering::Relaxed);
        self.poller.renew()?;
        self.wake.renew()?;
        self.over.renew()?;
        self.leave_to_parent();
        crate::signals::as_worker(&self.wake, &self.over)
    }

    fn leave_to_parent(&self) {
        // A first read maps the shared pages around it as well, a first write one alone: so this spares a page fault.
        black_box(self.is_suspended());
        self.life.forget_end();
        self.lingering.forget();
        self.unsent.forget();
        self.failures.forget();
        self.forget_siblings();
    }
}
