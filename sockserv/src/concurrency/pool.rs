//! `pool`: a fixed number of threads and a bounded queue. A connection that has said nothing yet holds neither.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use std::{fmt, io};

use crate::concurrency::crew::{Crew, discard};
use crate::concurrency::{Model, Unit, WorkerStart};
use crate::error::Phase;
use crate::guard::guard_value;
use crate::options::Options;

/// How many threads there are unless the option says otherwise: some, so that a few slow requests do not stop the others.
pub(crate) const WORKERS: usize = 8;

/// How many requests may wait for a thread: enough for a burst, few enough that none waits long.
const QUEUE: usize = 64;

/// How long a peer may be silent before its server gets a chance to speak first.
const SILENCE: Duration = Duration::from_millis(20);

/// Runs each request on one of a fixed number of threads, which `worker_start` may prepare.
///
/// A connection whose peer has not spoken waits in a poll set, so silent peers cost the others nothing. As some
/// protocols begin with the server's greeting, the one that is silent longest is given a thread after 20 ms, as long as
/// half of the threads stay free. The only thread of a pool of one is given, too, until a client's first word shows that
/// the handler sends none before it. `speaks_first` gives every connection a thread at once.
///
/// A thread that has been given is the handler's until it returns: whoever is greeted and stays silent has one until
/// `first_byte_timeout`. A message handler, which may greet in `setup`, gives its thread back, and needs no such word.
///
/// Each thread clones the handler for its requests from a prototype of its own, itself a clone that is made at the start: a
/// `Clone` that panics there ends the run, before it has accepted anything, as an error of `worker_start` does.
pub struct Pool<H> {
    /// None before the start.
    crew: Option<Arc<Crew<H>>>,
    workers: usize,
    queue: usize,
    speaks_first: bool,
    stack_size: Option<usize>,
    /// Those of this run; none before its start.
    threads: Vec<JoinHandle<()>>,
    /// Requests for which there is no room in the queue.
    waiting: VecDeque<Unit<H>>,
    /// When the longest silence is to be looked at again.
    look: Option<Instant>,
}

impl<H: Send + 'static> Model<H> for Pool<H> {
    fn dispatch(&mut self, unit: Unit<H>) -> Result<(), Unit<H>> {
        self.offer(unit);
        Ok(())
    }

    fn drain(&mut self, until: Instant) {
        self.close();
        // Those that wait for work end at once; one that is still in a handler is left behind in the end.
        let all_ended = self.crew.as_ref().is_none_or(|crew| crew.all_parted(until));
        for thread in self.threads.drain(..).filter(|_| all_ended) {
            // What is the user's is run under guard there, so a thread does not panic; it has nothing left but to return.
            let _ = thread.join();
        }
    }

    fn configure(&mut self, options: &Options) -> io::Result<()> {
        self.workers = options.workers.unwrap_or(WORKERS);
        self.queue = options.queue.unwrap_or(QUEUE);
        self.speaks_first = options.speaks_first;
        self.stack_size = options.stack_size;
        Ok(())
    }

    fn start(&mut self, prototype: &H, worker_start: WorkerStart<H>) -> io::Result<()>
    where
        H: Clone,
    {
        if !self.threads.is_empty() {
            return Ok(());
        }
        let result = self.hire_all(prototype, worker_start);
        if result.is_err() {
            self.drain(Instant::now());
        }
        result
    }

    fn has_room(&self, is_stream: bool) -> bool {
        self.waiting.is_empty() || (is_stream && !self.speaks_first)
    }

    fn end_of_turn(&mut self) {
        while let Some(unit) = self.waiting.pop_front() {
            if let Some(unit) = self.put(unit) {
                self.waiting.push_front(unit);
                self.look = None; // Whoever takes from the queue says so, and the silent ones come after these.
                return;
            }
        }
        self.let_silent_ones_be_greeted();
    }

    fn next_due(&self) -> Option<Instant> {
        self.look
    }

    fn admit(&mut self, mut unit: Unit<H>, _prototype: &H) -> Result<(), Unit<H>>
    where
        H: Clone,
    {
        let may_wait = unit.may_wait();
        unit.lend(may_wait);
        unit.set_off();
        // A message handler's `setup` may greet: it gives its thread back as soon as it waits.
        let parked = match &self.crew {
            Some(crew) if may_wait && !self.speaks_first && !unit.is_lent() => {
                crew.await_first_word(unit)
            }
            _ => Err(unit),
        };
        match parked {
            Ok(()) => self.look = self.look.or_else(|| Some(Instant::now() + SILENCE)),
            Err(unit) => self.offer(unit),
        }
        Ok(())
    }
}

