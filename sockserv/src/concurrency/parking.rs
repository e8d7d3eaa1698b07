//! Requests whose peers have said nothing: they wait in the server's poller, and hold no thread.

use std::collections::{HashMap, VecDeque};

use crate::concurrency::Unit;
use crate::requests::PARKED;
use crate::sys::clock::Tick;
use crate::sys::poller::Interest;

/// The parked requests, by their places in the table.
pub(crate) struct Parking<H> {
    units: HashMap<u32, (u64, Unit<H>)>,
    /// All in the order in which they came, and some that have left: each with its number.
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
    pub(crate) fn park(&mut self, unit: Unit<H>) -> Result<(), Unit<H>> {
        let ticket = unit.ticket();
        let (place, now) = (ticket.index, Tick::coarse());
        let Some(socket) = unit.descriptor() else {
            return Err(unit);
        };
        let poller = &ticket.requests().poller;
        let interest = Interest::IN | Interest::RDHUP | Interest::ONESHOT;
        if poller
            .add(socket, PARKED + u64::from(place), interest)
            .is_err()
        {
            return Err(unit); // Out of memory for the poll set.
        }
        // It waits for its peer, and owes nothing: deadlines and drain see it as they see a read.
        ticket.slot().waiting.begin(now.0);
        self.next += 1;
        self.arrivals.push_back((self.next, place, now));
        self.units.insert(place, (self.next, unit));
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

    /// Closes all.
    pub(crate) fn clear(&mut self) {
        self.units.clear();
        self.arrivals.clear();
    }
}
