//! The threads of a `pool`, and what they share: a queue, and a poll set of connections that wait for their peers.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use std::{io, mem};

use crate::concurrency::parking::Parking;
use crate::concurrency::unit::NEXT_WORD;
use crate::concurrency::{Lent, Unit};
use crate::error::Phase;
use crate::guard::guard_value;
use crate::requests::{Requests, lock};
use crate::sys::clock::Tick;
use crate::sys::poller::{Interest, Poller, Wake};

/// The token of what wakes the thread that polls.
const WAKE: u64 = 0;

/// How many requests the threads take from the queue before they look who has spoken meanwhile.
const REQUESTS_PER_TURN: usize = 64;

/// Of the threads that have nothing to do one polls, and takes what is ready into the queue; the others wait for it. So a
/// message needs no other thread than the one that handles it.
pub(super) struct Crew<H> {
    state: Mutex<State<H>>,
    parking: Mutex<Parking<H>>,
    poller: Poller,
    /// Ends the poll.
    wake: Wake,
    /// How many requests may wait for a thread.
    room: usize,
    /// Whose accept loop waits for room.
    requests: OnceLock<Arc<Requests>>,
    /// Signalled when there is work, when nobody polls, and when the crew is closed.
    work: Condvar,
    /// Signalled when a thread ends.
    ended: Condvar,
}

struct State<H> {
    queue: VecDeque<Unit<H>>,
    /// How many threads wait for work, those included for whom it is in the queue already.
    waiting: usize,
    /// Whether one of them polls.
    polls: bool,
    /// How many requests were taken from the queue since the last poll.
    taken: usize,
    alive: usize,
    closed: bool,
    /// Whether the accept loop wants to know of a thread that becomes free.
    wanted: bool,
}

impl<H> Crew<H> {
    pub(super) fn new(room: usize) -> io::Result<Self> {
        let (poller, wake) = (Poller::new()?, Wake::new()?);
        // Each wake-up is told once, so nobody need clear it.
        poller.add(&wake, WAKE, Interest::IN | Interest::ET)?;
        Ok(Self {
            state: Mutex::new(State {
                queue: VecDeque::new(),
                waiting: 0,
                polls: false,
                taken: 0,
                alive: 0,
                closed: false,
                wanted: false,
            }),
            parking: Mutex::new(Parking::new()),
            poller,
            wake,
            room,
            requests: OnceLock::new(),
            work: Condvar::new(),
            ended: Condvar::new(),
        })
    }

    /// Puts a request into the queue; gives it back if that is full.
    pub(super) fn put(&self, unit: Unit<H>) -> Option<Unit<H>> {
        self.know(&unit);
        let mut state = lock(&self.state);
        // Without any queue one that gives its thread back would find nobody to give it to but itself.
        let room = match unit.is_lent() {
            true => self.room.max(1),
            false => self.room,
        };
        if state.queue.len() >= state.waiting + room {
            state.wanted = true;
            return Some(unit);
        }
        let one_is_free = state.free() > 0;
        state.queue.push_back(unit);
        if one_is_free {
            self.rouse(state);
        }
        None
    }

    /// Learns whose requests these are.
    fn know(&self, unit: &Unit<H>) {
        let requests = || Arc::clone(unit.ticket().requests());
        self.requests.get_or_init(requests);
    }

    /// Whether the handler was seen to wait for its peer's first word.
    pub(super) fn listens_first(&self) -> bool {
        let requests = self.requests.get();
        requests.is_some_and(|requests| requests.listens_first())
    }

    /// Lets a request that has said nothing wait for its peer's first word; gives it back if it cannot be polled.
    pub(super) fn await_first_word(&self, unit: Unit<H>) -> Result<(), Unit<H>> {
        self.know(&unit);
        let parked = lock(&self.parking).park(unit, &self.poller, NEXT_WORD);
        parked.map(drop)
    }

    /// Which request has been silent longest, and since when.
    pub(super) fn oldest(&self) -> Option<(u64, Tick)> {
        lock(&self.parking).oldest()
    }

    /// Takes out one that waits for its peer.
    pub(super) fn leave(&self, token: u64) -> Option<Unit<H>> {
        lock(&self.parking).leave(token)
    }

    /// Whether more threads than so many have nothing to do. If not, the accept loop is told of the next one.
    pub(super) fn has_free(&self, more_than: usize) -> bool {
        let mut state = lock(&self.state);
        let has = state.free() > more_than;
        state.wanted |= !has;
        has
    }

    /// Closes what waits, and tells the threads to end.
    pub(super) fn close(&self) {
        let mut state = lock(&self.state);
        state.closed = true;
        let queued = mem::take(&mut state.queue);
        drop(state);
        discard(queued);
        discard(lock(&self.parking).take_all());
        self.work.notify_all();
        self.wake.wake();
    }

    /// A thread comes.
    pub(super) fn join(&self) {
        lock(&self.state).alive += 1;
    }

    /// A thread is gone.
    pub(super) fn part(&self) {
        lock(&self.state).alive -= 1;
        self.ended.notify_all();
    }

