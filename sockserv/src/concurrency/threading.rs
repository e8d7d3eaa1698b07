//! `threading`: a thread for each request. Idle threads are kept a while, so a connection costs a wake-up and no new thread.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use std::{fmt, io, iter};

use crate::concurrency::{Model, Unit};
use crate::options::Options;
use crate::requests::lock;

/// How long a thread without work is kept.
const KEPT: Duration = Duration::from_secs(10);

/// Runs each request in a thread, started only when no idle one is left. Bounded by `max` and `max_connections`.
#[derive(Debug, Default)]
pub struct Threading {
    crew: Arc<Crew>,
    /// How many threads there may be.
    max: Option<usize>,
    stack_size: Option<usize>,
    started: u64,
}

/// A request on its way to a thread.
type Work = Box<dyn FnOnce() + Send>;

/// What the threads share.
#[derive(Debug, Default)]
struct Crew {
    state: Mutex<State>,
    /// Signalled when a thread ends while the crew is closed.
    ended: Condvar,
}

#[derive(Default)]
struct State {
    /// Threads that wait for work, the one that waits shortest last: its stack is still in the cache.
    idle: Vec<Arc<Seat>>,
    /// Work for the threads that wait, until they are woken for it, or for one that ends its request: no more than wait,
    /// unless there are as many threads as may be.
    next: VecDeque<Work>,
    closed: bool,
    threads: HashMap<u64, JoinHandle<()>>,
    /// Threads that have ended: joining them does not wait.
    ended: Vec<JoinHandle<()>>,
}

/// Where one thread is given its work: each has its own, so that a hand-over touches no lock that others want.
struct Seat {
    id: u64,
    work: Mutex<Option<Work>>,
    given: Condvar,
}

impl<H: Send + 'static> Model<H> for Threading {
    fn dispatch(&mut self, unit: Unit<H>) -> Result<(), Unit<H>> {
        self.leave_for_next(unit)?;
        self.crew.hand_over();
        Ok(())
    }

    /// No thread is woken before the accept loop has taken all that is there: one that ends its request meanwhile goes on
    /// with the next, and neither sleeps nor is woken in between.
    fn admit(&mut self, mut unit: Unit<H>, prototype: &H) -> Result<(), Unit<H>>
    where
        H: Clone,
    {
        if unit.clone_handler(prototype) {
            self.leave_for_next(unit)
        } else {
            Err(unit)
        }
    }

    fn end_of_turn(&mut self) {
        self.crew.hand_over();
    }

    fn drain(&mut self, until: Instant) {
        self.dismiss();
        let mut state = lock(&self.crew.state);
        // Those that wait for work end at once; one that is still in a handler is left behind in the end.
        while !state.threads.is_empty() && Instant::now() < until {
            let left = until.saturating_duration_since(Instant::now());
            let woken = self.crew.ended.wait_timeout(state, left);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        let ended = std::mem::take(&mut state.ended);
        drop(state);
        join(ended);
    }

    fn configure(&mut self, options: &Options) -> io::Result<()> {
        self.stack_size = options.stack_size;
        self.max = options.max;
        Ok(())
    }

    fn most(&self, options: &Options) -> Option<usize> {
        options.max
    }
}

impl Threading {
    /// Leaves a request for a thread that waits for work, or ends its own sooner; starts one if there are not enough.
    fn leave_for_next<H: Send + 'static>(&mut self, unit: Unit<H>) -> Result<(), Unit<H>> {
        unit.set_off();
        let mut state = lock(&self.crew.state);
        state.closed = false; // A drain may have come before: the server serves again.
        // A request counts as ended a moment before its thread is free.
        let is_full = self.max.is_some_and(|max| state.threads.len() >= max);
        if is_full || state.next.len() < state.idle.len() {
            state.next.push_back(Box::new(move || unit.run()));
            return Ok(());
        }
        drop(state);
        match self.start() {
            Ok(seat) => seat.give(Box::new(move || unit.run())),
            Err(error) => return Err(unit.refuse(error)),
        }
        Ok(())
    }

    fn start(&mut self) -> io::Result<Arc<Seat>> {
        self.started += 1;
        let id = self.started;
        let seat = Arc::new(Seat {
            id,
            work: Mutex::default(),
            given: Condvar::new(),
        });
        let (crew, own) = (Arc::clone(&self.crew), Arc::clone(&seat));
        let mut builder = thread::Builder::new().name(format!("sockserv-{id}"));
        if let Some(size) = self.stack_size {
            builder = builder.stack_size(size);
        }
        let mut state = lock(&self.crew.state); // Held, so that the thread finds itself in the list when it ends.
        let thread = builder.spawn(move || crew.serve(&own))?;
        state.threads.insert(id, thread);
        Ok(seat)
    }

    /// Lets the threads that wait for work end, and those in a handler end with it.
    fn dismiss(&self) {
        let mut state = lock(&self.crew.state);
        state.closed = true;
        for seat in state.idle.drain(..) {
            seat.give(Box::new(|| ())); // It wakes, and finds the crew closed.
        }
    }
}

