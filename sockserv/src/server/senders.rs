//! Senders whose sockets take no more for now: what they have queued is sent as soon as they do.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::requests::Requests;
use crate::sys::clock::Tick;
use crate::sys::poller::{Interest, Poller};
use crate::transport::Unsent;

/// What has them in the server's poller.
pub(crate) const TOKEN: u64 = 3 << 32;

/// When those are tried again that could not be watched.
const AGAIN: Duration = Duration::from_millis(50);

/// The senders that wait, in a poller of their own, made for the first: the server's may watch the same socket for its request.
#[derive(Debug, Default)]
pub(super) struct Senders {
    poller: Option<Poller>,
    waiting: HashMap<u64, Arc<dyn Unsent>>,
    next: u64,
    /// Those that could not be watched: descriptors or memory have run out.
    unwatched: Vec<Arc<dyn Unsent>>,
    again: Option<Tick>,
}

impl Senders {
    /// Takes over those that could not send all, and forgets those whose requests have ended before their peers read on.
    pub(super) fn take(&mut self, requests: &Requests) {
        for unsent in requests.unsent.take() {
            self.wait_for(unsent, requests);
        }
        self.waiting.retain(|_, unsent| unsent.is_open());
        self.unwatched.retain(|unsent| unsent.is_open());
    }

    /// When those are to be tried again that could not be watched.
    pub(super) fn due(&self) -> Option<Tick> {
        self.again
    }

    /// Tries them, if it is time.
    pub(super) fn try_again(&mut self, requests: &Requests) {
        if self.again.is_some_and(|again| again <= Tick::now()) {
            self.again = None;
            for unsent in std::mem::take(&mut self.unwatched) {
                self.wait_for(unsent, requests);
            }
        }
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
        let mut added = false;
        if let Some(poller) = self.poller(requests) {
            unsent.with_fd(&mut |fd| {
                if !goes_on {
                    // Nothing waits any more. It fails if the socket was never there, or is closed.
                    return drop(poller.remove(fd));
                }
                // The same socket may be there already: then its entry is renewed under this token.
                let interest = Interest::OUT | Interest::ONESHOT;
                added = poller.add(fd, token, interest).is_ok()
                    || poller.modify(fd, token, interest).is_ok();
            });
        }
        if added {
            self.next += 1;
            self.waiting.retain(|_, other| !Arc::ptr_eq(other, &unsent));
            self.waiting.insert(token, unsent);
        } else if goes_on {
            self.unwatched.push(unsent);
            self.again = Some(Tick::now().after(AGAIN));
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
