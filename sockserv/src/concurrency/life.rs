//! The life of a request: its steps, each under guard, and who is told of what failed.

use std::sync::Arc;

use crate::address::Address;
use crate::error::{Phase, RequestError};
use crate::guard::{guard, guard_value};
use crate::handler::Calls;
use crate::hooks::HookTable;
use crate::listener::Incoming;
use crate::request::Live;
use crate::request::elsewhere::Elsewhere;
use crate::requests::Requests;
use crate::sys::fork;

/// What went wrong when the handler was gone, and in whose request.
pub(super) struct Late {
    pub(super) error: RequestError,
    pub(super) peer: Address,
    pub(super) requests: Arc<Requests>,
}

impl Late {
    fn new(error: RequestError, request: &impl Live) -> Self {
        let requests = Arc::clone(request.ticket().requests());
        request.ticket().failed(&error, request.peer());
        Self {
            error,
            peer: request.peer().clone(),
            requests,
        }
    }

    pub(super) fn report(self) {
        self.requests.report_later(self.error, self.peer);
    }
}

/// The hook that is told of a failure.
pub(crate) type Tell<H> = fn(&mut H, &RequestError, &Address);

/// The life of a request, the same for both kinds and in every model. Returns what went wrong when the handler was gone.
pub(super) fn live<H, R: Live>(
    mut handler: H,
    request: &mut R,
    calls: &Calls<H, R>,
    tell: Tell<H>,
) -> Option<Late> {
    let ready = method(request, Phase::Setup, |request| {
        (calls.setup)(&mut handler, request)
    });
    if let Err(error) = ready {
        return end_unready(handler, request, &error, tell);
    }
    let handled = method(request, Phase::Handle, |request| {
        (calls.handle)(&mut handler, request)
    });
    complete(handler, request, calls, tell, handled)
}

/// The end of a request whose `setup` failed.
pub(super) fn end_unready<H, R: Live>(
    handler: H,
    request: &mut R,
    error: &RequestError,
    tell: Tell<H>,
) -> Option<Late> {
    if R::REPLIES_AFTER_FAILURE {
        // The first failure is the one that counts.
        let _ = step(request, Phase::Reply, |request| Ok(request.reply()?));
    }
    conclude(handler, request, Some(error), tell)
}

/// What follows `handle`.
pub(super) fn complete<H, R: Live>(
    mut handler: H,
    request: &mut R,
    calls: &Calls<H, R>,
    tell: Tell<H>,
    handled: Result<(), RequestError>,
) -> Option<Late> {
    if let Some(elsewhere) = request.elsewhere() {
        return leave(handler, request, elsewhere, &handled, tell);
    }
    let mut failure = First(None);
    failure.keep(handled);
    failure.keep(step(request, Phase::Reply, |request| Ok(request.flush()?)));
    failure.keep(method(request, Phase::Finish, |request| {
        (calls.finish)(&mut handler, request)
    }));
    if failure.0.is_none() || R::REPLIES_AFTER_FAILURE {
        failure.keep(step(request, Phase::Reply, |request| Ok(request.reply()?)));
    }
    conclude(handler, request, failure.0.as_ref(), tell)
}

/// The end of a request whose rest somebody else has, or this child has done.
fn leave<H, R: Live>(
    mut handler: H,
    request: &R,
    elsewhere: Elsewhere,
    handled: &Result<(), RequestError>,
    tell: Tell<H>,
) -> Option<Late> {
    match elsewhere {
        Elsewhere::Here(failure) => {
            if let Some(Late { error, peer, .. }) =
                conclude(handler, request, failure.as_ref(), tell)
            {
                crate::error::report(&error, &peer);
            }
            fork::exit(0)
        }
        Elsewhere::Other => {
            if let Err(error) = handled {
                report(&mut handler, tell, error, request);
            }
            // The phase is that of the rest, which somebody else is in the middle of.
            let late = discard(handler).filter(|_| handled.is_ok());
            late.map(|error| Late::new(error, request))
        }
    }
}

