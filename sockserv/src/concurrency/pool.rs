//! `pool`: a fixed number of threads and a bounded queue. A connection that has said nothing yet holds neither.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use std::{fmt, io};

use crate::concurrency::parking::Parking;
use crate::concurrency::unit::NEXT_WORD;
use crate::concurrency::{Lent, Model, Unit, WorkerStart};
use crate::error::Phase;
use crate::guard::guard_value;
use crate::options::Options;
use crate::requests::{Requests, lock};
use crate::sys::clock::Tick;
use crate::sys::poller::Interest;

/// How many threads there are unless the option says otherwise: some, so that a few slow requests do not stop the others.
const WORKERS: usize = 8;

/// How many requests may wait for a thread: enough for a burst, few enough that none waits long.
const QUEUE: usize = 64;

/// How long a peer may be silent before its server gets a chance to speak first.
const SILENCE: Duration = Duration::from_millis(20);

/// Runs each request on one of a fixed number of threads, which `worker_start` may prepare.
///
/// A connection whose peer has not spoken waits in the server's poller, so silent peers cost the others nothing. As some
/// protocols begin with the server's greeting, the one that is silent longest is given a thread after 20 ms, as long as
/// half of the threads stay free. The only thread of a pool of one is given, too, until a client's first word shows that
/// the handler sends none before it. `speaks_first` gives every connection a thread at once.
///
/// A thread that has been given is the handler's until it returns: whoever is greeted and stays silent has one until
/// `first_byte_timeout`. A message handler, which may greet in `setup`, gives its thread back, and needs no such word.
pub struct Pool<H> {
    crew: Arc<Crew<H>>,
    workers: usize,
    queue: usize,
    speaks_first: bool,
    stack_size: Option<usize>,
    /// Those of this run; none before its start.
    threads: Vec<JoinHandle<()>>,
    /// Requests whose peers have spoken, and for which there is no room in the queue.
    spoken: VecDeque<Unit<H>>,
    /// When the longest silence is to be looked at again.
    look: Option<Tick>,
}

/// What the threads share.
struct Crew<H> {
    state: Mutex<State<H>>,
    parking: Mutex<Parking<H>>,
    /// Those whose accept loop waits for room.
    requests: OnceLock<Arc<Requests>>,
    /// Signalled when there is work, and when the crew is closed.
    work: Condvar,
    /// Signalled when a thread ends.
    ended: Condvar,
}

struct State<H> {
    queue: VecDeque<Unit<H>>,
    /// How many threads wait for work, those included for whom it is in the queue already.
    waiting: usize,
    alive: usize,
    closed: bool,
    /// Whether the accept loop wants to know of a thread that becomes free.
    wanted: bool,
}

impl<H: Send + 'static> Model<H> for Pool<H> {
    fn dispatch(&mut self, unit: Unit<H>) -> Result<(), Unit<H>> {
        self.offer(unit);
        Ok(())
    }

    fn drain(&mut self, until: Instant) {
        self.close();
        let mut state = lock(&self.crew.state);
        // Those that wait for work end at once; one that is still in a handler is left behind in the end.
        while state.alive > 0 && Instant::now() < until {
            let left = until.saturating_duration_since(Instant::now());
            let woken = self.crew.ended.wait_timeout(state, left);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        let all_ended = state.alive == 0;
        drop(state);
        for thread in self.threads.drain(..).filter(|_| all_ended) {
            // What is the user's is run under guard there, so a thread does not panic; it has nothing left but to return.
            let _ = thread.join();
        }
    }

    fn configure(&mut self, options: &Options) -> io::Result<()> {
        self.workers = options.workers.unwrap_or(WORKERS).max(1);
        self.queue = options.queue.unwrap_or(QUEUE);
        self.speaks_first = options.speaks_first;
        self.stack_size = options.stack_size;
        Ok(())
    }

    #[cfg(feature = "cli")]
    fn tasks(options: &Options) -> (usize, usize) {
        (options.workers.unwrap_or(WORKERS).max(1), 0)
    }

    fn start(&mut self, prototype: &H, worker_start: WorkerStart<H>) -> io::Result<()>
    where
        H: Clone,
    {
        if !self.threads.is_empty() {
            return Ok(());
        }
        self.crew = Arc::default(); // Threads of an earlier run that were left behind keep theirs.
        let result = self.hire_all(prototype, worker_start);
        if result.is_err() {
            self.drain(Instant::now());
        }
        result
    }

    fn has_room(&self, is_stream: bool) -> bool {
        self.spoken.is_empty() || (is_stream && !self.speaks_first)
    }

    fn spoke(&mut self, number: u64) {
        self.leave(number);
    }

    fn tend(&mut self) {
        while let Some(unit) = self.spoken.pop_front() {
            if let Some(unit) = self.put(unit) {
                self.spoken.push_front(unit);
                return;
            }
        }
        self.let_silent_ones_be_greeted();
    }

    fn next_due(&self) -> Option<u64> {
        self.look.map(|look| look.0)
    }

    fn admit(&mut self, mut unit: Unit<H>, _prototype: &H, stays: bool) -> Result<(), Unit<H>>
    where
        H: Clone,
    {
        unit.lend(stays);
        self.crew.know(&unit);
        // One that is lent a thread gives it back at once, greeting or not.
        let parked = match stays && !self.speaks_first && !unit.is_lent() {
            true => lock(&self.crew.parking).park(unit, NEXT_WORD),
            false => Err(unit),
        };
        match parked {
            Ok(_) => self.look = self.look.or_else(|| Some(Tick::now().after(SILENCE))),
            Err(unit) => self.offer(unit),
        }
        Ok(())
    }
}

