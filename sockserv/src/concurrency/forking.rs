//! `forking`: a child process for each request. A crash, a leak or a blown stack stays in the child.

use std::io;
use std::time::Instant;

use crate::concurrency::{Model, Unit};
use crate::options::Options;
use crate::request;
use crate::sys::fork::{self, Threads};

/// How many children there may be at once, as in Python: F57.
const MAX_CHILDREN: usize = 40;

/// Runs each request in a child process; refuses to while this process has other threads.
///
/// The accept loop watches the children by their descriptors (pidfd) and reaps only those.
#[derive(Clone, Copy, Debug, Default)]
pub struct Forking;

/// [`Forking`] without the check for other threads: `unsafe(forking)` in the attribute.
///
/// The promise that the word makes: whatever lock or state another thread may be in the middle of, at any moment, the
/// handler does not need it. The allocator of glibc is safe in that respect; most other libraries are not.
#[derive(Clone, Copy, Debug, Default)]
pub struct UncheckedForking;

macro_rules! forking {
    ($($ty:ty: $threads:expr;)*) => {$(
        impl<H> Model<H> for $ty {
            fn dispatch(&mut self, unit: Unit<H>) -> Result<(), Unit<H>> {
                unit.move_to_child($threads) // Of a model that wraps this one: `admit` makes the handler in the child.
            }

            fn drain(&mut self, _until: Instant) {}

            fn configure(&mut self, options: &Options) -> io::Result<()> {
                // Before the server's own memory is taken, so that what is written at each request lies in fewer pages: a
                // fork makes the parent copy those.
                request::warm(options.rbufsize);
                fork::check($threads)
            }

            fn most(&self, options: &Options) -> Option<usize> {
                Some(options.max_children.unwrap_or(MAX_CHILDREN))
            }

            fn admit(&mut self, unit: Unit<H>, prototype: &H) -> Result<(), Unit<H>>
            where
                H: Clone,
            {
                unit.run_in_child($threads, prototype)
            }
        }
    )*};
}
forking! {
    Forking: Threads::Refuse;
    UncheckedForking: Threads::Allow;
}