impl Crew {
    /// The life of one thread: work, wait for more, and after a while of nothing an end.
    fn serve(&self, seat: &Arc<Seat>) {
        let mut work = seat.wait().or_else(|| self.leave(seat));
        while let Some(now) = work {
            now();
            work = self.next(seat);
        }
        self.ended.notify_all();
    }

    /// Waits for the next work of a thread; nothing is its end.
    fn next(&self, seat: &Arc<Seat>) -> Option<Work> {
        let mut state = lock(&self.state);
        if let Some(work) = state.next.pop_front() {
            return Some(work);
        }
        if state.closed {
            state.end(seat.id);
            return None;
        }
        state.idle.push(Arc::clone(seat));
        drop(state);
        seat.wait().or_else(|| self.leave(seat))
    }

    /// Ends a thread that has waited long enough; returns the work that it was given meanwhile.
    fn leave(&self, seat: &Arc<Seat>) -> Option<Work> {
        let mut state = lock(&self.state);
        let place = state.idle.iter().position(|idle| Arc::ptr_eq(idle, seat));
        if let Some(place) = place {
            state.idle.remove(place);
            let work = state.next.pop_front();
            if work.is_none() {
                state.end(seat.id);
            }
            return work;
        }
        drop(state);
        // Whoever took it off the list is about to give it work, and may be stopped in between.
        Some(seat.take())
    }

    /// Wakes a thread for each request that is still left, and sees to those that have ended.
    fn hand_over(&self) {
        let pairs = iter::from_fn(|| lock(&self.state).pair());
        pairs.for_each(|(seat, work)| seat.give(work));
        let ended = std::mem::take(&mut lock(&self.state).ended);
        join(ended);
    }
}

impl State {
    fn pair(&mut self) -> Option<(Arc<Seat>, Work)> {
        if self.next.is_empty() {
            return None;
        }
        Some((self.idle.pop()?, self.next.pop_front()?))
    }

    /// A thread is about to end: another one may be started in its place.
    fn end(&mut self, id: u64) {
        let handle = self.threads.remove(&id);
        self.ended.extend(handle);
    }
}

impl Seat {
    fn give(&self, work: Work) {
        *lock(&self.work) = Some(work);
        self.given.notify_one();
    }

    /// Waits for work that is sure to come.
    fn take(&self) -> Work {
        let mut work = lock(&self.work);
        loop {
            match work.take() {
                Some(work) => return work,
                None => {
                    work = self
                        .given
                        .wait(work)
                        .unwrap_or_else(PoisonError::into_inner)
                }
            }
        }
    }

    /// Waits a while for work.
    fn wait(&self) -> Option<Work> {
        let mut work = lock(&self.work);
        let until = Instant::now() + KEPT;
        while work.is_none() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            work = self
                .given
                .wait_timeout(work, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        work.take()
    }
}

fn join(ended: Vec<JoinHandle<()>>) {
    for thread in ended {
        // Work is run under guard, so a thread does not panic; it has nothing left to do but to return.
        let _ = thread.join();
    }
}

impl Drop for Threading {
    fn drop(&mut self) {
        self.dismiss();
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("threads", &self.threads.len())
            .field("idle", &self.idle.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seat")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}
