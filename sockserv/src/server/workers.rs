//! The workers of `prefork`: the parent starts, watches and replaces them; each runs the accept loop for itself.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::os::fd::AsRawFd;
use std::process::ExitStatus;
use std::time::Duration;

use crate::address::Address;
use crate::concurrency::{self, Model};
use crate::error::{Phase, RequestError, Throttle};
use crate::guard::guard;
use crate::listener::place::Place;
use crate::observer::Event;
use crate::options::Accept;
use crate::requests::workers::{Done, RunningWorker, Worker};
use crate::server::declare::Declaration;
use crate::server::end::Last;
use crate::server::operator::Operator;
use crate::server::source::Source;
use crate::server::{BELL, FIRST_LISTENER, LIFE, Server, TIMER, WAKE, ask};
use crate::sys::clock::Tick;
use crate::sys::fork::{self, Threads};
use crate::sys::poller::Interest;

/// How long a worker must have lived for its bad end to be an accident.
const GOOD_LIFE: Duration = Duration::from_secs(1);

/// The first delay after a bad end of a short life; each further one is twice as long, up to the last.
const FIRST_DELAY: Duration = Duration::from_millis(100);
const LAST_DELAY: Duration = Duration::from_secs(10);

/// What is said about workers, at most so often a second.
static LINES: Throttle = Throttle::new(10);

/// The parent's view of its workers.
#[derive(Debug)]
pub(super) struct Workers {
    /// One for each.
    backoffs: Vec<Backoff>,
    /// The generation that a rolling restart gave up, because its first worker did not come up.
    given_up: u32,
}

/// How soon another worker may be started in the place of one that has ended.
#[derive(Clone, Debug)]
struct Backoff {
    /// When the last one was.
    started: Tick,
    delay: Duration,
    /// When the next one may be started.
    due: Tick,
}

impl Workers {
    pub(super) fn new(count: usize) -> Self {
        let backoff = Backoff {
            started: Tick::coarse(),
            delay: FIRST_DELAY,
            due: Tick::coarse(),
        };
        Self {
            backoffs: vec![backoff; count],
            given_up: 0,
        }
    }
}

/// What a worker counts for itself.
#[derive(Debug, Default)]
pub(super) struct Shift {
    /// How many requests it may still serve.
    left: Option<u64>,
    /// How many of the clients that siblings passed on it has looked for.
    passed_on: u32,
}

impl<H: Declaration> Server<H> {
    pub(super) const WORKERS: concurrency::Workers = <H::Model as Model<H>>::WORKERS;

    /// Whether requests are the workers' to take.
    pub(super) fn leaves_it_to_workers(&self) -> bool {
        Self::WORKERS.are_some()
            && self.stays
            && self.workers.is_some()
            && self.requests.worker().is_none()
    }

    /// Whether workers can be started, and others in their place, as long as no further thread comes.
    pub(super) fn check_forks(&self) -> io::Result<()> {
        match Self::WORKERS.are_some() && Self::WORKERS.threads() == Threads::Refuse {
            true => fork::check_alone(),
            false => Ok(()),
        }
    }

    /// Gives each worker sockets of its own, at the same addresses, if that is what `accept` asks for. They stay open as long
    /// as the server: what waits in one while its worker is replaced is not lost.
    pub(super) fn multiply_sockets(&mut self) -> io::Result<()> {
        let (options, Some(workers)) = (&self.requests.options, &self.workers) else {
            return Ok(());
        };
        if !Self::WORKERS.are_some() || options.accept != Accept::ReusePort {
            return Ok(());
        }
        let mut more = Vec::new();
        for worker in 0..workers.backoffs.len() {
            for source in &self.sources {
                let token = FIRST_LISTENER + (self.sources.len() + more.len()) as u64;
                let Some(place) = source.listener.place().filter(|_| worker > 0) else {
                    continue;
                };
                check_can_share(place)?;
                let twin = self.bind_further(place.kind, &place.address)?;
                let mut twin = Source::new(twin, token);
                twin.worker = Some(worker);
                more.push(twin);
            }
        }
        for source in &mut self.sources {
            source.worker = Some(0);
        }
        self.sources.extend(more);
        Ok(())
    }

    /// Starts the workers that are missing, and goes on with a rolling restart. Returns in the parent only.
    pub(super) fn see_to_workers(&mut self) {
        if !self.leaves_it_to_workers() || self.is_over() || self.is_draining() {
            return;
        }
        let Some(workers) = &self.workers else {
            return;
        };
        let (count, given_up) = (workers.backoffs.len() as u32, workers.given_up);
        let running = self.requests.workers();
        let generation = self.requests.generation();
        for index in 0..count {
            let serves =
                |running: &RunningWorker| running.worker.index == index && !running.is_told;
            if !running.iter().any(serves) && !self.requests.is_worker_exhausted(index) {
                self.start_worker(Worker { index, generation });
            }
        }
        if generation != given_up {
            self.roll(generation, &running);
        }
        let has_deadlines = self.requests.options.request_timeout.is_some();
        if has_deadlines && self.next_look.is_none() && self.requests.must_watch() {
            self.look_at(Tick::now());
        }
    }

