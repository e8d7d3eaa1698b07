//! [`Unit`]: one accepted request on its way, and the whole life cycle that it runs.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use crate::address::Address;
use crate::children::Kept;
use crate::error::{Phase, RequestError};
use crate::guard::{guard, guard_value};
use crate::handler::{Calls, Methods};
use crate::hooks::HookTable;
use crate::listener::packets::Packet;
use crate::listener::{Incoming, Kind};
use crate::request::datagram::Datagram;
use crate::request::link::Link;
use crate::request::stream::{Elsewhere, Stream};
use crate::request::Live;
use crate::requests::{Ended, Ticket};
use crate::sys::fork::{self, Threads};

/// One accepted request with its handler and its place in the table: what a [`Model`](crate::Model) runs.
///
/// It is `Send` if the handler is. Dropped without [`run`](Self::run), the request is closed.
pub struct Unit<H> {
    handler: Option<H>,
    request: Accepted,
    methods: Methods<H>,
    hooks: HookTable<H>,
    refusal: Option<RequestError>,
}

#[derive(Debug)]
enum Accepted {
    Stream(Arc<Link>),
    Packet(Box<KeptPacket>, Packet),
}

/// What a parent keeps of a packet that a child handles.
#[derive(Debug)]
struct KeptPacket {
    peer: Address,
    ticket: Ticket,
}

impl<H> Unit<H> {
    pub(crate) fn new(incoming: Incoming, peer: Address, ticket: Ticket, methods: Methods<H>, hooks: HookTable<H>) -> Self {
        let request = match incoming.kind {
            Kind::Stream { transport, local, inherits } => {
                Accepted::Stream(Arc::new(Link::new(transport, peer, local.into_inner(), inherits, ticket)))
            }
            Kind::Packet(packet) => Accepted::Packet(Box::new(KeptPacket { peer, ticket }), packet),
        };
        Self { handler: None, request, methods, hooks, refusal: None }
    }

    /// Returns the address of the other end.
    #[must_use]
    pub fn peer_addr(&self) -> &Address {
        match &self.request {
            Accepted::Stream(link) => &link.peer,
            Accepted::Packet(kept, _) => &kept.peer,
        }
    }

    /// Says why the request cannot run, before it is given back from [`dispatch`](crate::Model::dispatch).
    #[must_use]
    pub fn refuse(mut self, reason: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.refusal = Some(RequestError::new(Phase::Dispatch, reason));
        self
    }

    fn ticket(&self) -> &Ticket {
        match &self.request {
            Accepted::Stream(link) => link,
            Accepted::Packet(kept, _) => &kept.ticket,
        }
    }

    /// Gives the request a clone of the prototype; `false` if cloning panicked.
    pub(crate) fn clone_handler(&mut self, prototype: &H) -> bool
    where
        H: Clone,
    {
        self.ticket().slot().set_phase(Phase::Dispatch);
        match guard_value(Phase::Dispatch, || prototype.clone()) {
            Ok(handler) => self.handler = Some(handler),
            Err(error) => self.refusal = Some(error),
        }
        self.handler.is_some()
    }

    /// Closes a request that never ran; returns why.
    pub(crate) fn give_up(mut self) -> RequestError {
        self.ticket().end(Ended::Failed);
        if let Accepted::Stream(link) = &self.request {
            link.hang_up(false);
        }
        self.refusal.take().unwrap_or_else(|| RequestError::new(Phase::Dispatch, "the model did not take the request"))
    }

    /// Runs the whole life cycle: setup, handle, finish, the reply, `handle_error` if anything failed, and the end.
    ///
    /// Never panics: what panics in user's code is caught and reported.
    pub fn run(self) {
        let Self { handler: Some(handler), request, methods, hooks, .. } = self else { return };
        match request {
            Accepted::Stream(link) => {
                link.run_here();
                if let Some(calls) = methods.stream {
                    live(handler, Stream::new(link, &[], &[]), calls, hooks);
                }
            }
            Accepted::Packet(kept, packet) => {
                if let Some(calls) = methods.datagram {
                    live(handler, Datagram::new(packet, kept.peer, kept.ticket), calls, hooks);
                }
            }
        }
    }

