//! [`Unit`]: one accepted request on its way, and the whole life cycle that it runs.

use std::error::Error;
use std::fmt;
use std::os::fd::{AsRawFd as _, RawFd};
use std::sync::Arc;

use crate::address::Address;
use crate::error::{Phase, RequestError};
use crate::guard::{guard, guard_value};
use crate::handler::{Calls, Methods};
use crate::hooks::HookTable;
use crate::listener::packets::Packet;
use crate::listener::{Incoming, Kind};
use crate::message::{AnyTalk, Progress, Talks};
use crate::request::Live;
use crate::request::datagram::Datagram;
use crate::request::link::Link;
use crate::request::stream::{Elsewhere, Stream};
use crate::requests::children::Kept;
use crate::requests::{PARKED, Requests, Ticket};
use crate::sys::fork::{self, Threads};
use crate::sys::poller::Interest;

/// One accepted request with its handler and its place in the table: what a [`Model`](crate::Model) runs.
///
/// It is `Send` if the handler is. Dropped without [`run`](Self::run), the request is closed.
pub struct Unit<H> {
    handler: Option<H>,
    request: Accepted<H>,
    tell: Tell<H>,
    refusal: Option<RequestError>,
    /// Where the conversation stands, if `setup` has run and the next message is waited for.
    talk: Option<AnyTalk>,
    /// Whether the poller knows its socket.
    is_watched: bool,
    /// Whether it gives its thread back between two messages.
    is_lent: bool,
}

/// The peer sends something, or its end.
pub(crate) const NEXT_WORD: Interest = Interest::IN.union(Interest::RDHUP);

/// What a request came to that was lent a thread.
pub(crate) enum Lent<H> {
    Ended,
    /// It waits for its peer: to send more, or to take what was sent.
    Waits(Unit<H>, Interest),
    /// It has more to do, and others may go first.
    Yields(Unit<H>),
}

impl<H> Lent<H> {
    fn ended(late: Option<Late>) -> Self {
        if let Some(late) = late {
            late.report();
        }
        Self::Ended
    }
}

/// A request, and the methods that handle its kind.
enum Accepted<H> {
    Stream(Arc<Link>, Calls<H, Stream>),
    Packet(Box<(Remains, Packet)>, Calls<H, Datagram>),
}

/// What a parent keeps of a request that a child handles.
#[derive(Debug)]
struct Remains {
    peer: Address,
    ticket: Ticket,
}

impl<H> Accepted<H> {
    /// Closes this process's copy of the socket.
    fn into_kept(self) -> Box<dyn Kept> {
        match self {
            Self::Packet(packet, _) => Box::new(packet.0),
            // Nobody else has the link yet; should somebody, it is kept as a whole.
            Self::Stream(link, _) => match Arc::try_unwrap(link) {
                Ok(link) => {
                    let (peer, ticket) = link.into_kept();
                    Box::new(Remains { peer, ticket })
                }
                Err(link) => Box::new(link),
            },
        }
    }
}

/// What went wrong when the handler was gone, and in whose request.
struct Late {
    error: RequestError,
    peer: Address,
    requests: Arc<Requests>,
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

    fn report(self) {
        self.requests.report_later(self.error, self.peer);
    }
}

/// The hook that is told of a failure.
pub(crate) type Tell<H> = fn(&mut H, &RequestError, &Address);

impl<H> Unit<H> {
    /// Returns the peer, having closed the request, if the handler does not serve its kind.
    pub(crate) fn new(
        incoming: Incoming,
        peer: Address,
        ticket: Ticket,
        methods: Methods<H>,
        tell: Tell<H>,
    ) -> Result<Self, Address> {
        let request = match (incoming.kind, methods.stream, methods.datagram) {
            (
                Kind::Stream {
                    transport,
                    local,
                    inherits,
                },
                Some(calls),
                _,
            ) => {
                let link = Link::new(transport, peer, local, inherits, ticket);
                Accepted::Stream(Arc::new(link), calls)
            }
            (Kind::Packet(packet), _, Some(calls)) => {
                Accepted::Packet(Box::new((Remains { peer, ticket }, packet)), calls)
            }
            _ => return Err(peer),
        };
        Ok(Self {
            handler: None,
            request,
            tell,
            refusal: None,
            talk: None,
            is_watched: false,
            is_lent: false,
        })
    }

