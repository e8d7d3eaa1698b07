//! Requests that wait for their peers' first word, or for the next message: in a poll set, without a thread.

use std::collections::{HashMap, VecDeque};

use crate::concurrency::Unit;
use crate::sys::clock::Tick;
use crate::sys::poller::{Interest, Poller};

/// The parked requests.
pub(crate) struct Parking<H> {
    /// By their tokens in the poll set. Each stay has its own, so that late news of another's is recognised.
    units: HashMap<u64, Unit<H>>,
    /// All who have said nothing in the order in which they came, and some that have left.
    arrivals: VecDeque<(u64, Tick)>,
    next: u64,
}

impl<H> Parking<H> {
    pub(crate) fn new() -> Self {
        Self {
            units: HashMap::new(),
            arrivals: VecDeque::new(),
            next: 0,
        }
    }

    /// Parks a request until its peer speaks, leaves or is told; gives it back if it cannot be polled.
    pub(crate) fn park(
        &mut self,
        mut unit: Unit<H>,
        poller: &Poller,
        interest: Interest,
    ) -> Result<u64, Unit<H>> {
        self.next += 1;
        let token = self.next;
        if !unit.watch(poller, token, interest) {
            return Err(unit);
        }
        let now = Tick::coarse();
        // It waits for its peer, and owes nothing: deadlines and drain see it as they see a read.
        unit.ticket().slot().waiting.begin(now.0);
        if !unit.is_talking() {
            self.arrivals.push_back((token, now));
        }
        self.units.insert(token, unit);
        Ok(token)
    }

    /// Takes a request out of the parking.
    pub(crate) fn leave(&mut self, token: u64) -> Option<Unit<H>> {
        let unit = self.units.remove(&token)?;
        unit.ticket().slot().waiting.end();
        Some(unit)
    }

    /// Which request has been silent longest, and since when.
    pub(crate) fn oldest(&mut self) -> Option<(u64, Tick)> {
        while let Some(&(token, since)) = self.arrivals.front() {
            if self.units.contains_key(&token) {
                return Some((token, since));
            }
            self.arrivals.pop_front();
        }
        None
    }

    /// Takes all.
    pub(crate) fn take_all(&mut self) -> VecDeque<Unit<H>> {
        self.arrivals.clear();
        self.units.drain().map(|(_, unit)| unit).collect()
    }
}
