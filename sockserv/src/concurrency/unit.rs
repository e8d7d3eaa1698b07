//! [`Unit`]: one accepted request on its way, and the whole life cycle that it runs.

use std::error::Error;
use std::fmt;
use std::os::fd::{AsRawFd as _, RawFd};
use std::sync::Arc;

use crate::address::Address;
use crate::concurrency::life::{
    First, Late, Tell, complete, conclude, discard, end_unready, live, method, report_on_clone,
    step,
};
use crate::error::{Phase, RequestError};
use crate::guard::guard_value;
use crate::handler::{Calls, Methods};
use crate::listener::packets::Packet;
use crate::listener::{Arrived, Incoming};
use crate::message::{AnyTalk, Progress, Talks, Thread};
use crate::request::datagram::Datagram;
use crate::request::link::Link;
use crate::request::stream::Stream;
use crate::requests::children::Kept;
use crate::requests::{ServerHandle, Ticket};
use crate::sys::fork::{self, Threads};
use crate::sys::poller::{Interest, Poller};

/// One accepted request with its handler and its place in the table: what a [`Model`](crate::Model) runs.
///
/// It is `Send` if the handler is. Dropped without [`run`](Self::run), the request is closed, and reported in phase
/// `dispatch`.
pub struct Unit<H> {
    handler: Option<H>,
    request: Accepted<H>,
    tell: Tell<H>,
    refusal: Option<RequestError>,
    /// Where the conversation stands, if `setup` has run and the next message is waited for.
    talk: Option<AnyTalk>,
    /// How it went, while its peer has only to take the last replies.
    end: Option<End>,
    /// Whether the poll set knows its socket.
    is_watched: bool,
    thread: Thread,
    /// Whether the accept loop goes on by itself.
    may_wait: bool,
}

/// The peer sends something, or its end.
pub(crate) const NEXT_WORD: Interest = Interest::IN.union(Interest::RDHUP);

/// What a model is told that runs what it was to make a handler for.
const NO_HANDLER: &str =
    "the model ran the request without a handler; call `clone_handler` before in `admit`";

/// The end of a conversation whose thread was only lent to it.
#[derive(Default)]
struct End {
    failure: First,
    /// Whether `finish` has run.
    is_finished: bool,
}

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
    Packet(Box<Packet>, Ticket, Calls<H, Datagram>),
}

impl<H> Accepted<H> {
    /// Closes this process's copy of the socket.
    fn into_kept(self) -> Kept {
        match self {
            Self::Packet(packet, ticket, _) => Kept::Place(packet.peer, ticket),
            Self::Stream(link, _) => match Arc::try_unwrap(link) {
                Ok(link) => link.into_kept(),
                Err(link) => Kept::Held(link), // Somebody else has it, too.
            },
        }
    }
}

impl<H> Unit<H> {
    /// Returns the peer, having closed the request, if the handler does not serve its kind.
    #[inline]
    pub(crate) fn new(
        incoming: Incoming,
        peer: Address,
        ticket: Ticket,
        methods: &Methods<H>,
        tell: Tell<H>,
        may_wait: bool,
    ) -> Result<Self, Address> {
        let request = match incoming.arrived {
            Arrived::Stream {
                transport,
                local,
                inherits,
                lent,
            } => {
                let Some(calls) = methods.stream else {
                    ticket.slot().set_off();
                    return Err(peer);
                };
                let link = Link::new(transport, peer, local, inherits, ticket);
                if lent.into_inner() {
                    link.lend();
                }
                Accepted::Stream(Arc::new(link), calls)
            }
            Arrived::Packet(mut packet) => {
                let Some(calls) = methods.datagram else {
                    return Err(peer);
                };
                packet.peer = peer;
                ticket.slot().bytes_in.add(packet.bytes.len());
                Accepted::Packet(packet, ticket, calls)
            }
        };
        Ok(Self {
            handler: None,
            request,
            tell,
            refusal: None,
            talk: None,
            end: None,
            is_watched: false,
            thread: Thread::Own,
            may_wait,
        })
    }

    /// Returns the address of the other end.
    #[must_use]
    pub fn peer_addr(&self) -> &Address {
        match &self.request {
            Accepted::Stream(link, _) => &link.peer,
            Accepted::Packet(packet, ..) => &packet.peer,
        }
    }