    /// Waits until all threads are gone, at most `until`; returns whether they are.
    pub(super) fn all_parted(&self, until: Instant) -> bool {
        let mut state = lock(&self.state);
        while state.alive > 0 && Instant::now() < until {
            let left = until.saturating_duration_since(Instant::now());
            let woken = self.ended.wait_timeout(state, left);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.alive == 0
    }
}

impl<H: Clone> Crew<H> {
    /// The life of one thread.
    pub(super) fn serve(&self, prototype: &H) {
        let mut ready = Vec::new();
        while let Some(mut unit) = self.next(&mut ready) {
            match unit.is_talking() || unit.clone_handler(prototype) {
                true => self.lend(unit, &mut ready),
                false => unit.give_up_on(prototype),
            }
        }
    }
}

impl<H> Crew<H> {
    /// Lends this thread to a request, until it ends or has to wait for its peer.
    fn lend(&self, unit: Unit<H>, ready: &mut Vec<u64>) {
        let mut next = Some(unit);
        while let Some(unit) = next {
            next = match unit.advance() {
                Lent::Ended => None,
                Lent::Waits(unit, interest) => self.park(unit, interest),
                Lent::Yields(unit) => self.queue(unit, ready),
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
        let token = match parking.park(unit, &self.poller, interest) {
            Ok(token) => token,
            Err(mut unit) => {
                unit.lend(false); // It keeps this thread.
                return Some(unit);
            }
        };
        // Either the drain that follows finds that it waits, or it finds the drain.
        let comes_back = interest == NEXT_WORD
            && requests.is_draining()
            && requests.may_end(requests.slot(place));
        let back = comes_back.then(|| parking.leave(token)).flatten();
        drop(parking);
        if let Some(until) = patience {
            requests.look_at(until);
        }
        back
    }

    /// Lets those go first who wait for a thread; gives the request back if nobody does.
    fn queue(&self, unit: Unit<H>, ready: &mut Vec<u64>) -> Option<Unit<H>> {
        let mut state = lock(&self.state);
        if state.queue.is_empty() && !state.polls {
            state = self.poll(state, ready, Some(Duration::ZERO));
        }
        if state.closed {
            drop(state);
            discard(VecDeque::from([unit]));
            return None;
        }
        if state.queue.is_empty() && !state.wanted {
            self.rouse(state); // Somebody may have come while this thread polled.
            return Some(unit);
        }
        state.queue.push_back(unit);
        None
    }

    /// Waits for a request; nothing is the end.
    fn next(&self, ready: &mut Vec<u64>) -> Option<Unit<H>> {
        let mut state = lock(&self.state);
        state.waiting += 1;
        if mem::take(&mut state.wanted)
            && let Some(requests) = self.requests.get()
        {
            requests.wake.wake();
        }
        let next = loop {
            if state.closed {
                break None;
            }
            if state.taken >= REQUESTS_PER_TURN && !state.polls {
                state = self.poll(state, ready, Some(Duration::ZERO));
            }
            if let Some(unit) = state.queue.pop_front() {
                state.taken += 1;
                break Some(unit);
            }
            state = match state.polls {
                true => self
                    .work
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner),
                false => self.poll(state, ready, None),
            };
        };
        state.waiting -= 1;
        match next {
            Some(_) => self.rouse(state),
            None => {
                let late = mem::take(&mut state.queue);
                drop(state);
                discard(late);
            }
        }
        next
    }

    /// Takes those into the queue whose peers have spoken, and waits for one.
    fn poll<'a>(
        &'a self,
        mut state: MutexGuard<'a, State<H>>,
        ready: &mut Vec<u64>,
        patience: Option<Duration>,
    ) -> MutexGuard<'a, State<H>> {
        state.polls = true;
        drop(state);
        ready.clear();
        // A poll set of our own has no errors but those of wrong arguments.
        let _ = self.poller.wait(ready, patience);
        let mut parking = lock(&self.parking);
        let mut state = lock(&self.state);
        let spoke = ready.iter().filter_map(|&token| parking.leave(token));
        state.queue.extend(spoke);
        state.polls = false;
        state.taken = 0;
        state
    }

    /// Wakes a thread that waits, if there is something for it: work, or a poll set that nobody watches.
    fn rouse(&self, state: MutexGuard<'_, State<H>>) {
        let (has_work, polls) = (!state.queue.is_empty(), state.polls);
        let sleeps = state.waiting > usize::from(polls);
        drop(state);
        if sleeps && (has_work || !polls) {
            self.work.notify_one();
        } else if has_work && polls {
            self.wake.wake();
        }
    }
}

impl<H> State<H> {
    /// How many threads wait for whom there is nothing in the queue.
    fn free(&self) -> usize {
        self.waiting.saturating_sub(self.queue.len())
    }
}

/// Closes requests. Some have a handler, whose `drop` is the user's.
pub(super) fn discard<H>(left: VecDeque<Unit<H>>) {
    for unit in left {
        let _ = guard_value(Phase::Close, move || unit.abandon());
    }
}
