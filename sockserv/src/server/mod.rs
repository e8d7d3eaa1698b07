//! [`Server`]: bind, activate, serve, drain. The loop itself is in `turn.rs`, its end in `end.rs`.

mod accept;
#[cfg(feature = "admin")]
mod admin;
pub(crate) mod builder;
pub(crate) mod declare;
mod end;
mod linger;
mod open;
mod operator;
#[cfg(feature = "rpc")]
mod registered;
mod senders;
pub(crate) mod several;
mod source;
pub(crate) mod spawn;
mod status;
mod turn;
#[cfg(feature = "upgrade")]
mod upgrade;
#[cfg(not(feature = "upgrade"))]
#[path = "no_upgrade.rs"]
mod upgrade;
mod workers;

use std::collections::VecDeque;
use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

use crate::address::{Address, Endpoint};
use crate::concurrency::Model;
use crate::concurrency::life::report_on_clone;
use crate::error::{Phase, RequestError};
use crate::guard::guard_value;
use crate::handler::Methods;
use crate::hooks::HookTable;
use crate::listener::Incoming;
use crate::listener::place::is_listening;
use crate::requests::{Requests, ServerHandle};
use crate::signals::{Heeded, Signals, Targets};
use crate::sys::clock::Tick;
use crate::sys::poller::Timer;
use builder::Builder;
use declare::Declaration;
use linger::Lingering;
use operator::Operator;
use senders::Senders;
use source::Source;

/// The poller's tokens for what every server has; its listeners follow.
const WAKE: u64 = 0;
const TIMER: u64 = 1;
/// What all processes of a server with workers are woken by.
const BELL: u64 = 2;
/// What tells a worker that the server ends.
const LIFE: u64 = 3;
/// What the process says that is to take over, or the one that is to be taken over from.
const UPGRADE: u64 = 4;
const FIRST_LISTENER: u64 = 16;

/// How often `service_actions` runs at most, whatever `service_interval` says: with none at all the loop would spin.
const SHORTEST: Duration = Duration::from_millis(1);

/// A server for one handler type. `#[server(...)]` wraps it in a struct of its own, which dereferences to this.
///
/// It owns its sockets: they are closed, and own Unix paths removed, when it is dropped.
pub struct Server<H: Declaration> {
    prototype: H,
    model: H::Model,
    methods: Methods<H>,
    hooks: HookTable<H>,
    requests: Arc<Requests>,
    sources: Vec<Source>,
    /// The token of the listener that had a request last.
    latest: u64,
    addrs: Vec<Address>,
    announced: Vec<Endpoint>,
    state: State,
    /// Requests that are welcome and wait for a place in the table.
    pending: VecDeque<(Incoming, Address)>,
    lingering: Lingering,
    /// Senders that wait until their sockets take more, by token.
    senders: Senders,
    /// When to look at the deadlines of live requests.
    next_look: Option<Tick>,
    /// When `service_actions` is due without a request.
    next_service: Option<Tick>,
    draining: Option<end::Draining>,
    /// Addresses of sockets that somebody else opened.
    inherited: Vec<Address>,
    /// Given up to shed clients when nothing else can free a descriptor.
    spare: Option<File>,
    timer: Timer,
    timer_is_set: bool,
    ready: Vec<u64>,
    handles_signals: bool,
    upgrade: upgrade::Upgrade,
    /// Whether the loop goes on by itself: not for one `handle_request`.
    stays: bool,
    /// The workers, where they accept.
    workers: Option<workers::Workers>,
    /// What this process counts as a worker.
    shift: workers::Shift,
    #[cfg(feature = "admin")]
    admin: Option<admin::Admin>,
}

/// Where a server stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Its sockets have names.
    Bound,
    /// They listen.
    Active,
    /// A run is over, and the listeners are closed.
    Ended,
}

impl<H: Declaration> Server<H> {
    /// Binds and activates at the attribute's addresses, or takes the sockets that systemd handed over, where they fit.
    ///
    /// # Errors
    ///
    /// What keeps it from listening, with the address in the text.
    pub fn bind(handler: H) -> io::Result<Self> {
        Builder::<H, Self>::new(handler).bind()
    }