    /// Returns the address of the other end.
    #[must_use]
    pub fn peer_addr(&self) -> &Address {
        match &self.request {
            Accepted::Stream(link, _) => &link.peer,
            Accepted::Packet(packet, _) => &packet.0.peer,
        }
    }

    /// Says why the request cannot run, before it is given back from [`dispatch`](crate::Model::dispatch).
    #[must_use]
    pub fn refuse(mut self, reason: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.refusal = Some(RequestError::new(Phase::Dispatch, reason));
        self
    }

    pub(crate) fn ticket(&self) -> &Ticket {
        match &self.request {
            Accepted::Stream(link, _) => link,
            Accepted::Packet(packet, _) => &packet.0.ticket,
        }
    }

    /// Says whether its thread is only lent: it is given back between two messages, if the handler can stop there.
    pub(crate) fn lend(&mut self, lends: bool) {
        let can_stop = matches!(&self.request, Accepted::Stream(link, calls)
            if calls.talks.is_some() && link.transport.descriptor().is_some());
        self.is_lent = lends && can_stop;
    }

    pub(crate) fn is_lent(&self) -> bool {
        self.is_lent
    }

    /// Whether it waits for a further message, with a handler of its own.
    pub(crate) fn is_talking(&self) -> bool {
        self.talk.is_some()
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

    /// Lets the server's poller watch for the peer; `false` if it cannot.
    pub(crate) fn watch(&mut self, interest: Interest) -> bool {
        let Accepted::Stream(link, _) = &self.request else {
            return false;
        };
        let Some(socket) = link.transport.descriptor() else {
            return false;
        };
        let (poller, token) = (&link.requests().poller, PARKED + u64::from(link.index));
        let interest = interest | Interest::ONESHOT;
        let watched = match self.is_watched {
            true => poller.modify(socket, token, interest),
            false => poller.add(socket, token, interest),
        };
        self.is_watched |= watched.is_ok(); // It fails if there is no memory for the poll set.
        watched.is_ok()
    }

    /// The listener that a packet's reply leaves by.
    fn reply_socket(&self) -> Option<RawFd> {
        match &self.request {
            Accepted::Stream(..) => None,
            Accepted::Packet(packet, _) => Some(packet.1.socket()?.as_raw_fd()),
        }
    }

    /// Closes a request that never ran, and tells a clone of the prototype why.
    pub(crate) fn give_up_on(self, prototype: &H)
    where
        H: Clone,
    {
        let (tell, peer) = (self.tell, self.peer_addr().clone());
        let error = self.give_up();
        report_on_clone(prototype, tell, &error, &peer);
    }

    /// Closes a request that never ran; returns why.
    pub(crate) fn give_up(mut self) -> RequestError {
        let unknown = || RequestError::new(Phase::Dispatch, "the model did not take the request");
        let error = self.refusal.take().unwrap_or_else(unknown);
        self.ticket().failed(&error, self.peer_addr());
        self.ticket().end(Some(&error));
        if let Accepted::Stream(link, _) = &self.request {
            link.hang_up(false);
        }
        error
    }

    /// Closes a request that will not be run to its end: its senders find it closed, too.
    pub(crate) fn abandon(self) {
        if let Accepted::Stream(link, _) = &self.request {
            link.close_senders();
        }
    }

    /// Runs the whole life cycle: setup, handle, finish, the reply, `handle_error` if anything failed, and the end.
    ///
    /// Never panics: what panics in user's code is caught and reported.
    pub fn run(self) {
        if let Some(late) = self.live() {
            late.report();
        }
    }

    /// Runs the life cycle as far as it goes without waiting for a message; that of a stream handler to its end.
    pub(crate) fn advance(mut self) -> Lent<H> {
        let Some((link, calls, talks)) = self.conversation() else {
            self.run();
            return Lent::Ended;
        };
        let Some(mut handler) = self.handler.take() else {
            return Lent::Ended;
        };
        link.run_here();
        let mut stream = Stream::new(link, &[], &[]);
        if self.talk.is_none() {
            let ready = method(&mut stream, Phase::Setup, |stream| {
                (calls.setup)(&mut handler, stream)
            });
            if let Err(error) = ready {
                return Lent::ended(end_unready(handler, &mut stream, &error, self.tell));
            }
        }
        let (talk, is_lent, mut progress) = (&mut self.talk, self.is_lent, Progress::Ended);
        let handled = method(&mut stream, Phase::Handle, |stream| {
            let talk = talk.get_or_insert_with(|| (talks.begin)(&handler));
            progress = (talks.advance)(talk, &mut handler, stream, is_lent)?;
            Ok(())
        });
        if handled.is_err() || progress == Progress::Ended {
            // The codec in it is the user's.
            let dropped = discard(self.talk.take());
            let handled = handled.and(dropped.map_or(Ok(()), Err));
            return Lent::ended(complete(handler, &mut stream, calls, self.tell, handled));
        }
        self.handler = Some(handler);
        match progress {
            Progress::Yields => Lent::Yields(self),
            Progress::Chokes => Lent::Waits(self, Interest::OUT),
            Progress::Waits | Progress::Ended => Lent::Waits(self, NEXT_WORD),
        }
    }

    /// Returns what a conversation needs, if the handler can stop between two messages.
    #[allow(
        clippy::type_complexity,
        reason = "three things that nobody else puts together"
    )]
    fn conversation(&self) -> Option<(Arc<Link>, Calls<H, Stream>, Talks<H>)> {
        match &self.request {
            Accepted::Stream(link, calls) => Some((Arc::clone(link), *calls, calls.talks?)),
            Accepted::Packet(..) => None,
        }
    }

    /// Returns what went wrong after the handler was gone.
    fn live(self) -> Option<Late> {
        let handler = self.handler?;
        match self.request {
            Accepted::Stream(link, calls) => {
                link.run_here();
                live(handler, &mut Stream::new(link, &[], &[]), calls, self.tell)
            }
            Accepted::Packet(packet, calls) => {
                let (Remains { peer, ticket }, packet) = *packet;
                live(
                    handler,
                    &mut Datagram::new(packet, peer, ticket),
                    calls,
                    self.tell,
                )
            }
        }
    }

    /// Runs the request in a child process; the parent keeps its place in the table.
    pub(crate) fn run_in_child(mut self, threads: Threads, prototype: &H) -> Result<(), Self>
    where
        H: Clone,
    {
        let requests = Arc::clone(self.ticket().requests());
        let reply = self.reply_socket();
        match requests.fork(threads, reply.as_slice()) {
            Err(error) => Err(self.refuse(error)),
            Ok(Some(child)) => {
                requests.watch(child, self.request.into_kept());
                Ok(())
            }
            Ok(None) => {
                let tell = self.tell;
                let failure = match self.clone_handler(prototype) {
                    true => self.live(),
                    false => {
                        let peer = self.peer_addr().clone();
                        Some(Late {
                            requests: Arc::clone(&requests),
                            error: self.give_up(),
                            peer,
                        })
                    }
                };
                if let Some(Late { error, peer, .. }) = failure {
                    report_on_clone(prototype, tell, &error, &peer);
                }
                fork::exit(0)
            }
        }
    }
}

