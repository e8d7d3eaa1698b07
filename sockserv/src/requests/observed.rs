//! What observers are told of requests: one start and one stop each, whoever ends it.

use std::sync::atomic::Ordering;
use std::time::Instant;

use crate::address::{Address, Kind};
use crate::error::RequestError;
use crate::observer::{Event, Reason, Refusal, Start, Stop};
use crate::requests::{Ended, Requests, Ticket, Told};
use crate::sys::clock::Tick;

impl Ticket {
    /// Tells that the request was accepted and verified. From here on its end is told, too.
    pub(crate) fn start(&self, peer: &Address, local: Option<&Address>, transport: Option<Kind>) {
        let (requests, slot) = (self.requests(), self.slot());
        let request = requests.counters().observed.fetch_add(1, Ordering::Relaxed) + 1;
        // The table's own clock is coarse: nobody but an observer wants to know more.
        slot.start(request, Tick::now(), transport);
        requests.options.observers.tell(|| {
            Event::Started(Start {
                request,
                peer,
                local,
                transport,
                when: Instant::now(),
            })
        });
    }

    /// The request's number, or `None` if nobody observes it.
    #[inline]
    pub(crate) fn request(&self) -> Option<u64> {
        self.slot().request()
    }

    /// Makes a call of the handler's with the observers around it.
    pub(crate) fn around<T>(&self, mut call: impl FnMut() -> T) -> T {
        match self.request() {
            None => call(),
            Some(request) => self.requests().options.observers.around(request, call),
        }
    }

    /// Tells what failed in the request.
    pub(crate) fn failed(&self, error: &RequestError, peer: &Address) {
        self.requests().failed(self.request(), error, peer);
    }
}

impl Requests {
    pub(crate) fn failed(&self, request: Option<u64>, error: &RequestError, peer: &Address) {
        self.options.observers.tell(|| Event::Failed {
            request,
            error,
            peer,
        });
    }

    /// Counts a peer that was turned away, and tells of it.
    pub(crate) fn refused(&self, peer: &Address, why: Refusal) {
        self.count_refused();
        self.options.observers.tell(|| Event::Refused { peer, why });
    }

    /// Records why a request ended whose process died without having recorded it itself. Returns whether it had not.
    pub(crate) fn exited(&self, index: u32) -> bool {
        let slot = self.slot(index);
        let by_itself = slot.ended() == Ended::Not;
        if by_itself {
            let reason = match slot.told() {
                Told::Request => Reason::TimedOut(crate::error::Timeout::Request),
                told if told.is_cut() => Reason::Cut,
                _ => Reason::Exited,
            };
            slot.ended.store(reason.code(), Ordering::Release);
        }
        by_itself
    }

    /// Tells that a request has ended, unless that was told before, or its start was not.
    pub(crate) fn stopped(&self, index: u32) {
        if self.options.observers.is_empty() {
            return;
        }
        let slot = self.slot(index);
        // Whoever takes the number tells: the request's unit, or the drain that leaves it behind.
        let request = slot.request.swap(0, Ordering::AcqRel);
        if request == 0 {
            return;
        }
        let end = self.describe(index);
        let reason = match Reason::from_code(slot.ended.load(Ordering::Acquire)) {
            _ if slot.told().is_cut() => Reason::Cut,
            Some(reason) => reason,
            None => Reason::Failed, // Its unit was dropped without having run.
        };
        self.options.observers.tell(|| {
            Event::Stopped(Stop {
                request,
                peer: &end.peer,
                transport: slot.transport(),
                duration: end.age,
                bytes_in: end.bytes_in,
                bytes_out: end.bytes_out,
                phase: end.phase,
                reason,
            })
        });
    }

    /// The drain does not wait any longer for what is alive: its end is told here.
    pub(crate) fn leave_behind(&self) {
        if self.options.observers.is_empty() {
            return;
        }
        self.tell_done();
        self.for_each(|slot, index| {
            slot.tell(Told::Cut);
            self.stopped(index);
        });
    }
}
