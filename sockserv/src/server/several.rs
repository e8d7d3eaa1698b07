//! Several servers in one thread, by their descriptors, under one set of signals.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use crate::address::Endpoint;
use crate::requests::Requests;
use crate::server::Server;
use crate::server::declare::Declaration;
use crate::server::end::Last;
use crate::server::operator::Operator;
use crate::server::turn::Most;
use crate::signals::{Heeded, Signals, Targets};
use crate::sys::clock::Tick;
use crate::sys::poller::timespec;

/// A server that `#[server(...)]` made.
pub trait Serve {
    /// What it wraps: a [`Server`] for its handler.
    type Server;

    /// Returns what it wraps.
    fn into_server(self) -> Self::Server;
}

/// Several servers: a tuple of up to eight.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no tuple of servers",
    label = "not several servers",
    note = "write `sockserv::run((a, b))` with up to eight of them; one alone has `run`"
)]
pub trait Several {
    #[doc(hidden)]
    fn into_each<'a>(self) -> Vec<Box<dyn Each + 'a>>
    where
        Self: 'a;
}

/// Runs several servers in this thread as [`Server::run`] runs one: all say where they listen, and all drain at SIGINT or
/// SIGTERM. A server that is shut down by its own handle ends alone.
///
/// What a `sync` handler waits for, the other servers wait for too; under the other models they do not.
///
/// # Errors
///
/// The first error of any of them, when all have ended.
///
/// # Examples
///
/// ```
/// # use sockserv::prelude::*;
/// # #[derive(Clone)] struct Echo;
/// # #[server(tcp, threading, addr = "127.0.0.1:0")] impl Echo { fn handle(&mut self, _: &mut Stream) {} }
/// # #[derive(Clone)] struct Time;
/// # #[server(udp, addr = "127.0.0.1:0")] impl Time { fn handle(&mut self, _: &mut Datagram) {} }
/// # fn main() -> io::Result<()> {
/// let (echo, time) = (EchoServer::bind(Echo)?, TimeServer::bind(Time)?);
/// # echo.handle().shutdown();
/// # time.handle().shutdown();
/// sockserv::run((echo, time))
/// # }
/// ```
pub fn run(servers: impl Several) -> io::Result<()> {
    let mut servers = servers.into_each();
    servers.iter_mut().try_for_each(|server| server.prepare())?;
    servers.iter_mut().try_for_each(|server| server.start())?;
    let targets: Vec<Targets> = servers.iter().map(|server| server.targets()).collect();
    let requests = servers.iter().map(|server| server.requests()).collect();
    let listeners = servers.iter().flat_map(|server| server.listeners());
    let mut operator = Operator::new(requests, listeners);
    let heeded = Heeded {
        reloads: operator.reloads(),
        upgrades: servers.iter().any(|server| server.upgrades()),
    };
    let signals = Signals::handle(&targets, heeded)?;
    servers.iter().for_each(|server| server.announce());
    operator.tend();
    let mut result = Ok(());
    let mut live: Vec<usize> = (0..servers.len()).collect();
    while !live.is_empty() {
        wait(&servers, &live, operator.due())?;
        live.retain(|&index| {
            let server = &mut servers[index];
            let ended = server.step().unwrap_or_else(|error| {
                if result.is_ok() {
                    result = Err(error);
                }
                server.give_up()
            });
            !ended
        });
        operator.tend();
    }
    drop(signals);
    servers.iter().fold(result, |result, server| {
        result.and_then(|()| server.verdict())
    })
}

