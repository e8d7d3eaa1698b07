//! [`Ticket`]: a request's place in the table, and how it counts when it ends.

use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

use crate::error::{Phase, RequestError};
use crate::observer::Reason;
use crate::requests::slot::{Ended, REFUSED, Slot};
use crate::requests::{Requests, ServerHandle, lock};

/// What `handle_error` is told of a request that nobody ran.
const DROPPED: &str = "the model dropped the request; run it, or give it back from `dispatch`";

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
    #[inline]
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
        self.slot().accepted.take_back();
        self.slot().ended.store(REFUSED, Ordering::Relaxed);
    }
}

impl Requests {
    /// Counts a request as ended: before its peer can see the end, so that who saw it finds it counted. A child does so
    /// itself; what is the parent's follows when that looks.
    pub(crate) fn settle(&self, index: u32) {
        let slot = self.slot(index);
        // The place of a child whose worker has died is somebody else's by now.
        if !slot.owed.load(Ordering::Relaxed) || !self.is_mine(slot) {
            return;
        }
        self.conclude(index);
        fence(Ordering::SeqCst); // The end is visible before the wish is read; `Places::give_back` orders the same two.
        self.wake_if_wanted();
    }

    /// Ends a live request, or what of it is left; a parent does it if its child or worker could not.
    pub(super) fn conclude(&self, index: u32) {
        let slot = self.slot(index);
        slot.live.store(false, Ordering::Release);
        self.limits.ended(index);
        if !self.is_child() {
            self.stopped(index);
            if slot.has_side() {
                let side = std::mem::take(&mut *lock(self.sides.of(index)));
                drop(side); // Closing may take a system call: not under the lock.
            }
        }
        let ended = slot.ended.load(Ordering::Acquire);
        if ended == Reason::Finished.code() {
            slot.finished.add(1);
        } else if ended != REFUSED {
            slot.failed.add(1);
        }
        // Last, so that who finds it ended finds everything done.
        slot.owed.store(false, Ordering::Release);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let requests = self.requests();
        if requests.is_child() {
            return; // The parent has a ticket for the same slot.
        }
        let slot = self.slot();
        if slot.was_dropped() {
            let (error, peer) = (RequestError::new(Phase::Dispatch, DROPPED), slot.peer());
            self.failed(&error, &peer);
            self.end(Some(&error));
            requests.report_later(error, peer);
        }
        if slot.owed.load(Ordering::Relaxed) && requests.is_mine(slot) {
            requests.conclude(self.index);
        } else {
            requests.stopped(self.index); // A child has counted it, and told nobody.
        }
        requests.give_back(self.index);
        requests.wake_if_wanted();
    }
}
