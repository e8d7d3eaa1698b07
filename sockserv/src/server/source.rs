//! One listener in the accept loop: whether it is watched, and when it is to be left alone.

use std::io;
use std::time::Duration;

use crate::address::Endpoint;
use crate::listener::intake::Intake;
use crate::requests::Requests;
use crate::sys::clock::Tick;
use crate::sys::poller::Interest;

/// The first pause of a listener that lacks descriptors or memory; each further one is twice as long, up to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LAST_PAUSE: Duration = Duration::from_secs(1);

/// How often a listener without a descriptor is asked that has nothing.
const NAP: Duration = Duration::from_millis(10);

/// A listener and its state.
pub(crate) struct Source {
    pub(crate) listener: Box<dyn Intake + Send>,
    pub(crate) token: u64,
    /// Whose it is, where each worker has sockets of its own.
    pub(crate) worker: Option<usize>,
    watched: bool,
    paused: Option<Tick>,
    pause: Duration,
    /// There will never be another request.
    pub(crate) exhausted: bool,
}

impl Source {
    pub(crate) fn new(listener: Box<dyn Intake + Send>, token: u64) -> Self {
        Self {
            listener,
            token,
            worker: None,
            watched: false,
            paused: None,
            pause: FIRST_PAUSE,
            exhausted: false,
        }
    }

    /// Takes its place in a worker's poll set, which begins empty.
    pub(crate) fn begin(&mut self, token: u64) {
        self.token = token;
        self.watched = false;
    }

    /// Whether its requests are streams, as far as it is known.
    pub(crate) fn is_stream(&self) -> bool {
        self.listener
            .place()
            .is_none_or(|place| place.kind.is_stream())
    }

    /// Whether `accept` must be called without being told by a descriptor.
    pub(crate) fn must_be_asked(&self) -> bool {
        self.listener.as_fd().is_none() && !self.exhausted && self.paused.is_none()
    }

    /// Puts it into the poll set if requests are welcome, or takes it out. Returns why it should pause, if the poll set has
    /// no room for it.
    pub(crate) fn tend(
        &mut self,
        is_wanted: bool,
        requests: &Requests,
    ) -> io::Result<Option<io::Error>> {
        self.end_pause();
        if !is_wanted || self.paused.is_some() || self.exhausted {
            return self.ignore(requests).map(|()| None);
        }
        let Some(fd) = self.listener.as_fd().filter(|_| !self.watched) else {
            return Ok(None);
        };
        let add = |interest| requests.poller.add(fd, self.token, interest);
        let added = match requests.worker() {
            None => add(Interest::IN),
            // Of the workers that wait for the same socket one is woken, not all. An own listener's descriptor may be one
            // that takes no such wish: epoll_ctl(2).
            Some(_) => add(Interest::IN | Interest::EXCLUSIVE).or_else(|_| add(Interest::IN)),
        };
        match added {
            Ok(()) => self.watched = true,
            Err(error) if error.kind() == io::ErrorKind::OutOfMemory => return Ok(Some(error)),
            Err(error) => return Err(self.unpollable(&error)),
        }
        Ok(None)
    }

    /// Takes it out of the poll set.
    pub(crate) fn ignore(&mut self, requests: &Requests) -> io::Result<()> {
        self.end_pause();
        if let Some(fd) = self.listener.as_fd().filter(|_| self.watched) {
            requests.poller.remove(fd)?;
            self.watched = false;
        }
        Ok(())
    }

    /// Forgets a pause that is over.
    fn end_pause(&mut self) {
        self.paused = self.paused.filter(|until| *until > Tick::now());
    }

    fn unpollable(&self, error: &io::Error) -> io::Error {
        let at = Endpoint::Address(self.listener.local_addr());
        let hint = match error.kind() {
            io::ErrorKind::PermissionDenied => {
                "; `as_fd` returns none for what epoll_ctl(2) does not take"
            }
            _ => "",
        };
        let text = format!("cannot poll the descriptor of the listener at {at}: {error}{hint}");
        io::Error::new(error.kind(), text)
    }

    /// When it is to be watched again.
    pub(crate) fn paused_until(&self) -> Option<Tick> {
        self.paused
    }

    pub(crate) fn took_one(&mut self) {
        self.pause = FIRST_PAUSE;
    }

    /// Leaves it alone for a while; returns how long.
    pub(crate) fn pause(&mut self) -> Duration {
        let pause = self.pause;
        self.paused = Some(Tick::now().after(pause));
        self.pause = (pause * 2).min(LAST_PAUSE);
        pause
    }

    /// Whether it has paused so often that no pause is longer than the next.
    pub(crate) fn pauses_longest(&self) -> bool {
        self.pause == LAST_PAUSE
    }

    /// It had nothing, and no descriptor says when it has.
    pub(crate) fn nap(&mut self) {
        if self.listener.as_fd().is_none() {
            self.paused = Some(Tick::now().after(NAP));
        }
    }
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source")
            .field("at", &self.listener.local_addr())
            .field("watched", &self.watched)
            .finish_non_exhaustive()
    }
}
