//! The hooks of a server with their defaults, and how they are found.

use std::io;
use std::marker::PhantomData;

use crate::address::Address;
use crate::error::{RequestError, report};
use crate::listener::Incoming;

/// What a server asks its handler beside the requests themselves: F32 to F43, with Python's meaning.
///
/// Those that take `&self` run on the prototype in the accepting unit. Write them into the `impl` block under
/// `#[server(...)]`, or implement this trait: for a generic handler with the bounds that stand under the attribute. A panic
/// in any of them is caught and reported, and the server goes on.
///
/// # Examples
///
/// ```
/// use sockserv::prelude::*;
///
/// #[derive(Clone)]
/// struct Local;
///
/// #[server(tcp, threading, addr = "127.0.0.1:0")]
/// impl Local {
///     fn verify_request(&self, peer: &Address) -> bool {
///         peer.as_inet().is_some_and(|peer| peer.ip().is_loopback())
///     }
///
///     fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
///         stream.wfile.write_all(b"welcome\n")
///     }
/// }
/// # let mut text = String::new();
/// # LocalServer::bind(Local)?.spawn()?.connect()?.read_to_string(&mut text)?;
/// # assert_eq!(text, "welcome\n");
/// # Ok::<(), io::Error>(())
/// ```
pub trait Hooks {
    /// Returns whether to serve this peer. If not, the request is closed: no handler, no error, and no lost bytes.
    fn verify_request(&self, peer: &Address, incoming: &Incoming) -> bool {
        let _ = (peer, incoming);
        true
    }

    /// Is told what went wrong in a request, once, on the request's own handler value and in its own unit; on a clone of
    /// the prototype where there is none. After a panic the handler's state may be half-changed.
    ///
    /// The default writes one line to stderr (through `log` with that feature), at most ten a second of all processes
    /// together, and nothing if the peer merely left.
    fn handle_error(&mut self, error: &RequestError, peer: &Address) {
        report(error, peer);
    }

    /// Runs when `handle_request` has waited for `accept_timeout`.
    fn handle_timeout(&self) {}

    /// Runs after each wake-up of `serve_forever`, and every `service_interval` if that is set.
    fn service_actions(&self) {}

    /// Has the last word on each socket before it is bound.
    ///
    /// # Errors
    ///
    /// Ends the bind.
    fn server_bind(&self, socket: &socket2::Socket) -> io::Result<()> {
        let _ = socket;
        Ok(())
    }

    /// Has the last word on each socket before it listens.
    ///
    /// # Errors
    ///
    /// Ends the activation.
    fn server_activate(&self, socket: &socket2::Socket) -> io::Result<()> {
        let _ = socket;
        Ok(())
    }

    /// Runs once in each worker of `pool` and `prefork`, on that worker's own prototype, before its first request: a
    /// connection to a database, say, that all requests of the worker share.
    ///
    /// # Errors
    ///
    /// Under `pool` ends the server's start; under `prefork` ends the worker, which is started anew a while later.
    fn worker_start(&mut self, worker: usize) -> io::Result<()> {
        let _ = worker;
        Ok(())
    }
}

/// The hooks of one handler type, as functions: also for a type that implements none.
pub struct HookTable<H> {
    pub(crate) verify_request: Option<fn(&H, &Address, &Incoming) -> bool>,
    pub(crate) handle_error: fn(&mut H, &RequestError, &Address),
    pub(crate) handle_timeout: fn(&H),
    pub(crate) service_actions: fn(&H),
    pub(crate) server_bind: fn(&H, &socket2::Socket) -> io::Result<()>,
    pub(crate) server_activate: fn(&H, &socket2::Socket) -> io::Result<()>,
    pub(crate) worker_start: fn(&mut H, usize) -> io::Result<()>,
}

/// Finds out whether a type implements [`Hooks`]: the method of this type itself, which needs that, wins over the trait's.
///
/// A generic handler is asked about while its parameters are open, as `Session<_>`: so every `impl Hooks for Session` counts,
/// and one that leaves out some of the sessions to serve is an error. `W`, the type of a bare `0`, is open as well until the
/// function is done: until then the compiler chooses no impl, which would choose the parameters, too.
#[derive(Debug)]
pub struct HookProbe<H, W = i32>(PhantomData<fn() -> (H, W)>);

impl<H, W> Default for HookProbe<H, W> {
    fn default() -> Self {
        Self::new()
    }
}

impl<H, W> HookProbe<H, W> {
    /// Makes one.
    #[must_use]
    pub fn new() -> Self {
        Self(PhantomData)
    }
}

impl<H: Hooked<W>, W> HookProbe<H, W> {
    /// Returns the type's own hooks.
    #[must_use]
    pub fn table(&self) -> HookTable<H> {
        HookTable {
            verify_request: Some(H::verify_request),
            handle_error: H::handle_error,
            handle_timeout: H::handle_timeout,
            service_actions: H::service_actions,
            server_bind: H::server_bind,
            server_activate: H::server_activate,
            worker_start: H::worker_start,
        }
    }
}

/// What has [`Hooks`]: in two ways, so that an open `W` leaves it open which.
#[diagnostic::on_unimplemented(
    message = "`impl Hooks` does not cover every `{Self}`",
    label = "each of these is served, some without their hooks",
    note = "give `impl Hooks` and the item under `#[server(...)]` the same type parameters with the same bounds"
)]
pub trait Hooked<W>: Hooks {}

impl<H: Hooks> Hooked<i32> for H {}

impl<H: Hooks> Hooked<u32> for H {}

/// The hooks of a type that implements none.
pub trait NoHooks<H> {
    /// Returns the defaults.
    fn table(&self) -> HookTable<H>;
}

impl<H, W> NoHooks<H> for HookProbe<H, W> {
    fn table(&self) -> HookTable<H> {
        HookTable {
            verify_request: None,
            handle_error: |_, error, peer| report(error, peer),
            handle_timeout: |_| (),
            service_actions: |_| (),
            server_bind: |_, _| Ok(()),
            server_activate: |_, _| Ok(()),
            worker_start: |_, _| Ok(()),
        }
    }
}

// By hand: a derive would ask for `H: Copy`, and only functions are copied.
impl<H> Clone for HookTable<H> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<H> Copy for HookTable<H> {}

impl<H> std::fmt::Debug for HookTable<H> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HookTable").finish_non_exhaustive()
    }
}
