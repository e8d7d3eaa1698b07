//! [`Ticket`]: a request's place in the table, and how it counts when it ends.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::error::{Phase, RequestError};
use crate::observer::Reason;
use crate::requests::slot::{Ended, REFUSED, Slot};
use crate::requests::{Requests, ServerHandle, lock};

/// A request's place in the table, given back when it is dropped, on whatever path.
#[derive(Debug)]
pub(crate) struct Ticket {
    handle: ServerHandle,
    pub(crate) index: u32,
}

impl Ticket {
    pub(super) fn new(requests: Arc<Requests>, index: u32) -> Self {
        Self {
            handle: ServerHandle { requests },
            index,
        }
    }

    /// The server that the request came to.
    pub(crate) fn handle(&self) -> &ServerHandle {
        &self.handle
    }

    pub(crate) fn requests(&self) -> &Arc<Requests> {
        &self.handle.requests
    }

    pub(crate) fn slot(&self) -> &Slot {
        self.requests().slot(self.index)
    }

    /// Notes how the request ended: it failed, or there is no more to say.
    pub(crate) fn end(&self, failure: Option<&RequestError>) {
        let slot = self.slot();
        slot.set_phase(failure.map_or(Phase::Close, RequestError::phase));
        let reason = failure.map_or(Reason::Finished, Reason::of);
        slot.ended.store(reason.code(), Ordering::Release); // Pairs with the parent's load, after the child's exit.
    }

    pub(crate) fn ended(&self) -> Ended {
        self.slot().ended()
    }

    /// The request was never one: it does not count as accepted and ended. Who refuses it counts that.
    pub(crate) fn refuse(self) {
        let accepted = &self.requests().counters().accepted;
        accepted.fetch_sub(1, Ordering::SeqCst); // As an end: `active` sees it, or its waiter is woken.
        self.slot().ended.store(REFUSED, Ordering::Relaxed);
    }
}

impl Requests {
    /// Counts a request as ended: before its peer can see the end, so that who saw it finds it counted. A child does so
    /// itself; what is the parent's follows when that looks.
    pub(crate) fn settle(&self, index: u32) {
        let slot = self.slot(index);
        // The place of a child whose worker has died is somebody else's by now.
        if slot.owed.load(Ordering::Relaxed) && self.is_mine(slot) {
            slot.live.store(false, Ordering::Release);
            self.conclude(index);
        }
    }

    /// What is left of the end of a request that is not live any more; a parent does it if its child or worker could not.
    pub(super) fn conclude(&self, index: u32) {
        let slot = self.slot(index);
        self.limits.ended(index);
        if !self.is_child() {
            self.stopped(index);
            if slot.has_side() {
                let side = std::mem::take(&mut *lock(self.sides.of(index)));
                drop(side); // Closing may take a system call: not under the lock.
            }
        }
        let counters = self.counters();
        // Last, so that who finds it ended finds everything done.
        match (slot.ended(), slot.ended.load(Ordering::Relaxed)) {
            (Ended::Finished, _) => counters.finished.fetch_add(1, Ordering::SeqCst),
            (Ended::Not, REFUSED) => 0,
            (Ended::Failed | Ended::Not, _) => counters.failed.fetch_add(1, Ordering::SeqCst),
        };
        slot.owed.store(false, Ordering::Relaxed);
        self.wake_if_wanted();
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.requests().is_child() {
            return; // The parent has a ticket for the same slot.
        }
        self.requests().settle(self.index);
        self.requests().stopped(self.index); // A child has counted it, and told nobody.
        self.requests().give_back(self.index);
        self.requests().wake_if_wanted();
    }
}
