//! [`Ticket`]: a request's place in the table, and how it counts when it ends.

use std::sync::Arc;
use std::sync::atomic::Ordering;

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

    pub(crate) fn end(&self, ended: Ended) {
        self.slot().ended.store(ended as u8, Ordering::Release); // Pairs with the parent's load, after the child's exit.
    }

    pub(crate) fn ended(&self) -> Ended {
        self.slot().ended()
    }

    /// The request was never one: it does not count as accepted and ended. Who refuses it counts that.
    pub(crate) fn refuse(self) {
        let accepted = &self.requests().control().accepted;
        accepted.store(accepted.load(Ordering::Relaxed) - 1, Ordering::Relaxed);
        self.slot().ended.store(REFUSED, Ordering::Relaxed);
    }
}

impl Ticket {
    /// Counts the request as ended: before its peer can see the end, so that who saw it finds it counted.
    pub(crate) fn settle(&self) {
        let (requests, slot) = (self.requests(), self.slot());
        if requests.is_child() || !slot.live.load(Ordering::Relaxed) {
            return; // In a child the parent counts, when this process has ended.
        }
        slot.live.store(false, Ordering::Release);
        requests.limits.ended(self.index);
        if slot.has_side() {
            let side = std::mem::take(&mut *lock(requests.sides.of(self.index)));
            drop(side); // Closing may take a system call: not under the lock.
        }
        let control = requests.control();
        // Last, so that who finds it ended finds everything done.
        match (slot.ended(), slot.ended.load(Ordering::Relaxed)) {
            (Ended::Finished, _) => control.finished.fetch_add(1, Ordering::SeqCst),
            (Ended::Not, REFUSED) => 0,
            (Ended::Failed | Ended::Not, _) => control.failed.fetch_add(1, Ordering::SeqCst),
        };
        requests.wake_if_wanted();
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.requests().is_child() {
            return; // The parent has a ticket for the same slot.
        }
        self.settle();
        self.requests().give_back(self.index);
        self.requests().wake_if_wanted();
    }
}