    /// Whether no worker will ever have another request, and all have ended.
    pub(super) fn are_workers_exhausted(&self) -> bool {
        let workers = self.workers.as_ref();
        let Some(workers) = workers.filter(|_| self.leaves_it_to_workers()) else {
            return false;
        };
        let mut all = 0..workers.backoffs.len() as u32;
        all.all(|index| self.requests.is_worker_exhausted(index)) && !self.requests.has_children()
    }

    /// Has the deadlines of requests and of workers that were told to end looked after at this time.
    fn look_at(&mut self, at: Tick) {
        self.next_look = Some(self.next_look.map_or(at, |look| look.min(at)));
    }

    /// Replaces one worker of an older generation at a time: the new one serves before the old one is told.
    fn roll(&mut self, generation: u32, running: &[RunningWorker]) {
        let is_old = |running: &&RunningWorker| running.worker.generation != generation;
        let old = || running.iter().filter(is_old);
        if old().any(|old| old.is_told) {
            return; // The one before has not ended yet.
        }
        let Some(index) = old().map(|old| old.worker.index).min() else {
            return;
        };
        let new = Worker { index, generation };
        if !running.iter().any(|running| running.worker == new) {
            self.start_worker(new);
        } else if self.requests.is_ready(new) {
            let grace = self.requests.retire_before(new);
            self.look_at(Tick::now().after(grace)); // Should its handler compute, it is killed then.
        }
    }

    fn start_worker(&mut self, worker: Worker) {
        let (now, index) = (Tick::now(), worker.index);
        let backoff = self.backoff(index);
        let Some(backoff) = backoff.filter(|backoff| backoff.due <= now) else {
            return;
        };
        backoff.started = now;
        let threads = Self::WORKERS.threads();
        let fds = self
            .sources
            .iter()
            .filter_map(|source| source.listener.as_fd());
        let keep: Vec<_> = fds.map(|fd| fd.as_raw_fd()).collect();
        let requests = &self.requests;
        match requests.fork_worker(worker, threads, &keep) {
            Ok(Some(child)) => {
                requests.options.observers.tell(|| Event::WorkerStarted {
                    worker: index as usize,
                    pid: child.id(),
                });
                requests.watch_worker(worker, child);
            }
            Ok(None) => self.be_worker(worker),
            Err(error) => self.put_off(index, &format!("cannot start worker {index}: {error}")),
        }
    }

    fn backoff(&mut self, index: u32) -> Option<&mut Backoff> {
        self.workers.as_mut()?.backoffs.get_mut(index as usize)
    }

    /// A worker has ended. Its requests have ended with it, and another one takes its place.
    pub(super) fn worker_ended(&mut self, worker: Worker, process: u32, status: ExitStatus) {
        let Worker { index, generation } = worker;
        let observers = &self.requests.options.observers;
        observers.tell(|| Event::WorkerEnded {
            worker: index as usize,
            pid: process,
            status,
        });
        for (request, peer) in self.requests.abandon(process) {
            let error = RequestError::exit(status);
            self.requests.failed(request, &error, &peer);
            self.report(&error, &peer);
        }
        if status.success() && self.requests.is_done(index) {
            return;
        }
        let ended = format!("worker {index} (process {process}) ended: {status}");
        let is_ready = self.requests.is_ready(worker);
        let others = self.requests.workers().into_iter();
        let others = others.map(|other| other.worker);
        let mut others = others.filter(|other| other.index == index).peekable();
        let has_other = others.peek().is_some();
        let is_old = others.any(|other| other.generation > generation);
        if self.requests.is_draining() || is_old || (has_other && is_ready) {
            LINES.say(|_| ended); // Nobody needs to take its place.
        } else if has_other {
            self.workers
                .iter_mut()
                .for_each(|workers| workers.given_up = generation);
            LINES.say(|_| format!("{ended}, before it served; the old workers go on"));
        } else if is_ready && self.has_lived(index) {
            LINES.say(|_| format!("{ended}; starting another one"));
        } else {
            self.put_off(index, &ended);
        }
    }

    /// Whether a worker's end is an accident and no habit; then the next bad end is the first again.
    fn has_lived(&mut self, index: u32) -> bool {
        let has_lived = |backoff: &&mut Backoff| Tick::now().since(backoff.started) >= GOOD_LIFE;
        let backoff = self.backoff(index).filter(has_lived);
        backoff.map(|backoff| backoff.delay = FIRST_DELAY).is_some()
    }

    /// Waits a while before the next attempt: a worker that cannot live must not be started again and again.
    fn put_off(&mut self, index: u32, why: &str) {
        let Some(backoff) = self.backoff(index) else {
            return;
        };
        let delay = backoff.delay;
        backoff.due = Tick::now().after(delay);
        backoff.delay = (delay * 2).min(LAST_DELAY);
        LINES.say(|_| format!("{why}; starting another one in {delay:?}"));
    }

