//! Senders whose sockets take no more for now: what they have queued is sent as soon as they do.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::requests::Requests;
use crate::sys::poller::{Interest, Poller};
use crate::transport::Unsent;

/// What has them in the server's poller.
pub(crate) const TOKEN: u64 = 3 << 32;

/// The senders that wait, in a poller of their own, made for the first: the server's may watch the same socket for its request.
#[derive(Debug, Default)]
pub(super) struct Senders {
    poller: Option<Poller>,
    waiting: HashMap<u64, Arc<dyn Unsent>>,
    next: u64,
}

impl Senders {
    /// Takes over those that could not send all, and forgets those whose requests have ended before their peers read on.
    pub(super) fn take(&mut self, requests: &Requests) {
        for unsent in requests.unsent.take() {
            self.wait_for(unsent, requests);
        }
        self.waiting.retain(|_, unsent| unsent.is_open());
    }

    /// Some of their sockets take more.
    pub(super) fn ready(&mut self, requests: &Requests) {
        let mut ready = Vec::new();
        if let Some(poller) = &self.poller {
            // It fails only if there is no such poller.
            let _ = poller.wait(&mut ready, Some(Duration::ZERO));
        }
        for token in ready {
            if let Some(unsent) = self.waiting.remove(&token) {
                self.wait_for(unsent, requests);
            }
        }
    }

    /// Sends what a sender could not send, as soon as its socket takes it.
    fn wait_for(&mut self, unsent: Arc<dyn Unsent>, requests: &Requests) {
        let goes_on = unsent.send_more();
        let token = self.next;
        let Some(poller) = self.poller(requests) else {
            return;
        };
        if !goes_on {
            // Nothing waits any more. It fails if the socket was never there, or is closed.
            unsent.with_fd(&mut |fd| drop(poller.remove(fd)));
            return;
        }
        let mut added = false;
        unsent.with_fd(&mut |fd| {
            // The same socket may be there already: then its entry is renewed under this token.
            let interest = Interest::OUT | Interest::ONESHOT;
            added = poller.add(fd, token, interest).is_ok()
                || poller.modify(fd, token, interest).is_ok();
        });
        if added {
            self.next += 1;
            self.waiting.retain(|_, other| !Arc::ptr_eq(other, &unsent));
            self.waiting.insert(token, unsent);
        }
    }

    /// Returns their poller; none if descriptors have run out.
    fn poller(&mut self, requests: &Requests) -> Option<&Poller> {
        if self.poller.is_none() {
            let poller = Poller::new().ok()?;
            requests.poller.add(&poller, TOKEN, Interest::IN).ok()?;
            self.poller = Some(poller);
        }
        self.poller.as_ref()
    }

    /// Forgets all. A child may hold the poller, too, so that closing it here does not take it out of the server's.
    pub(super) fn clear(&mut self, server: &Poller) {
        if let Some(poller) = &self.poller {
            let _ = server.remove(poller); // It is there until now, but in a new worker.
        }
        *self = Self::default();
    }
}