    /// Returns a way to the server.
    #[must_use]
    pub fn server(&self) -> &ServerHandle {
        self.ticket().handle()
    }

    /// Returns whether the request is a stream, and no packet.
    #[must_use]
    pub fn is_stream(&self) -> bool {
        matches!(self.request, Accepted::Stream(..))
    }

    /// Returns whether the server goes on by itself, so that the request may wait for its peer before it is run: not in a
    /// [`handle_request`](crate::Server::handle_request).
    #[must_use]
    pub fn may_wait(&self) -> bool {
        self.may_wait
    }

    /// Says why the request cannot run, before it is given back from [`dispatch`](crate::Model::dispatch).
    #[must_use]
    pub fn refuse(mut self, reason: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.refusal = Some(RequestError::new(Phase::Dispatch, reason));
        self
    }

    /// Says that the request will run, or be closed, without a further word of the model that has it.
    pub(crate) fn set_off(&self) {
        self.ticket().slot().set_off();
    }

    pub(crate) fn ticket(&self) -> &Ticket {
        match &self.request {
            Accepted::Stream(link, _) => link,
            Accepted::Packet(_, ticket, _) => ticket,
        }
    }

    /// Says whether its thread is only lent: it is given back between two messages, if the handler can stop there.
    pub(crate) fn lend(&mut self, lends: bool) {
        let can_stop = matches!(&self.request, Accepted::Stream(link, calls)
            if calls.talks.is_some() && link.transport.descriptor().is_some());
        self.thread = match lends && can_stop {
            true => Thread::Lent,
            false => Thread::Own,
        };
    }

    pub(crate) fn is_lent(&self) -> bool {
        self.thread == Thread::Lent
    }

    /// Whether it waits for a further message, with a handler of its own.
    pub(crate) fn is_talking(&self) -> bool {
        self.talk.is_some()
    }

    /// Gives the request a clone of the prototype, in a [`Model::admit`](crate::Model::admit) of one's own; `false` if
    /// cloning panicked: then the request is given back, which reports that.
    pub fn clone_handler(&mut self, prototype: &H) -> bool
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

