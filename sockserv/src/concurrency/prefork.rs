//! `prefork`: a fixed number of worker processes, each with an accept loop of its own. What takes a server of threads
//! down takes one worker down, and another takes its place.

use std::io;
use std::time::Instant;

use crate::concurrency::{Model, Unit, Workers};
use crate::options::Options;
use crate::sys::fork::{self, Threads};

/// How many workers there are unless the option says otherwise.
pub(crate) const WORKERS: usize = 4;

/// Runs each request in one of a fixed number of worker processes, which take them one after another.
///
/// The process that bound the server forks them, watches them, and starts another one for each that ends, a while later
/// if it ended badly. `worker_start` runs in each before its first request. SIGHUP, or
/// [`ServerHandle::renew_workers`](crate::ServerHandle::renew_workers), replaces them one after another: no connection
/// is refused meanwhile, because the sockets stay open. Refuses to start while this process has other threads.
///
/// `handle_request` has no workers: it forks for its one request, as [`Forking`](crate::Forking) does.
#[derive(Clone, Copy, Debug, Default)]
pub struct Prefork;

/// [`Prefork`] without the check for other threads: `unsafe(prefork)`. The promise is that of
/// [`UncheckedForking`](crate::UncheckedForking).
#[derive(Clone, Copy, Debug, Default)]
pub struct UncheckedPrefork;

macro_rules! prefork {
    ($($ty:ty: $threads:expr;)*) => {$(
        impl<H> Model<H> for $ty {
            fn dispatch(&mut self, unit: Unit<H>) -> Result<(), Unit<H>> {
                unit.run();
                Ok(())
            }

            fn drain(&mut self, _until: Instant) {}

            fn configure(&mut self, _options: &Options) -> io::Result<()> {
                fork::check($threads)
            }

            const WORKERS: Workers = Workers::forked($threads);

            fn admit(&mut self, mut unit: Unit<H>, prototype: &H) -> Result<(), Unit<H>>
            where
                H: Clone,
            {
                if unit.ticket().requests().worker().is_none() {
                    return unit.run_in_child($threads, prototype);
                }
                if !unit.clone_handler(prototype) {
                    return Err(unit);
                }
                self.dispatch(unit)
            }
        }
    )*};
}
prefork! {
    Prefork: Threads::Refuse;
    UncheckedPrefork: Threads::Allow;
}
