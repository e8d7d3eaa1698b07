//! How requests meet threads and processes: [`Model`], what it is given ([`Unit`]), and the models themselves.

pub(crate) mod forking;
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
pub use unit::Unit;

use crate::options::Options;

/// Decides where and when each request runs: Python's `process_request`, F37. The models of this crate use the same door.
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
    note = "a model is a type with `impl Model<{H}>`; `threading` needs a handler that is `Send + 'static`, `sync` and `forking` take any"
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

    /// Takes a request that has no handler yet. The default gives it a clone of the prototype and dispatches it.
    #[doc(hidden)]
    fn admit(&mut self, mut unit: Unit<H>, prototype: &H) -> Result<(), Unit<H>>
    where
        H: Clone,
    {
        if !unit.clone_handler(prototype) {
            return Err(unit);
        }
        self.dispatch(unit)
    }
}