    /// Lets a poll set watch for the peer, always the same one; `false` if it cannot.
    pub(crate) fn watch(&mut self, poller: &Poller, token: u64, interest: Interest) -> bool {
        let Accepted::Stream(link, _) = &self.request else {
            return false;
        };
        let Some(socket) = link.transport.descriptor() else {
            return false;
        };
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
            Accepted::Packet(packet, ..) => Some(packet.route.socket()?.as_raw_fd()),
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
            link.hang_up(&[]);
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
    /// For a message handler that is the whole conversation, each wait for the next message included.
    ///
    /// Never panics: what panics in user's code is caught and reported.
    pub fn run(self) {
        if let Some(late) = self.live() {
            late.report();
        }
    }

    /// Runs the life cycle as far as it goes without waiting for a message; that of a stream handler to its end.
    pub(crate) fn advance(mut self) -> Lent<H> {
        self.set_off();
        let Some((link, calls, talks)) = self.conversation() else {
            self.run();
            return Lent::Ended;
        };
        let Some(mut handler) = self.handler.take() else {
            return Lent::Ended;
        };
        link.run_here();
        let mut stream = Stream::new(link, &[], &[]);
        if self.is_lent() {
            stream.buffer_more();
        }
        if let Some(end) = self.end.take() {
            return self.end(handler, stream, calls, talks, end);
        }
        if self.talk.is_none() {
            let ready = method(&mut stream, Phase::Setup, |stream| {
                (calls.setup)(&mut handler, stream)
            });
            if let Err(error) = ready {
                return Lent::ended(end_unready(handler, &mut stream, &error, self.tell));
            }
        }
        let (talk, thread, mut progress) = (&mut self.talk, self.thread, Progress::Ended);
        let handled = method(&mut stream, Phase::Handle, |stream| {
            let talk = talk.get_or_insert_with(|| (talks.begin)(&handler));
            progress = (talks.advance)(talk, &mut handler, stream, thread)?;
            Ok(())
        });
        if handled.is_err() || progress == Progress::Ended {
            if self.is_lent() && stream.is_open() {
                let mut end = End::default();
                end.failure.keep(handled);
                return self.end(handler, stream, calls, talks, end);
            }
            let handled = handled.and(self.drop_talk());
            return Lent::ended(complete(handler, &mut stream, &calls, self.tell, handled));
        }
        self.handler = Some(handler);
        match progress {
            Progress::Yields => Lent::Yields(self),
            Progress::Chokes => Lent::Waits(self, Interest::OUT),
            Progress::Waits | Progress::Ended => Lent::Waits(self, NEXT_WORD),
        }
    }

    /// Ends a conversation as [`complete`] does, and gives the thread back whenever its peer has to take something first.
    fn end(
        mut self,
        mut handler: H,
        mut stream: Stream,
        calls: Calls<H, Stream>,
        talks: Talks<H>,
        mut end: End,
    ) -> Lent<H> {
        loop {
            let mut is_sent = true;
            let (talk, thread) = (&mut self.talk, self.thread);
            end.failure.keep(step(&mut stream, Phase::Reply, |stream| {
                if let Some(talk) = talk {
                    is_sent = (talks.send_last)(talk, stream, thread)?;
                }
                Ok(())
            }));
            if !is_sent {
                self.handler = Some(handler);
                self.end = Some(end);
                return Lent::Waits(self, Interest::OUT);
            }
            if end.is_finished {
                break;
            }
            end.is_finished = true;
            end.failure
                .keep(method(&mut stream, Phase::Finish, |stream| {
                    (calls.finish)(&mut handler, stream)
                }));
        }
        end.failure.keep(self.drop_talk());
        let failure = end.failure.0.as_ref();
        Lent::ended(conclude(handler, &stream, failure, self.tell))
    }

    /// The codec in it is the user's.
    fn drop_talk(&mut self) -> Result<(), RequestError> {
        discard(self.talk.take()).map_or(Ok(()), Err)
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
    fn live(mut self) -> Option<Late> {
        self.set_off();
        let Some(handler) = self.handler.take() else {
            let known = self.refusal.is_some(); // The clone panicked, and it was run all the same.
            return Some(if known { self } else { self.refuse(NO_HANDLER) }.late());
        };
        match self.request {
            Accepted::Stream(link, calls) => {
                link.run_here();
                live(handler, &mut Stream::new(link, &[], &[]), &calls, self.tell)
            }
            Accepted::Packet(packet, ticket, calls) => live(
                handler,
                &mut Datagram::new(packet, ticket),
                &calls,
                self.tell,
            ),
        }
    }

    /// Runs the request in a child process, on a clone of the prototype that is made there.
    pub(crate) fn run_in_child(self, threads: Threads, prototype: &H) -> Result<(), Self>
    where
        H: Clone,
    {
        let Some(mut unit) = self.fork(threads)? else {
            return Ok(());
        };
        let tell = unit.tell;
        let late = match unit.clone_handler(prototype) {
            true => unit.live(),
            false => Some(unit.late()),
        };
        if let Some(Late { error, peer, .. }) = late {
            report_on_clone(prototype, tell, &error, &peer);
        }
        fork::exit(0)
    }

    /// Runs the request, with its handler, in a child process.
    pub(crate) fn move_to_child(self, threads: Threads) -> Result<(), Self> {
        match self.fork(threads)? {
            None => Ok(()),
            Some(unit) => {
                unit.run();
                fork::exit(0)
            }
        }
    }

    /// Forks, and returns the request in the child; the parent keeps its place in the table.
    fn fork(mut self, threads: Threads) -> Result<Option<Self>, Self> {
        let requests = Arc::clone(self.ticket().requests());
        let reply = self.reply_socket();
        self.set_off();
        match requests.fork(threads, reply.as_slice()) {
            Err(error) => Err(self.refuse(error)),
            Ok(Some(child)) => {
                discard(self.handler.take()); // Its `drop` is the user's.
                requests.watch(child, self.request.into_kept());
                Ok(None)
            }
            Ok(None) => Ok(Some(self)),
        }
    }

    /// Closes a request that never ran, and says so when its handler cannot.
    fn late(self) -> Late {
        Late {
            requests: Arc::clone(self.ticket().requests()),
            peer: self.peer_addr().clone(),
            error: self.give_up(),
        }
    }
}

impl<H> fmt::Debug for Unit<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unit")
            .field("peer", self.peer_addr())
            .finish_non_exhaustive()
    }
}