impl<H> Pool<H> {
    /// Gives a request to the threads, or keeps it until they have room for it.
    fn offer(&mut self, unit: Unit<H>) {
        let waits = if self.spoken.is_empty() {
            self.put(unit)
        } else {
            Some(unit) // Others came before it.
        };
        self.spoken.extend(waits);
    }

    /// Puts a request into the queue; gives it back if that is full.
    fn put(&self, unit: Unit<H>) -> Option<Unit<H>> {
        self.crew.know(&unit);
        let mut state = lock(&self.crew.state);
        // Without any queue one that gives its thread back would find nobody to give it to but itself.
        let queue = if unit.is_lent() {
            self.queue.max(1)
        } else {
            self.queue
        };
        if state.queue.len() >= state.waiting + queue {
            state.wanted = true;
            return Some(unit);
        }
        let one_is_free = state.free() > 0;
        state.queue.push_back(unit);
        drop(state);
        if one_is_free {
            self.crew.work.notify_one();
        }
        None
    }

    /// Gives threads to those who have been silent longest, and leaves half of the threads to those who speak.
    fn let_silent_ones_be_greeted(&mut self) {
        self.look = None;
        while let Some((number, since)) = self.crew.oldest() {
            let due = since.after(SILENCE);
            if due > Tick::now() {
                self.look = Some(due);
                return;
            }
            let mut state = lock(&self.crew.state);
            if state.free() <= self.kept_free() {
                state.wanted = true; // Whoever becomes idle says so.
                return;
            }
            drop(state);
            self.leave(number);
        }
    }

    /// How many threads are for those who speak.
    fn kept_free(&self) -> usize {
        let listens_first = || {
            self.crew
                .requests
                .get()
                .is_some_and(|requests| requests.listens_first())
        };
        match self.workers {
            1 => usize::from(listens_first()),
            workers => workers.div_ceil(2),
        }
    }

    /// Gives a thread to a request that has waited.
    fn leave(&mut self, number: u64) {
        let unit = lock(&self.crew.parking).leave(number);
        unit.into_iter().for_each(|unit| self.offer(unit));
    }

    fn close(&mut self) {
        let mut state = lock(&self.crew.state);
        state.closed = true;
        let queued = std::mem::take(&mut state.queue);
        drop(state);
        let parked = lock(&self.crew.parking).take_all();
        let spoken = std::mem::take(&mut self.spoken);
        [queued, spoken, parked].into_iter().for_each(discard);
        self.crew.work.notify_all();
    }
}

impl<H: Send + Clone + 'static> Pool<H> {
    /// Starts all threads, and waits until each has prepared itself.
    fn hire_all(&mut self, prototype: &H, worker_start: WorkerStart<H>) -> io::Result<()> {
        let mut told = Vec::new();
        for worker in 0..self.workers {
            let own =
                guard_value(Phase::Dispatch, || prototype.clone()).map_err(io::Error::other)?;
            told.push(self.hire(worker, own, worker_start)?);
        }
        // A thread that is gone without a word does not occur: it tells before it ends.
        let results = told.into_iter().filter_map(|told| told.recv().ok());
        results.collect()
    }

    /// Starts one thread; what it returns tells how `worker_start` went there.
    fn hire(
        &mut self,
        worker: usize,
        mut prototype: H,
        worker_start: WorkerStart<H>,
    ) -> io::Result<Receiver<io::Result<()>>> {
        let (result, told) = sync_channel(1);
        let crew = Arc::clone(&self.crew);
        let mut builder = thread::Builder::new().name(format!("sockserv-{worker}"));
        if let Some(size) = self.stack_size {
            builder = builder.stack_size(size);
        }
        lock(&crew.state).alive += 1;
        let own = Arc::clone(&crew);
        let thread = builder.spawn(move || {
            let ready = guard_value(Phase::Hook, || worker_start(&mut prototype, worker));
            let ready = ready.map_err(io::Error::other).and_then(|ready| ready);
            let is_ready = ready.is_ok();
            // The server waits for it, unless another worker has failed before.
            let _ = result.send(ready.map_err(|error| failed(worker, &error)));
            if is_ready {
                own.serve(&prototype);
            }
            // The prototype is the user's, and a panic in its `drop` is no business of the server.
            let _ = guard_value(Phase::Close, move || drop(prototype));
            own.leave();
        });
        match thread {
            Ok(thread) => self.threads.push(thread),
            Err(error) => {
                crew.leave();
                let text = format!("cannot start worker {worker}: {error}");
                return Err(io::Error::new(error.kind(), text));
            }
        }
        Ok(told)
    }
}