    /// Binds and activates at another place than the attribute's.
    ///
    /// # Errors
    ///
    /// As for [`bind`](Self::bind), or what is wrong with the endpoint.
    pub fn bind_to<A>(at: A, handler: H) -> io::Result<Self>
    where
        A: TryInto<Endpoint, Error: Into<Box<dyn std::error::Error + Send + Sync>>>,
    {
        let at = at
            .try_into()
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        Builder::<H, Self>::new(handler).addr(at).bind()
    }

    /// Starts to listen on what is bound. Harmless when it listens already.
    ///
    /// # Errors
    ///
    /// What `server_activate` or listen(2) says.
    pub fn activate(&mut self) -> io::Result<()> {
        if self.state != State::Bound {
            return Ok(());
        }
        for place in self
            .sources
            .iter()
            .filter_map(|source| source.listener.place())
        {
            ask(|| (self.hooks.server_activate)(&self.prototype, &place.socket))?;
            if !is_listening(&*place.socket) {
                place.activate(&self.requests.options)?;
            }
        }
        if self.spare.is_none() {
            self.spare = File::open("/dev/null").ok(); // Without one, nothing is shed: the listener pauses.
        }
        self.state = State::Active;
        self.watch_sources()
    }

    /// Returns the first address it listens at, with the real port.
    ///
    /// # Panics
    ///
    /// Never: a server has at least one listener.
    #[must_use]
    pub fn local_addr(&self) -> &Address {
        &self.addrs[0]
    }

    /// Returns all addresses it listens at, in the order of the transports, then of the addresses.
    #[must_use]
    pub fn local_addrs(&self) -> &[Address] {
        &self.addrs
    }

    /// Returns a way to reach this server from anywhere.
    #[must_use]
    pub fn handle(&self) -> ServerHandle {
        ServerHandle {
            requests: Arc::clone(&self.requests),
        }
    }

    /// Accepts and dispatches one request, as Python's `handle_request` does: F28.
    ///
    /// Returns `false` if there was something else to do: a child ended, a shutdown was asked for, `accept_timeout` ran out
    /// (after `handle_timeout`). A refused peer counts as served.
    ///
    /// # Errors
    ///
    /// What made a listener unusable.
    ///
    /// # Examples
    ///
    /// Several servers in one thread, by their descriptors (F71):
    ///
    /// ```
    /// use rustix::event::{PollFd, PollFlags, poll};
    /// use sockserv::prelude::*;
    ///
    /// #[derive(Clone)]
    /// struct Hello;
    ///
    /// #[server(tcp, addr = "127.0.0.1:0")]
    /// impl Hello {
    ///     fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
    ///         stream.wfile.write_all(b"hello\n")
    ///     }
    /// }
    ///
    /// let mut servers = [HelloServer::bind(Hello)?, HelloServer::bind(Hello)?];
    /// let client = std::net::TcpStream::connect(servers[1].local_addr().as_inet().unwrap())?;
    /// let ready = {
    ///     let mut fds = [PollFd::new(&servers[0], PollFlags::IN), PollFd::new(&servers[1], PollFlags::IN)];
    ///     poll(&mut fds, None)?;
    ///     fds.each_ref().map(|fd| !fd.revents().is_empty())
    /// };
    /// assert_eq!(ready, [false, true]);
    /// assert!(servers[1].handle_request()?);
    /// assert_eq!(io::read_to_string(client)?, "hello\n");
    /// # Ok::<(), io::Error>(())
    /// ```
    pub fn handle_request(&mut self) -> io::Result<bool> {
        self.prepare()?;
        let until = self
            .requests
            .options
            .accept_timeout
            .map(|timeout| Tick::now().after(timeout));
        let served = loop {
            if self.requests.is_draining() {
                self.requests.wake.clear();
                break false;
            }
            let turn = self.turn(until, turn::Most::One)?;
            if turn.served || turn.other {
                break turn.served;
            }
            if until.is_some_and(|until| until <= Tick::now()) {
                self.hook(|hooks, prototype| (hooks.handle_timeout)(prototype));
                break false;
            }
        };
        self.settle()?;
        Ok(served)
    }

