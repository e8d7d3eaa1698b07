//! `sync`: one request after another, where the server accepts. Python's plain servers.

use std::time::Instant;

use crate::concurrency::{Model, Unit};

/// Runs each request in the accepting thread, to its end, before the next is accepted. The handler may hold an `Rc`.
///
/// While it waits for its peer it is told of a shutdown by a descriptor, because nobody else is awake to do it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Synchronous;

impl<H> Model<H> for Synchronous {
    fn dispatch(&mut self, unit: Unit<H>) -> Result<(), Unit<H>> {
        unit.run();
        Ok(())
    }

    fn drain(&mut self, _until: Instant) {}
}
