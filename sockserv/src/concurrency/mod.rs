//! How requests meet threads and processes: [`Model`], what it is given ([`Unit`]), and the models themselves.

pub(crate) mod crew;
pub(crate) mod forking;
pub(crate) mod life;
pub(crate) mod parking;
pub(crate) mod pool;
pub(crate) mod prefork;
pub(crate) mod synchronous;
pub(crate) mod threading;
pub(crate) mod unit;

use std::time::Instant;

pub use forking::{Forking, UncheckedForking};
pub use pool::Pool;
pub use prefork::{Prefork, UncheckedPrefork};
pub use synchronous::Synchronous;
pub use threading::Threading;
pub(crate) use unit::Lent;
pub use unit::Unit;

use crate::options::Options;

/// The hook `worker_start`.
pub(crate) type WorkerStart<H> = fn(&mut H, usize) -> std::io::Result<()>;

/// Decides where and when each request runs: Python's `process_request`, F37. The models of this crate use the same door,
/// and some hidden methods besides.
///
/// # Examples
///
/// A model that runs each request in a thread of its own, without any limit, named in the attribute:
///
/// ```
/// use std::thread::JoinHandle;
/// use std::time::Instant;
///
/// use sockserv::prelude::*;
/// use sockserv::{Model, Unit};
///
/// #[derive(Default)]
/// struct Spawning {
///     threads: Vec<JoinHandle<()>>,
/// }
///
/// impl<H: Send + 'static> Model<H> for Spawning {
///     fn dispatch(&mut self, unit: Unit<H>) -> Result<(), Unit<H>> {
///         self.threads.retain(|thread| !thread.is_finished());
///         self.threads.push(std::thread::spawn(move || unit.run()));
///         Ok(())
///     }
///
///     fn drain(&mut self, _until: Instant) {
///         self.threads.drain(..).for_each(|thread| drop(thread.join()));
///     }
/// }
///
/// #[derive(Clone)]
/// struct Hello;
///
/// #[server(tcp, model = Spawning, addr = "127.0.0.1:0")]
/// impl Hello {
///     fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
///         stream.wfile.write_all(b"hello\n")
///     }
/// }
///
/// let mut text = String::new();
/// HelloServer::bind(Hello)?.spawn()?.connect()?.read_to_string(&mut text)?;
/// assert_eq!(text, "hello\n");
/// # Ok::<(), io::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot run requests of `{H}`",
    label = "this model cannot run `{H}`",
    note = "a model is a type with `impl Model<{H}>`; `threading` and `pool` need a handler that is `Send + 'static`, `sync`, `forking` and `prefork` take any"
)]
pub trait Model<H> {
    /// Runs a request, now or later, here or elsewhere, by [`Unit::run`].
    ///
    /// # Errors
    ///
    /// Gives the request back if it cannot run: it is closed, and reported in phase `dispatch`
    /// with the reason that [`Unit::refuse`] was told.
    fn dispatch(&mut self, unit: Unit<H>) -> Result<(), Unit<H>>;

    /// Ends what the model itself keeps (idle threads, say), at the end of a run of the server. Requests have ended by then,
    /// or were left behind; what takes longer than `until` is to be left behind too.
    fn drain(&mut self, until: Instant);

    /// Learns the options before the first request.
    ///
    /// # Errors
    ///
    /// Ends the bind.
    fn configure(&mut self, options: &Options) -> std::io::Result<()> {
        let _ = options;
        Ok(())
    }

    /// How many requests it can run at once, if it is the model that limits them.
    #[doc(hidden)]
    fn most(options: &Options) -> Option<usize>
    where
        Self: Sized,
    {
        let _ = options;
        None
    }

    /// How many threads and how many processes it makes, at most.
    #[cfg(feature = "cli")]
    #[doc(hidden)]
    fn tasks(options: &Options) -> (usize, usize)
    where
        Self: Sized,
    {
        let _ = options;
        (0, 0)
    }

    /// Whether worker processes run the accept loop: what only they need is left out of other servers.
    #[doc(hidden)]
    const HAS_WORKERS: bool = false;

    /// How many workers there are, if the model has them.
    #[doc(hidden)]
    fn workers(options: &Options) -> usize
    where
        Self: Sized,
    {
        let _ = options;
        0
    }

    /// Whether it may fork while the process has other threads.
    #[doc(hidden)]
    fn forks_beside_threads() -> bool
    where
        Self: Sized,
    {
        false
    }

    /// Starts what the model keeps from its first request on; harmless when it has started.
    ///
    /// # Errors
    ///
    /// What keeps a worker from starting.
    #[doc(hidden)]
    fn start(&mut self, prototype: &H, worker_start: WorkerStart<H>) -> std::io::Result<()>
    where
        H: Clone,
    {
        let _ = (prototype, worker_start);
        Ok(())
    }

    /// Whether it can take another request of the kind now.
    #[doc(hidden)]
    fn has_room(&self, is_stream: bool) -> bool {
        let _ = is_stream;
        true
    }

    /// Lets begin what was [admitted](Self::admit) since: before the accept loop waits, and after each of its turns.
    #[doc(hidden)]
    fn hand_over(&mut self) {}

    /// Does what is due, after each turn of the accept loop.
    #[doc(hidden)]
    fn tend(&mut self) {}

    /// When [`tend`](Self::tend) has something to do: on [`Tick`](crate::sys::clock::Tick)'s clock.
    #[doc(hidden)]
    fn next_due(&self) -> Option<u64> {
        None
    }

    /// Takes a request that has no handler yet. The default gives it a clone of the prototype and dispatches it.
    ///
    /// `stays`: whether the accept loop goes on by itself, so that the request may wait for its peer outside of it.
    #[doc(hidden)]
    fn admit(&mut self, mut unit: Unit<H>, prototype: &H, stays: bool) -> Result<(), Unit<H>>
    where
        H: Clone,
    {
        let _ = stays;
        if !unit.clone_handler(prototype) {
            return Err(unit);
        }
        self.dispatch(unit)
    }
}