    /// Runs the request in a child process; the parent keeps its place in the table.
    pub(crate) fn run_in_child(mut self, threads: Threads, prototype: &H) -> Result<(), Self>
    where
        H: Clone,
    {
        let requests = Arc::clone(&self.ticket().requests);
        match requests.fork(threads) {
            Err(error) => Err(self.refuse(error)),
            Ok(Some(child)) => {
                match self.request {
                    Accepted::Stream(link) => requests.watch(child, Box::new(link)),
                    Accepted::Packet(kept, _) => requests.watch(child, kept),
                }
                Ok(())
            }
            Ok(None) => {
                if self.clone_handler(prototype) {
                    self.run();
                } else {
                    let peer = self.peer_addr().clone();
                    crate::error::report(&self.give_up(), &peer);
                }
                fork::exit(0)
            }
        }
    }
}

/// The life of a request, the same for both kinds and in every model.
fn live<H, R: Live>(mut handler: H, mut request: R, calls: Calls<H, R>, hooks: HookTable<H>) {
    let mut failure = None;
    match step(&mut request, Phase::Setup, |request| (calls.setup)(&mut handler, request)) {
        Err(error) => failure = Some(error),
        Ok(()) => {
            let outcome = step(&mut request, Phase::Handle, |request| (calls.handle)(&mut handler, request));
            match request.elsewhere() {
                None => {
                    failure = outcome.err();
                    keep_first(&mut failure, step(&mut request, Phase::Reply, |request| Ok(request.flush()?)));
                    keep_first(&mut failure, step(&mut request, Phase::Finish, |request| (calls.finish)(&mut handler, request)));
                }
                Some(Elsewhere::Other) => {
                    if let Err(error) = outcome {
                        report(&mut handler, hooks, &error, request.peer());
                    }
                    return discard(handler, &request);
                }
                Some(Elsewhere::Here(result)) => {
                    failure = result;
                    conclude(handler, request, hooks, failure.take());
                    fork::exit(0)
                }
            }
        }
    }
    if failure.is_none() || R::REPLIES_AFTER_FAILURE {
        keep_first(&mut failure, step(&mut request, Phase::Reply, |request| Ok(request.reply()?)));
    }
    conclude(handler, request, hooks, failure);
}

/// Runs one step of the life under guard, and adds to its error what the request itself saw.
fn step<R: Live>(request: &mut R, phase: Phase, call: impl FnOnce(&mut R) -> crate::error::Outcome) -> Result<(), RequestError> {
    request.ticket().slot().set_phase(phase);
    guard(phase, || call(request)).map_err(|error| error.saw(request.seen()))
}

fn keep_first(failure: &mut Option<RequestError>, result: Result<(), RequestError>) {
    if failure.is_none() {
        *failure = result.err();
    }
}

/// Reports the failure if there is one, drops the handler, and ends the request.
fn conclude<H, R: Live>(mut handler: H, request: R, hooks: HookTable<H>, failure: Option<RequestError>) {
    request.ticket().end(if failure.is_some() { Ended::Failed } else { Ended::Finished });
    if let Some(error) = &failure {
        report(&mut handler, hooks, error, request.peer());
    }
    discard(handler, &request);
    request.close();
}

/// Tells the handler of its failure. A panic in there has nobody left to be told to but the default.
fn report<H>(handler: &mut H, hooks: HookTable<H>, error: &RequestError, peer: &Address) {
    let told = guard(Phase::Hook, || {
        (hooks.handle_error)(handler, error, peer);
        Ok(())
    });
    if let Err(second) = told {
        crate::error::report(&second, peer);
    }
}

/// Drops the handler under guard. It is gone then, so its panic is reported on a clone of the prototype.
fn discard<H, R: Live>(handler: H, request: &R) {
    request.ticket().slot().set_phase(Phase::Close);
    let dropped = guard(Phase::Close, || {
        drop(handler);
        Ok(())
    });
    if let Err(error) = dropped {
        request.ticket().requests.report_later(error, request.peer().clone());
    }
}

impl Kept for KeptPacket {
    fn ticket(&self) -> &Ticket {
        &self.ticket
    }

    fn peer(&self) -> &Address {
        &self.peer
    }

    fn close(&self) {}
}

impl<H> fmt::Debug for Unit<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unit").field("request", &self.request).finish_non_exhaustive()
    }
}