/// Closes requests. Some have a handler, whose `drop` is the user's.
fn discard<H>(left: VecDeque<Unit<H>>) {
    for unit in left {
        let _ = guard_value(Phase::Close, move || unit.abandon());
    }
}

impl<H: Clone> Crew<H> {
    /// The life of one thread.
    fn serve(&self, prototype: &H) {
        while let Some(mut unit) = self.next() {
            match unit.is_talking() || unit.clone_handler(prototype) {
                true => self.lend(unit),
                false => unit.give_up_on(prototype),
            }
        }
    }
}

impl<H> Crew<H> {
    /// Learns whose requests these are.
    fn know(&self, unit: &Unit<H>) {
        let requests = || Arc::clone(unit.ticket().requests());
        self.requests.get_or_init(requests);
    }

    /// Lends this thread to a request, until it ends or has to wait for its peer.
    fn lend(&self, unit: Unit<H>) {
        let mut next = Some(unit);
        while let Some(unit) = next {
            next = match unit.advance() {
                Lent::Ended => None,
                Lent::Waits(unit, interest) => self.park(unit, interest),
                Lent::Yields(unit) => self.queue(unit),
            };
        }
    }

    /// Lets a request wait for its peer; gives it back if it cannot, or need not.
    fn park(&self, unit: Unit<H>, interest: Interest) -> Option<Unit<H>> {
        let requests = Arc::clone(unit.ticket().requests());
        let (place, patience) = (unit.ticket().index, unit.ticket().slot().until());
        let mut parking = lock(&self.parking);
        if lock(&self.state).closed {
            drop(parking);
            discard(VecDeque::from([unit]));
            return None;
        }
        let number = match parking.park(unit, interest) {
            Ok(number) => number,
            Err(mut unit) => {
                unit.lend(false); // It keeps this thread.
                return Some(unit);
            }
        };
        // Either the drain that follows finds that it waits, or it finds the drain.
        let comes_back = interest == NEXT_WORD
            && requests.is_draining()
            && requests.may_end(requests.slot(place));
        let back = comes_back.then(|| parking.leave(number)).flatten();
        drop(parking);
        if let Some(until) = patience {
            requests.look_at(until);
        }
        back
    }

    /// Which request has been silent longest, and since when.
    fn oldest(&self) -> Option<(u64, Tick)> {
        lock(&self.parking).oldest()
    }

    /// Lets those go first who wait for a thread; gives the request back if nobody does.
    fn queue(&self, unit: Unit<H>) -> Option<Unit<H>> {
        let mut state = lock(&self.state);
        if state.closed {
            drop(state);
            discard(VecDeque::from([unit]));
            return None;
        }
        if state.queue.is_empty() && !state.wanted {
            return Some(unit);
        }
        state.queue.push_back(unit);
        None
    }

    /// Waits for a request; nothing is the end.
    fn next(&self) -> Option<Unit<H>> {
        let mut state = lock(&self.state);
        state.waiting += 1;
        if std::mem::take(&mut state.wanted)
            && let Some(requests) = self.requests.get()
        {
            requests.wake.wake();
        }
        let next = loop {
            if state.closed {
                break None;
            }
            if let Some(unit) = state.queue.pop_front() {
                break Some(unit);
            }
            let woken = self.work.wait(state);
            state = woken.unwrap_or_else(PoisonError::into_inner);
        };
        state.waiting -= 1;
        next
    }

    fn leave(&self) {
        lock(&self.state).alive -= 1;
        self.ended.notify_all();
    }
}

impl<H> State<H> {
    /// How many threads wait for whom there is nothing in the queue.
    fn free(&self) -> usize {
        self.waiting.saturating_sub(self.queue.len())
    }
}

fn failed(worker: usize, error: &io::Error) -> io::Error {
    io::Error::new(
        error.kind(),
        format!("`worker_start` of worker {worker}: {error}"),
    )
}

impl<H> Default for Crew<H> {
    fn default() -> Self {
        Self {
            state: Mutex::new(State {
                queue: VecDeque::new(),
                waiting: 0,
                alive: 0,
                closed: false,
                wanted: false,
            }),
            parking: Mutex::new(Parking::new()),
            requests: OnceLock::new(),
            work: Condvar::new(),
            ended: Condvar::new(),
        }
    }
}

impl<H> Default for Pool<H> {
    fn default() -> Self {
        Self {
            crew: Arc::default(),
            workers: WORKERS,
            queue: QUEUE,
            speaks_first: false,
            stack_size: None,
            threads: Vec::new(),
            spoken: VecDeque::new(),
            look: None,
        }
    }
}

impl<H> Drop for Pool<H> {
    fn drop(&mut self) {
        self.close();
    }
}

impl<H> fmt::Debug for Pool<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("workers", &self.workers)
            .field("queue", &self.queue)
            .finish_non_exhaustive()
    }
}