/// The life of a request, the same for both kinds and in every model. Returns what went wrong when the handler was gone.
fn live<H, R: Live>(
    mut handler: H,
    request: &mut R,
    calls: Calls<H, R>,
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
fn end_unready<H, R: Live>(
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
fn complete<H, R: Live>(
    mut handler: H,
    request: &mut R,
    calls: Calls<H, R>,
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
struct First(Option<RequestError>);

impl First {
    fn keep(&mut self, result: Result<(), RequestError>) {
        self.0 = self.0.take().or(result.err());
    }
}

/// Runs one step of the life under guard, and adds to its error what the request itself saw.
fn step<R: Live>(
    request: &mut R,
    phase: Phase,
    call: impl FnOnce(&mut R) -> crate::error::Outcome,
) -> Result<(), RequestError> {
    request.ticket().slot().set_phase(phase);
    guard(phase, || call(request)).map_err(|error| error.saw(request.seen()))
}

/// A step that is a method of the handler, with the observers around it.
fn method<R: Live>(
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
fn conclude<H, R: Live>(
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
fn discard<H>(handler: H) -> Option<RequestError> {
    guard(Phase::Close, || {
        drop(handler);
        Ok(())
    })
    .err()
}

impl Kept for Remains {
    fn ticket(&self) -> Option<&Ticket> {
        Some(&self.ticket)
    }

    fn peer(&self) -> &Address {
        &self.peer
    }

    fn keeps_socket(&self) -> bool {
        false
    }
}

impl<H> fmt::Debug for Unit<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unit")
            .field("peer", self.peer_addr())
            .finish_non_exhaustive()
    }
}