    /// Serves until a shutdown is asked for, then drains: closes the listeners, tells the requests, and returns when the
    /// last one has ended or `shutdown_grace` is over.
    ///
    /// What goes wrong inside a request goes to [`handle_error`](crate::Hooks::handle_error) and does not end the server.
    /// May be called again: it then binds the same addresses anew. What became of the requests is in
    /// [`handle().report()`](ServerHandle::report).
    ///
    /// # Errors
    ///
    /// What made a listener unusable, after the drain.
    ///
    /// # Examples
    ///
    /// ```
    /// use sockserv::prelude::*;
    ///
    /// #[derive(Clone)]
    /// struct Once;
    ///
    /// #[server(tcp, addr = "127.0.0.1:0")]
    /// impl Once {
    ///     fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
    ///         stream.server().shutdown();
    ///         stream.wfile.write_all(b"closing time\n")
    ///     }
    /// }
    ///
    /// let mut server = OnceServer::bind(Once)?;
    /// let client = std::net::TcpStream::connect(server.local_addr().as_inet().unwrap())?;
    /// server.serve_forever()?;
    /// assert_eq!(io::read_to_string(client)?, "closing time\n");
    /// # Ok::<(), io::Error>(())
    /// ```
    pub fn serve_forever(&mut self) -> io::Result<()> {
        self.prepare()?;
        self.serve_for(&mut Operator::default())
    }

    /// Serves and drains; the operator hears of both.
    fn serve_for(&mut self, operator: &mut Operator) -> io::Result<()> {
        let result = self.serve(operator);
        self.drain(end::Last::Served, operator);
        result
    }

    /// Makes ready to accept on this thread.
    fn prepare(&mut self) -> io::Result<()> {
        if self.state == State::Ended {
            self.reopen()?;
        }
        self.activate()?;
        self.requests.accept_here();
        self.check_forks()?; // Threads may have come since the bind.
        self.model.start(&self.prototype, self.hooks.worker_start)?;
        self.warm();
        if cfg!(panic = "abort") {
            static ONCE: std::sync::Once = std::sync::Once::new();
            ONCE.call_once(|| {
                crate::error::note(
                    "built with panic = \"abort\": a panic in a handler ends the whole process",
                )
            });
        }
        Ok(())
    }

    fn serve(&mut self, operator: &mut Operator) -> io::Result<()> {
        while !self.is_over() {
            self.serve_turn(operator.due())?;
            operator.tend();
        }
        Ok(())
    }

    fn is_over(&self) -> bool {
        self.requests.is_draining() || self.is_exhausted() || self.are_workers_exhausted()
    }

    /// Does what the first request would do first, so that a child need not: each would find out anew.
    fn warm(&self) {
        crate::request::warm(self.requests.options.rbufsize);
        let _ = memchr::memchr(b'\n', &[0; 64]); // It asks the processor what it can do.
    }

    /// One turn of `serve_forever`.
    fn serve_turn(&mut self, until: Option<Tick>) -> io::Result<()> {
        let interval = self.requests.options.service_interval;
        let interval = interval.filter(|_| !self.leaves_it_to_workers());
        let interval = interval.map(|interval| interval.max(SHORTEST));
        let due = self
            .next_service
            .or_else(|| interval.map(|interval| Tick::now().after(interval)));
        self.turn([until, due].into_iter().flatten().min(), turn::Most::Many)?;
        if !self.leaves_it_to_workers() {
            self.hook(|hooks, prototype| (hooks.service_actions)(prototype));
        }
        self.next_service = due.filter(|&due| due > Tick::now());
        Ok(())
    }

