//! `prefork`: a fixed number of processes.

use std::time::Instant;

use crate::concurrency::{Model, Unit};

/// Runs each request in one of a fixed number of processes.
#[derive(Debug, Default)]
pub struct Prefork {}

/// [`Prefork`] without the check for other threads: `unsafe(prefork)`.
#[derive(Debug, Default)]
pub struct UncheckedPrefork {}

impl<H> Model<H> for Prefork {
    fn dispatch(&mut self, unit: Unit<H>) -> Result<(), Unit<H>> {
        unit.run();
        Ok(())
    }

    fn drain(&mut self, _until: Instant) {}
}

impl<H> Model<H> for UncheckedPrefork {
    fn dispatch(&mut self, unit: Unit<H>) -> Result<(), Unit<H>> {
        unit.run();
        Ok(())
    }

    fn drain(&mut self, _until: Instant) {}
}
