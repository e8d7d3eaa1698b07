//! `pool`: a fixed number of threads.

use std::time::Instant;

use crate::concurrency::{Model, Unit};

/// Runs each request on one of a fixed number of threads.
#[derive(Debug, Default)]
pub struct Pool {}

impl<H: Send + 'static> Model<H> for Pool {
    fn dispatch(&mut self, unit: Unit<H>) -> Result<(), Unit<H>> {
        unit.run();
        Ok(())
    }

    fn drain(&mut self, _until: Instant) {}
}