    /// When a worker that was put off may be started.
    pub(super) fn next_worker(&self) -> Option<Tick> {
        if !self.leaves_it_to_workers() || self.is_draining() {
            return None;
        }
        let now = Tick::now();
        let backoffs = self.workers.iter().flat_map(|workers| &workers.backoffs);
        let dues = backoffs.map(|backoff| backoff.due);
        dues.filter(|&due| due > now).min()
    }

    /// The whole life of a worker.
    fn be_worker(&mut self, worker: Worker) -> ! {
        // Nothing may unwind into the parent's frames, which this process has too.
        let result = guard(Phase::Hook, || {
            self.prepare_worker(worker.index)?;
            self.requests.report_ready(worker);
            let mut nobody = Operator::default(); // The parent's alone.
            let result = self.serve(&mut nobody);
            let done = match self.requests.is_draining() {
                true => Done::Told,
                false => Done::Exhausted,
            };
            self.drain(Last::Served, &mut nobody);
            if result.is_ok() {
                self.requests.report_done(worker.index, done);
            }
            Ok(result?)
        });
        let code = i32::from(result.is_err());
        if let Err(error) = result {
            self.report(&error, &Address::Unnamed);
        }
        fork::exit(code)
    }

    /// Leaves behind what is the parent's, and prepares the handler's prototype.
    fn prepare_worker(&mut self, index: u32) -> io::Result<()> {
        self.handles_signals = true;
        #[cfg(feature = "admin")]
        self.leave_admin();
        self.leave_upgrade();
        self.pending.clear();
        self.lingering.clear(&self.requests.poller);
        self.senders.clear(&self.requests.poller);
        (self.next_look, self.next_service) = (None, None);
        let own = |worker: Option<usize>| worker.is_none_or(|worker| worker == index as usize);
        self.sources.retain(|source| own(source.worker));
        for (source, token) in self.sources.iter_mut().zip(FIRST_LISTENER..) {
            source.begin(token);
        }
        self.timer.renew()?;
        self.timer_is_set = false;
        self.watch_own()?;
        self.requests
            .poller
            .add(self.requests.life_line(), LIFE, Interest::IN)?;
        let options = &self.requests.options;
        self.shift.left = options.max_requests.map(|most| jitter(most, index));
        self.requests.accept_here();
        let (start, prototype) = (self.hooks.worker_start, &mut self.prototype);
        ask(|| start(prototype, index as usize))
    }

    /// Puts into the poller what every process of this server watches.
    pub(super) fn watch_own(&self) -> io::Result<()> {
        let poller = &self.requests.poller;
        poller.add(&self.requests.wake, WAKE, Interest::IN)?;
        poller.add(&self.timer, TIMER, Interest::IN)?;
        match self.requests.bell() {
            Some(bell) => poller.add(bell, BELL, Interest::IN | Interest::ET),
            None => Ok(()),
        }
    }

    /// Puts the listeners into the poll set anew if a sibling has left clients to us: only then does the kernel tell of them.
    pub(super) fn look_anew(&mut self) -> io::Result<()> {
        let passed_on = self.requests.passed_on();
        if passed_on == self.shift.passed_on {
            return Ok(());
        }
        self.shift.passed_on = passed_on;
        let mut sources = self.sources.iter_mut();
        sources.try_for_each(|source| source.ignore(&self.requests)) // The next turn adds them.
    }

    /// The life line has something to say: the server ends, or the parent has died.
    pub(super) fn end_of_life(&self) {
        // Both stay readable. It fails only if it was removed before.
        let _ = self.requests.poller.remove(self.requests.life_line());
        self.requests.note_shutdown();
    }

    /// Counts a request against `max_requests`.
    pub(super) fn count_down(&mut self) {
        let left = self.shift.left.map(|left| left.saturating_sub(1));
        self.shift.left = left;
        if left == Some(0) {
            self.requests.retire(); // Its grace begins; nothing more is taken.
        }
    }
}

/// Whether several sockets can have this one's address.
fn check_can_share(place: &Place) -> io::Result<()> {
    let why = match place.kind.is_unix() {
        true => "a Unix address belongs to one socket",
        false if place.is_inherited() => "an inherited socket has no twins",
        false => return Ok(()),
    };
    let at = place.announced();
    let text = format!("`{at}`: {why}; write `prefork(accept = \"shared\")`");
    Err(io::Error::new(io::ErrorKind::InvalidInput, text))
}

/// Gives or takes up to a tenth, so that workers that were started together do not end together.
fn jitter(most: u64, index: u32) -> u64 {
    let tenth = most / 10;
    let random = RandomState::new().hash_one((std::process::id(), index));
    (most - tenth)
        .saturating_add(random % (2 * tenth + 1))
        .max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_do_not_end_together() {
        let limits: Vec<u64> = (0..100).map(|index| jitter(1000, index)).collect();
        assert!(limits.iter().all(|limit| (900..=1100).contains(limit)));
        assert!(limits.iter().any(|limit| *limit != limits[0]));
        assert_eq!(jitter(1, 0), 1);
        assert!((0..100).all(|index| jitter(u64::MAX, index) > u64::MAX / 2));
    }
}
