//! Requests that wait for their peers' first word, or for the next message: in the server's poller, without a thread.

use std::collections::{HashMap, VecDeque};

use crate::concurrency::Unit;
use crate::requests::PARKED;
use crate::sys::clock::Tick;
use crate::sys::poller::Interest;

/// The parked requests, each by the number of its wait: what the poller tells late of a wait that is over means nobody else.
pub(crate) struct Parking<H> {
    units: HashMap<u64, Unit<H>>,
    /// All who have said nothing in the order in which they came, and some that have left.
    arrivals: VecDeque<(u64, Tick)>,
    /// How many waits there were.
    count: u64,
}

impl<H> Parking<H> {
    pub(crate) fn new() -> Self {
        Self {
            units: HashMap::new(),
            arrivals: VecDeque::new(),
            count: 0,
        }
    }

    /// Parks a request until its peer speaks, leaves or is told, and returns the number of this wait; gives the request
    /// back if it cannot be polled.
    pub(crate) fn park(&mut self, mut unit: Unit<H>, interest: Interest) -> Result<u64, Unit<H>> {
        self.count += 1;
        if !unit.watch(PARKED + self.count, interest) {
            return Err(unit);
        }
        let now = Tick::coarse();
        // It waits for its peer, and owes nothing: deadlines and drain see it as they see a read.
        unit.ticket().slot().waiting.begin(now.0);
        if !unit.is_talking() {
            self.arrivals.push_back((self.count, now));
        }
        self.units.insert(self.count, unit);
        Ok(self.count)
    }

    /// Takes a request out of the parking.
    pub(crate) fn leave(&mut self, number: u64) -> Option<Unit<H>> {
        let unit = self.units.remove(&number)?;
        unit.ticket().slot().waiting.end();
        Some(unit)
    }

    /// Which request has been silent longest, and since when.
    pub(crate) fn oldest(&mut self) -> Option<(u64, Tick)> {
        while let Some(&(number, since)) = self.arrivals.front() {
            if self.units.contains_key(&number) {
                return Some((number, since));
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