impl<H> Pool<H> {
    /// Gives a request to the threads, or keeps it until they have room for it.
    fn offer(&mut self, unit: Unit<H>) {
        unit.set_off();
        let waits = if self.waiting.is_empty() {
            self.put(unit)
        } else {
            Some(unit) // Others came before it.
        };
        self.waiting.extend(waits);
    }

    /// Puts a request into the queue; gives it back if that is full.
    fn put(&self, unit: Unit<H>) -> Option<Unit<H>> {
        match &self.crew {
            Some(crew) => crew.put(unit),
            None => Some(unit),
        }
    }

    /// Gives threads to those who have been silent longest, and leaves half of the threads to those who speak.
    fn let_silent_ones_be_greeted(&mut self) {
        self.look = None;
        let Some(crew) = self.crew.clone() else {
            return;
        };
        while let Some((token, since)) = crew.oldest() {
            let left = since.after(SILENCE).left();
            if !left.is_zero() {
                self.look = Some(Instant::now() + left);
                return;
            }
            let kept = match self.workers {
                1 => usize::from(crew.listens_first()),
                workers => workers.div_ceil(2),
            };
            if !crew.has_free(kept) {
                return; // Whoever becomes idle says so.
            }
            let silent = crew.leave(token);
            silent.into_iter().for_each(|unit| self.offer(unit));
        }
    }

    fn close(&mut self) {
        self.crew.as_ref().inspect(|crew| crew.close());
        discard(std::mem::take(&mut self.waiting));
    }
}

impl<H: Send + Clone + 'static> Pool<H> {
    /// Starts all threads, and waits until each has prepared itself. Those of an earlier run that were left behind have a
    /// crew of their own.
    fn hire_all(&mut self, prototype: &H, worker_start: WorkerStart<H>) -> io::Result<()> {
        let crew = Arc::new(Crew::new(self.queue)?);
        self.crew = Some(Arc::clone(&crew));
        let mut told = Vec::new();
        for worker in 0..self.workers {
            let own = guard_value(Phase::Dispatch, || prototype.clone()).map_err(|error| {
                io::Error::other(format!(
                    "cannot clone the handler for worker {worker}: {error}"
                ))
            })?;
            told.push(self.hire(worker, own, worker_start, &crew)?);
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
        crew: &Arc<Crew<H>>,
    ) -> io::Result<Receiver<io::Result<()>>> {
        let (result, told) = sync_channel(1);
        let mut builder = thread::Builder::new().name(format!("sockserv-{worker}"));
        if let Some(size) = self.stack_size {
            builder = builder.stack_size(size);
        }
        crew.join();
        let own = Arc::clone(crew);
        let thread = builder.spawn(move || {
            // The error is the user's, too: what it says, and its `drop`.
            let ready = guard_value(Phase::Hook, || {
                worker_start(&mut prototype, worker).map_err(|error| failed(worker, &error))
            });
            let panicked = |error| Err(failed(worker, &io::Error::other(error)));
            let ready = ready.unwrap_or_else(panicked);
            let is_ready = ready.is_ok();
            // The server waits for it, unless another worker has failed before.
            let _ = result.send(ready);
            if is_ready {
                own.serve(&prototype);
            }
            // The prototype is the user's, and a panic in its `drop` is no business of the server.
            let _ = guard_value(Phase::Close, move || drop(prototype));
            own.part();
        });
        match thread {
            Ok(thread) => self.threads.push(thread),
            Err(error) => {
                crew.part();
                let text = format!("cannot start worker {worker}: {error}");
                return Err(io::Error::new(error.kind(), text));
            }
        }
        Ok(told)
    }
}

fn failed(worker: usize, error: &io::Error) -> io::Error {
    io::Error::new(
        error.kind(),
        format!("`worker_start` of worker {worker}: {error}"),
    )
}

impl<H> Default for Pool<H> {
    fn default() -> Self {
        Self {
            crew: None,
            workers: WORKERS,
            queue: QUEUE,
            speaks_first: false,
            stack_size: None,
            threads: Vec::new(),
            waiting: VecDeque::new(),
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
