//! `threading`: a thread for each request. Idle threads are kept a while, so a connection costs a wake-up and no new thread.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use std::{fmt, io};

use crate::concurrency::{Model, Unit};
use crate::options::Options;
use crate::requests::lock;

/// How long a thread without work is kept.
const KEPT: Duration = Duration::from_secs(10);

/// Runs each request in a thread, started only when no idle one is left. Bounded by `max` and `max_connections`.
#[derive(Debug, Default)]
pub struct Threading {
    crew: Arc<Crew>,
    stack_size: Option<usize>,
    started: u64,
}

/// A request on its way to a thread.
type Work = Box<dyn FnOnce() + Send>;

/// What the threads share.
#[derive(Debug, Default)]
struct Crew {
    state: Mutex<State>,
    work: Condvar,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Work>,
    /// How many threads wait for work. Never fewer than there is work in the queue.
    idle: usize,
    closed: bool,
    threads: HashMap<u64, JoinHandle<()>>,
    /// Threads that have ended: joining them does not wait.
    ended: Vec<JoinHandle<()>>,
}

impl<H: Send + 'static> Model<H> for Threading {
    fn dispatch(&mut self, unit: Unit<H>) -> Result<(), Unit<H>> {
        if let Err(error) = self.make_room() {
            return Err(unit.refuse(error));
        }
        lock(&self.crew.state)
            .queue
            .push_back(Box::new(move || unit.run()));
        self.crew.work.notify_one();
        Ok(())
    }

    fn drain(&mut self, until: Instant) {
        let mut state = lock(&self.crew.state);
        state.closed = true;
        self.crew.work.notify_all();
        // Those that wait for work end at once; one that is still in a handler is left behind in the end.
        while !state.threads.is_empty() && Instant::now() < until {
            let left = until.saturating_duration_since(Instant::now());
            let woken = self.crew.work.wait_timeout(state, left);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        let ended = std::mem::take(&mut state.ended);
        drop(state);
        join(ended);
    }

    fn configure(&mut self, options: &Options) -> io::Result<()> {
        self.stack_size = options.stack_size;
        Ok(())
    }

    fn most(options: &Options) -> Option<usize> {
        options.max
    }
}

impl Threading {
    /// Makes sure that a thread waits for the next piece of work.
    fn make_room(&mut self) -> io::Result<()> {
        let mut state = lock(&self.crew.state);
        state.closed = false; // A drain may have come before: the server serves again.
        let ended = std::mem::take(&mut state.ended);
        if state.idle > state.queue.len() {
            drop(state);
            join(ended);
            return Ok(());
        }
        self.started += 1;
        let (id, crew) = (self.started, Arc::clone(&self.crew));
        let mut builder = thread::Builder::new().name(format!("sockserv-{id}"));
        if let Some(size) = self.stack_size {
            builder = builder.stack_size(size);
        }
        // It counts as idle from here on, so that nobody starts another one for the same work.
        let thread = builder.spawn(move || crew.serve(id))?;
        state.idle += 1;
        state.threads.insert(id, thread);
        drop(state);
        join(ended);
        Ok(())
    }
}

impl Crew {
    /// The life of one thread: work, wait for more, and after a while of nothing an end.
    fn serve(&self, id: u64) {
        let mut state = lock(&self.state);
        loop {
            if let Some(work) = state.queue.pop_front() {
                state.idle -= 1;
                drop(state);
                work();
                state = lock(&self.state);
                state.idle += 1;
                continue;
            }
            if state.closed {
                break;
            }
            let (woken, timeout) = self
                .work
                .wait_timeout(state, KEPT)
                .unwrap_or_else(PoisonError::into_inner);
            state = woken;
            if timeout.timed_out() && state.queue.is_empty() {
                break;
            }
        }
        state.idle -= 1;
        let handle = state.threads.remove(&id);
        state.ended.extend(handle);
        if state.closed {
            self.work.notify_all(); // `drain` waits for the last one.
        }
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
        // Threads that wait end; those in a handler end with it.
        lock(&self.crew.state).closed = true;
        self.crew.work.notify_all();
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("idle", &self.idle)
            .field("threads", &self.threads.len())
            .finish_non_exhaustive()
    }
}