    /// Serves as a program does: says where it listens, drains at SIGINT or SIGTERM, cuts at the second one.
    ///
    /// | signal | |
    /// |---|---|
    /// | SIGHUP | reloads: observers are told [`Event::Reload`](crate::observer::Event::Reload), `prefork` renews its workers. Left alone if there is neither, nor a service manager: then a terminal that closes ends the server |
    /// | SIGUSR1 | writes a report to stderr: where it listens, its numbers and limits, its live requests, the oldest first. Left alone if the application handles it |
    ///
    /// The signals are as before when it returns. Under `sync` SIGHUP is heeded between two requests.
    ///
    /// A service manager that wants to be told (`NOTIFY_SOCKET`, sd_notify(3)) is: `READY=1` when the server listens and
    /// the workers of `prefork` have started, `STATUS=` with numbers, `RELOADING=1` and `READY=1` around a reload
    /// (`Type=notify-reload`), `STOPPING=1`, and `WATCHDOG=1` in time if the unit has `WatchdogSec=`. The accept loop does
    /// that itself, so under `sync` a request must be shorter than the watchdog's patience, and so must 32 packets together,
    /// which it may take at once.
    ///
    /// # Errors
    ///
    /// As [`serve_forever`](Self::serve_forever), or that requests had to be cut, with their peers in the text.
    pub fn run(mut self) -> io::Result<()> {
        self.prepare()?;
        let mut operator = Operator::new(vec![Arc::clone(&self.requests)], self.announced.iter());
        let heeded = Heeded {
            reloads: operator.reloads(),
            upgrades: self.wants_upgrades(),
        };
        let signals = Signals::handle(&[self.targets()], heeded)?;
        self.handles_signals = true;
        self.announce();
        operator.tend();
        let result = self.serve_for(&mut operator);
        drop(signals);
        result.and_then(|()| self.verdict())
    }

    fn targets(&self) -> Targets {
        let (wake, life, over) = self.requests.signalled();
        Targets::new(wake, life.unwrap_or(-1), over)
    }

    fn announce(&self) {
        if self.requests.options.announce {
            let line = |at: &Endpoint| format!("listening on {at}\n");
            let lines: String = self.announced.iter().map(line).collect();
            #[cfg(feature = "admin")]
            let lines = lines + &self.admin_lines();
            let mut stdout = io::stdout().lock();
            // Who closed stdout does not want to know.
            let _ = stdout
                .write_all(lines.as_bytes())
                .and_then(|()| stdout.flush());
        }
    }

    /// A drain that cut requests is no success.
    fn verdict(&self) -> io::Result<()> {
        match self.handle().report() {
            Some(report) if report.cut() > 0 => Err(io::Error::other(format!(
                "the shutdown cut requests: {report}"
            ))),
            _ => Ok(()),
        }
    }

    /// Runs a hook that concerns no request.
    fn hook(&self, call: impl FnOnce(&HookTable<H>, &H)) {
        if let Err(error) = guard_value(Phase::Hook, || call(&self.hooks, &self.prototype)) {
            self.requests.failed(None, &error, &Address::Unnamed);
            self.report(&error, &Address::Unnamed);
        }
    }

    /// Tells `handle_error` on a clone of the prototype, for a request that has no handler.
    fn report(&self, error: &RequestError, peer: &Address) {
        report_on_clone(&self.prototype, self.hooks.handle_error, error, peer);
    }
}

/// Asks a hook whose error ends the step; its panic does, too.
fn ask(hook: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    guard_value(Phase::Hook, hook).map_err(io::Error::other)?
}

impl<H: Declaration> AsFd for Server<H> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.requests.poller.as_fd()
    }
}

impl<H: Declaration> AsRawFd for Server<H> {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl<H: Declaration> Drop for Server<H> {
    /// Closes the listeners. Requests that are alive, after a loop of `handle_request`, are drained as at a shutdown.
    fn drop(&mut self) {
        if !self.requests.is_child() && self.state != State::Ended {
            self.requests.shutdown();
            self.drain(end::Last::Dropped, &mut Operator::default());
        }
    }
}

impl<H: Declaration> fmt::Debug for Server<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("addrs", &self.addrs)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}