/// Waits until one of them has something to do.
fn wait(servers: &[Box<dyn Each + '_>], live: &[usize], due: Option<Tick>) -> io::Result<()> {
    let dues = live.iter().filter_map(|&index| servers[index].due());
    let due = dues.chain(due).min();
    let mut fds: Vec<_> = live
        .iter()
        .map(|&index| PollFd::from_borrowed_fd(servers[index].fd(), PollFlags::IN))
        .collect();
    match poll(&mut fds, due.map(|due| timespec(due.left())).as_ref()) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// One of several servers, without its type.
#[doc(hidden)]
pub trait Each {
    #[doc(hidden)]
    fn prepare(&mut self) -> io::Result<()>;
    /// When all are prepared, and their threads there.
    #[doc(hidden)]
    fn start(&mut self) -> io::Result<()>;
    #[doc(hidden)]
    fn announce(&self);
    #[doc(hidden)]
    #[allow(private_interfaces, reason = "hidden, and implemented here alone")]
    fn requests(&self) -> Arc<Requests>;
    #[doc(hidden)]
    fn listeners(&self) -> &[Endpoint];
    #[doc(hidden)]
    fn upgrades(&self) -> bool;
    #[doc(hidden)]
    #[allow(private_interfaces, reason = "hidden, and implemented here alone")]
    fn targets(&self) -> Targets;
    #[doc(hidden)]
    fn fd(&self) -> BorrowedFd<'_>;
    #[doc(hidden)]
    #[allow(private_interfaces, reason = "hidden, and implemented here alone")]
    fn due(&self) -> Option<Tick>;
    /// Does what is to be done, without waiting; returns whether the server has ended.
    #[doc(hidden)]
    fn step(&mut self) -> io::Result<bool>;
    /// Begins to drain after an error of `step`, which goes on with it; returns whether the server has ended.
    #[doc(hidden)]
    fn give_up(&mut self) -> bool;
    #[doc(hidden)]
    fn verdict(&self) -> io::Result<()>;
}

#[allow(private_interfaces, reason = "hidden, and implemented here alone")]
impl<H: Declaration> Each for Server<H> {
    fn prepare(&mut self) -> io::Result<()> {
        Server::prepare(self)
    }

    fn start(&mut self) -> io::Result<()> {
        self.check_forks()?;
        self.handles_signals = true;
        self.stays = true;
        self.see_to_workers(); // Nothing else would wake the loop for them, or for the next.
        self.see_to_predecessor();
        Ok(())
    }

    fn announce(&self) {
        Server::announce(self);
    }

    fn requests(&self) -> Arc<Requests> {
        Arc::clone(&self.requests)
    }

    fn listeners(&self) -> &[Endpoint] {
        &self.announced
    }

    fn upgrades(&self) -> bool {
        self.wants_upgrades()
    }

    fn targets(&self) -> Targets {
        Server::targets(self)
    }

    fn fd(&self) -> BorrowedFd<'_> {
        self.as_fd()
    }

    fn due(&self) -> Option<Tick> {
        let must_ask = self.must_ask().then(Tick::coarse);
        [self.next_due(), self.next_service, must_ask]
            .into_iter()
            .flatten()
            .min()
    }

    fn step(&mut self) -> io::Result<bool> {
        if self.is_draining() {
            self.turn(Some(Tick::coarse()), Most::Many)?;
        } else {
            self.serve_turn(Some(Tick::coarse()))?;
            if self.is_over() {
                self.begin_drain(Last::Served);
            }
        }
        Ok(self.is_draining() && self.end_if_drained())
    }

    fn give_up(&mut self) -> bool {
        if self.is_draining() {
            self.end_drain(); // A poll set that fails leaves nothing to wait with.
            return true;
        }
        self.begin_drain(Last::Served);
        self.end_if_drained()
    }

    fn verdict(&self) -> io::Result<()> {
        Server::verdict(self)
    }
}

impl<H: Declaration> Server<H> {
    fn end_if_drained(&mut self) -> bool {
        let ended = self.is_drained();
        if ended {
            self.end_drain();
        }
        ended
    }
}

macro_rules! tuples {
    ($($($name:ident)+;)*) => {$(
        impl<$($name: Serve<Server: Each>),+> Several for ($($name,)+) {
            #[allow(non_snake_case, reason = "each server is named as its type")]
            fn into_each<'a>(self) -> Vec<Box<dyn Each + 'a>>
            where
                Self: 'a,
            {
                let ($($name,)+) = self;
                vec![$(Box::new($name.into_server())),+]
            }
        }
    )*};
}
tuples! {
    A;
    A B;
    A B C;
    A B C D;
    A B C D E;
    A B C D E F;
    A B C D E F G;
    A B C D E F G I;
}