/// The first thing that went wrong: what `handle_error` is told.
#[derive(Default)]
pub(super) struct First(pub(super) Option<RequestError>);

impl First {
    pub(super) fn keep(&mut self, result: Result<(), RequestError>) {
        if let Err(error) = result {
            self.0.get_or_insert(error);
        }
    }
}

/// Runs one step of the life under guard, and adds to its error what the request itself saw.
pub(super) fn step<R: Live>(
    request: &mut R,
    phase: Phase,
    call: impl FnOnce(&mut R) -> crate::error::Outcome,
) -> Result<(), RequestError> {
    request.ticket().slot().set_phase(phase);
    guard(phase, || call(request)).map_err(|error| error.saw(request.seen()))
}

/// A step that is a method of the handler, with the observers around it.
pub(super) fn method<R: Live>(
    request: &mut R,
    phase: Phase,
    mut call: impl FnMut(&mut R) -> crate::error::Outcome,
) -> Result<(), RequestError> {
    match request.ticket().request() {
        None => step(request, phase, call),
        Some(number) => observed(request, number, phase, &mut call),
    }
}

/// One copy for all methods: a server without observers need not be any larger for them.
#[cold]
fn observed<R: Live>(
    request: &mut R,
    number: u64,
    phase: Phase,
    call: &mut dyn FnMut(&mut R) -> crate::error::Outcome,
) -> Result<(), RequestError> {
    let requests = Arc::clone(request.ticket().requests());
    let observers = &requests.options.observers;
    observers.around(number, || step(request, phase, &mut *call))
}

/// Reports the failure if there is one, drops the handler, and ends the request. Returns a failure of the drop, unless
/// there was one before: only the first is told.
pub(super) fn conclude<H, R: Live>(
    mut handler: H,
    request: &R,
    failure: Option<&RequestError>,
    tell: Tell<H>,
) -> Option<Late> {
    if let Some(error) = failure {
        report(&mut handler, tell, error, request);
    }
    request.ticket().slot().set_phase(Phase::Close);
    let late = discard(handler);
    request.ticket().end(failure.or(late.as_ref()));
    let late = late
        .filter(|_| failure.is_none())
        .map(|error| Late::new(error, request));
    request.close();
    late
}

/// Tells the handler of its failure. A panic in there has nobody left to be told to but the default.
fn report<H>(handler: &mut H, tell: Tell<H>, error: &RequestError, request: &impl Live) {
    let (ticket, peer) = (request.ticket(), request.peer());
    ticket.failed(error, peer);
    let told = ticket.around(|| guard_value(Phase::Hook, || tell(handler, error, peer)));
    if let Err(second) = told {
        crate::error::report(&second, peer);
    }
}

/// Tells a clone of the prototype, where the request has no handler of its own.
pub(crate) fn report_on_clone<H: Clone>(
    prototype: &H,
    tell: Tell<H>,
    error: &RequestError,
    peer: &Address,
) {
    let told = guard_value(Phase::Hook, || tell(&mut prototype.clone(), error, peer));
    if let Err(second) = told {
        crate::error::report(error, peer);
        crate::error::report(&second, peer);
    }
}

/// Asks `verify_request` on the prototype. A panic in there refuses the request, and is reported.
pub(crate) fn verify<H: Clone>(
    hooks: &HookTable<H>,
    prototype: &H,
    requests: &Requests,
    incoming: &Incoming,
    peer: &Address,
) -> bool {
    let Some(verify) = hooks.verify_request else {
        return true;
    };
    match guard_value(Phase::Verify, || verify(prototype, peer, incoming)) {
        Ok(verified) => verified,
        Err(error) => {
            requests.failed(None, &error, peer);
            report_on_clone(prototype, hooks.handle_error, &error, peer);
            false
        }
    }
}

/// Drops the handler under guard.
pub(super) fn discard<H>(handler: H) -> Option<RequestError> {
    guard(Phase::Close, || {
        drop(handler);
        Ok(())
    })
    .err()
}
