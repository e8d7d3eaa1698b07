//! Requests that wait for their peers' first word, or for the next message: in the server's poller, without a thread.

use std::collections::{HashMap, VecDeque};

use crate::concurrency::Unit;
use crate::sys::clock::Tick;
use crate::sys::poller::Interest;

/// The parked requests, by their places in the table.
pub(crate) struct Parking<H> {
    /// Each with its number among those whose peers have said nothing, or zero.
    units: HashMap<u32, (u64, Unit<H>)>,
    /// All who have said nothing in the order in which they came, and some that have left: each with its number.
    arrivals: VecDeque<(u64, u32, Tick)>,
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
    pub(crate) fn park(&mut self, mut unit: Unit<H>, interest: Interest) -> Result<(), Unit<H>> {
        if !unit.watch(interest) {
            return Err(unit);
        }
        let ticket = unit.ticket();
        let (place, now) = (ticket.index, Tick::coarse());
        // It waits for its peer, and owes nothing: deadlines and drain see it as they see a read.
        ticket.slot().waiting.begin(now.0);
        let mut number = 0;
        if !unit.is_talking() {
            self.next += 1;
            number = self.next;
            self.arrivals.push_back((number, place, now));
        }
        self.units.insert(place, (number, unit));
        Ok(())
    }

    /// Takes a request out of the parking.
    pub(crate) fn leave(&mut self, place: u32) -> Option<Unit<H>> {
        let (_, unit) = self.units.remove(&place)?;
        unit.ticket().slot().waiting.end();
        Some(unit)
    }

    /// Which request has been silent longest, and since when.
    pub(crate) fn oldest(&mut self) -> Option<(u32, Tick)> {
        while let Some(&(number, place, since)) = self.arrivals.front() {
            if self
                .units
                .get(&place)
                .is_some_and(|(own, _)| *own == number)
            {
                return Some((place, since));
            }
            self.arrivals.pop_front();
        }
        None
    }

    /// Takes all.
    pub(crate) fn take_all(&mut self) -> VecDeque<Unit<H>> {
        self.arrivals.clear();
        self.units.drain().map(|(_, (_, unit))| unit).collect()
    }
}
