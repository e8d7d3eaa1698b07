//! One stream's connection: how a read or a write waits, is told to end, and passes its deadlines.
//!
//! A request that runs on a thread of its own blocks in `recv`, one system call, and the accept loop ends that by shutting
//! the socket down. A request that runs where the server accepts, or in a child, polls its socket together with the
//! life line, because nobody else is awake who could end its wait.

use std::io;
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use crate::address::Address;
use crate::drain::Stage;
use crate::error::{Seen, Timeout, is_disconnect};
use crate::request::sender::Outgoing;
use crate::requests::children::Kept;
use crate::requests::{ServerHandle, Slot, Ticket, Told, lock};
use crate::sys::clock::Tick;
use crate::sys::poller::timespec;
use crate::transport::{LINGER_BYTES, LINGER_TIME};
use crate::transport::{Transport, Wait};

/// A connection and its place in the table, shared by the halves of a stream, which may be on two threads.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) peer: Address,
    local: OnceLock<Address>,
    ticket: Ticket,
    /// Whether a wait polls, because this is the accepting thread or a child.
    polls: AtomicBool,
    /// In nanoseconds; zero is for ever.
    timeout: AtomicU64,
    /// What the socket's own timeout is set to, likewise.
    socket_timeout: AtomicU64,
    /// End-of-file was seen, or told.
    eof: AtomicBool,
    /// The peer itself sent its end: nothing of it can be unread.
    peer_ended: AtomicBool,
    /// The socket has a new owner, who closes it.
    released: AtomicBool,
    saw: AtomicU8,
    outgoing: OnceLock<Arc<Outgoing>>,
}

/// The beginning of a wait that may take several reads: `read_line` and `read_exact` count as one.
#[derive(Debug, Default)]
pub(crate) struct Span(Option<Tick>);

const SAW_DISCONNECT: u8 = 1;

impl Link {
    /// Lets the socket go, and keeps the place in the table.
    pub(crate) fn into_kept(self) -> (Address, Ticket) {
        (self.peer, self.ticket)
    }

    /// `inherits`: whether the socket already has the server's timeout, as those accepted by TCP have from their listener.
    pub(crate) fn new(
        transport: Arc<dyn Transport>,
        peer: Address,
        local: Option<Address>,
        inherits: bool,
        ticket: Ticket,
    ) -> Self {
        let timeout = ticket.requests().options.timeout.map_or(0, nanos);
        Self {
            transport,
            peer,
            local: local.map_or_else(OnceLock::new, OnceLock::from),
            ticket,
            polls: AtomicBool::new(false),
            timeout: AtomicU64::new(timeout),
            socket_timeout: AtomicU64::new(if inherits { timeout } else { 0 }),
            eof: AtomicBool::new(false),
            peer_ended: AtomicBool::new(false),
            released: AtomicBool::new(false),
            saw: AtomicU8::new(0),
            outgoing: OnceLock::new(),
        }
    }

    /// The unit that runs the request says so, on its own thread and in its own process.
    pub(crate) fn run_here(&self) {
        let polls = self.ticket.requests().is_accepting_here();
        self.polls.store(polls, Ordering::Relaxed);
    }

    pub(crate) fn server(&self) -> &ServerHandle {
        self.ticket.handle()
    }

    pub(crate) fn slot(&self) -> &Slot {
        self.ticket.slot()
    }

    pub(crate) fn local(&self) -> &Address {
        self.local.get_or_init(|| {
            let socket = self.transport.descriptor();
            let address = socket.and_then(|fd| socket2::SockRef::from(&fd).local_addr().ok());
            address.map_or(Address::Unnamed, |address| Address::from_socket(&address))
        })
    }

    pub(crate) fn timeout(&self) -> Option<Duration> {
        Some(self.timeout.load(Ordering::Relaxed))
            .filter(|&nanos| nanos != 0)
            .map(Duration::from_nanos)
    }

    pub(crate) fn set_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        let nanos = timeout.map_or(0, nanos);
        self.timeout.store(nanos, Ordering::Relaxed);
        if self.polls.load(Ordering::Relaxed) {
            Ok(())
        } else {
            self.fit(nanos)
        }
    }

    /// Receives some bytes, waiting for them if need be. Zero is the end, real or told.
    pub(crate) fn read(&self, buffer: &mut [u8], span: &mut Span) -> io::Result<usize> {
        if self.eof.load(Ordering::Relaxed) || buffer.is_empty() {
            return Ok(0);
        }
        let slot = self.slot();
        let result = loop {
            let result = if self.polls.load(Ordering::Relaxed) {
                self.read_polling(buffer, span)
            } else {
                self.read_blocking(buffer, span)
            };
            match result {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result,
            }
        };
        match &result {
            Ok(0) => self.eof.store(true, Ordering::Relaxed),
            Ok(count) => Slot::add(&slot.bytes_in, *count),
            Err(_) => {}
        }
        self.note(result)
    }

    fn read_blocking(&self, buffer: &mut [u8], span: &mut Span) -> io::Result<usize> {
        let slot = self.slot();
        self.fit_socket_timeout(span)?;
        // SeqCst: either the drain that follows finds this request waiting, or this request finds the drain.
        slot.waiting.store(Tick::coarse().0, Ordering::SeqCst);
        let requests = self.ticket.requests();
        let result = if requests.is_shutting_down() && slot.owes_nothing() {
            self.read_the_last(buffer)
        } else {
            self.transport.recv(buffer, Wait::Block)
        };
        slot.waiting.store(0, Ordering::Relaxed);
        match result {
            Ok(0) => match slot.told() {
                Told::FirstByte => Err(Timeout::FirstByte.into()),
                Told::Request => Err(Timeout::Request.into()),
                Told::Cut => Err(cut()),
                Told::Shutdown => Ok(0),
                Told::No => {
                    self.peer_ended
                        .store(!requests.is_shutting_down(), Ordering::Relaxed);
                    Ok(0)
                }
            },
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(Timeout::Read.into()),
            Err(error) if is_disconnect(&error) => Err(self.why_ended().unwrap_or(error)),
            result => result,
        }
    }

    /// Takes what the kernel already holds; nothing there is the end.
    fn read_the_last(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.transport.recv(buffer, Wait::Not) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            Ok(0) => {
                self.peer_ended.store(true, Ordering::Relaxed);
                Ok(0)
            }
            result => result,
        }
    }

    /// A blocking call waits as long as its socket says, so what is left of a longer wait is set there.
    ///
    /// A receive in progress ignores a new value, and each setting costs a system call: it is changed only when the wait
    /// would otherwise end more than an eighth too late.
    fn fit_socket_timeout(&self, span: &mut Span) -> io::Result<()> {
        let timeout = self.timeout.load(Ordering::Relaxed);
        let set = self.socket_timeout.load(Ordering::Relaxed);
        let want = match span.0 {
            None => {
                span.0 = Some(Tick::coarse());
                timeout
            }
            Some(_) if timeout == 0 => 0,
            Some(began) => {
                let left = began.after(Duration::from_nanos(timeout)).left();
                if left.is_zero() {
                    return Err(Timeout::Read.into());
                }
                let left = nanos(left);
                if set != 0 && set.saturating_sub(left) <= timeout / 8 {
                    set
                } else {
                    left
                }
            }
        };
        if want == set { Ok(()) } else { self.fit(want) }
    }

    /// Bounds the socket's own blocking calls.
    fn fit(&self, nanos: u64) -> io::Result<()> {
        let timeout = (nanos != 0).then(|| Duration::from_nanos(nanos));
        self.transport.set_timeout(timeout)?;
        self.socket_timeout.store(nanos, Ordering::Relaxed);
        Ok(())
    }

    fn read_polling(&self, buffer: &mut [u8], span: &mut Span) -> io::Result<usize> {
        let slot = self.slot();
        let first = slot.bytes_in.load(Ordering::Relaxed) == 0;
        let began = *span.0.get_or_insert_with(Tick::now);
        if first {
            // What a new peer has to say has often arrived already.
            match self.transport.recv(buffer, Wait::Not) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Ok(0) => return self.read_the_last(buffer),
                result => return result,
            }
        }
        let idle = self
            .timeout()
            .map(|timeout| (began.after(timeout), Timeout::Read));
        let first = self
            .ticket
            .requests()
            .options
            .first_byte_timeout
            .filter(|_| first);
        let first = first.map(|timeout| (began.after(timeout), Timeout::FirstByte));
        let deadline = [idle, first]
            .into_iter()
            .flatten()
            .min_by_key(|(at, _)| *at);
        slot.waiting.store(began.0, Ordering::SeqCst);
        let result = self.wait(PollFlags::IN, deadline);
        slot.waiting.store(0, Ordering::Relaxed);
        result?;
        self.read_the_last(buffer)
    }

    /// Polls until the transport is ready, or a shutdown tells this request to end (then there may be nothing to read).
    fn wait(&self, interest: PollFlags, deadline: Option<(Tick, Timeout)>) -> io::Result<()> {
        let requests = self.ticket.requests();
        let Some(socket) = self.transport.descriptor() else {
            return Ok(()); // Without a descriptor the transport waits by itself.
        };
        let request = self.slot().expires().map(|at| (at, Timeout::Request));
        let deadline = [deadline, request]
            .into_iter()
            .flatten()
            .min_by_key(|(at, _)| *at);
        loop {
            let now = Tick::now();
            let plan = requests.plan();
            let stage = plan.map_or(Stage::Serving, |plan| plan.stage(now));
            let reads = interest.contains(PollFlags::IN);
            match stage {
                Stage::Cut | Stage::Over => {
                    if !requests.is_child() {
                        requests.end(self.index, Told::Cut); // A child's parent has written it down itself.
                    }
                    return Err(cut());
                }
                Stage::Told if reads => return Ok(()),
                Stage::Draining if reads && self.slot().owes_nothing() => return Ok(()),
                _ => {}
            }
            if let Some((at, timeout)) = deadline
                && at <= now
            {
                return Err(timeout.into());
            }
            let until = [
                deadline.map(|(at, _)| at),
                plan.and_then(|plan| plan.next(now)),
            ]
            .into_iter()
            .flatten()
            .min();
            if self.poll(socket, interest, stage, until.map(|until| until.since(now)))? {
                return Ok(());
            }
        }
    }

    /// Polls once; returns whether the socket itself is ready.
    fn poll(
        &self,
        socket: BorrowedFd<'_>,
        interest: PollFlags,
        stage: Stage,
        timeout: Option<Duration>,
    ) -> io::Result<bool> {
        let requests = self.ticket.requests();
        // Both stay readable once they are, so each is polled only until it was seen.
        let watch = |wanted: bool| {
            if wanted {
                PollFlags::IN
            } else {
                PollFlags::empty()
            }
        };
        let (life, over) = (requests.life_line(), requests.end_of_grace());
        let mut fds = [
            PollFd::from_borrowed_fd(socket, interest),
            PollFd::from_borrowed_fd(over, watch(!requests.is_grace_over())),
            PollFd::from_borrowed_fd(life, PollFlags::IN),
        ];
        let count = if stage == Stage::Serving { 3 } else { 2 };
        match poll(&mut fds[..count], timeout.map(timespec).as_ref()) {
            Err(Errno::INTR) | Ok(0) => return Ok(false),
            Err(error) => return Err(error.into()),
            Ok(_) => {}
        }
        if !fds[0].revents().is_empty() {
            return Ok(true);
        }
        if !fds[1].revents().is_empty() {
            requests.note_shutdown();
            requests.note_end_of_grace();
        }
        if !fds[2].revents().is_empty() {
            requests.note_shutdown();
        }
        Ok(false)
    }

    /// Sends all of `first`, then all of `second`, with no sender's message in between.
    pub(crate) fn write_all(&self, first: &[u8], second: &[u8]) -> io::Result<()> {
        match self.outgoing.get() {
            None => self.send(first).and_then(|()| self.send(second)),
            Some(outgoing) => outgoing.exclusively(|queued| {
                queued
                    .iter()
                    .map(|message| &**message)
                    .chain([first, second])
                    .try_for_each(|bytes| self.send(bytes))
            }),
        }
    }

    fn send(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let result = if self.polls.load(Ordering::Relaxed) {
                self.send_polling(bytes)
            } else {
                self.send_blocking(bytes)
            };
            match result {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => {
                    let count = self.note(result)?;
                    Slot::add(&self.slot().bytes_out, count);
                    bytes = &bytes[count..];
                }
            }
        }
        Ok(())
    }

    fn send_blocking(&self, bytes: &[u8]) -> io::Result<usize> {
        let timeout = self.timeout.load(Ordering::Relaxed);
        if timeout != self.socket_timeout.load(Ordering::Relaxed) {
            self.fit(timeout)?; // What was left of a long read is no bound for a write.
        }
        self.transport
            .send(bytes, Wait::Block)
            .map_err(|error| match error.kind() {
                io::ErrorKind::WouldBlock => Timeout::Write.into(),
                _ if is_disconnect(&error) => self.why_ended().unwrap_or(error),
                _ => error,
            })
    }

    /// Our own end of the connection, if that is what a disconnect was: a peer that goes on talking is reset by it.
    fn why_ended(&self) -> Option<io::Error> {
        match self.slot().told() {
            Told::Request => Some(Timeout::Request.into()),
            Told::Cut => Some(cut()),
            _ => None,
        }
    }

    fn send_polling(&self, bytes: &[u8]) -> io::Result<usize> {
        match self.transport.send(bytes, Wait::Not) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let deadline = self
                    .timeout()
                    .map(|timeout| (Tick::now().after(timeout), Timeout::Write));
                self.wait(PollFlags::OUT, deadline)?;
                Err(io::ErrorKind::Interrupted.into()) // Try again.
            }
            result => result,
        }
    }

    /// Remembers what the stream saw, whatever the handler makes of it.
    fn note<T>(&self, result: io::Result<T>) -> io::Result<T> {
        let saw = match &result {
            Ok(_) => 0,
            Err(error) => match error
                .get_ref()
                .and_then(|error| error.downcast_ref::<Timeout>())
            {
                Some(Timeout::FirstByte) => 2,
                Some(Timeout::Read) => 3,
                Some(Timeout::Write) => 4,
                Some(Timeout::Request) => 5,
                None if is_disconnect(error) && error.raw_os_error().is_some() => SAW_DISCONNECT,
                None => 0,
            },
        };
        if saw != self.saw.load(Ordering::Relaxed) {
            self.saw.store(saw, Ordering::Relaxed);
        }
        result
    }

    pub(crate) fn seen(&self) -> Seen {
        let timeout = match self.saw.load(Ordering::Relaxed) {
            2 => Some(Timeout::FirstByte),
            3 => Some(Timeout::Read),
            4 => Some(Timeout::Write),
            5 => Some(Timeout::Request),
            _ => None,
        };
        Seen {
            disconnect: self.saw.load(Ordering::Relaxed) == SAW_DISCONNECT,
            timeout,
        }
    }

    /// The queue of this stream's senders, made when the first one is asked for.
    pub(crate) fn outgoing(&self) -> &Arc<Outgoing> {
        self.outgoing.get_or_init(|| {
            Arc::new(Outgoing::new(
                Arc::clone(&self.transport),
                Arc::clone(self.ticket.requests()),
            ))
        })
    }

    /// Sends what senders have queued.
    pub(crate) fn flush_senders(&self) -> io::Result<()> {
        if self.outgoing.get().is_some() {
            self.write_all(&[], &[])
        } else {
            Ok(())
        }
    }

    /// The socket goes on without us: it is neither told nor closed by this request's end.
    pub(crate) fn release(&self) {
        self.released.store(true, Ordering::Relaxed);
        self.eof.store(true, Ordering::Relaxed);
    }

    /// Ends the connection without losing the reply, and counts the request as ended just before the peer can see it.
    ///
    /// If the peer still talks its bytes are drained, by the accept loop, before the socket is closed: closing it now would
    /// reset the connection, and a reset takes the reply with it. `unread`: whether bytes of the peer are left in our own
    /// buffer.
    pub(crate) fn hang_up(&self, unread: bool) {
        if let Some(outgoing) = self.outgoing.get() {
            outgoing.close();
        }
        if self.released.load(Ordering::Relaxed) {
            return self.settle();
        }
        let talks = unread || !self.peer_ended.load(Ordering::Relaxed) && self.has_unread();
        let (requests, leaves_it) = (self.requests(), talks && !self.requests().is_child());
        if leaves_it {
            // Before the request counts as ended: a server that drains must find it.
            lock(&requests.lingering).push(Arc::clone(&self.transport));
        }
        self.settle();
        // Where the peer's end was seen and nobody else holds the socket, closing it sends ours.
        if talks || requests.is_child() || !self.peer_ended.load(Ordering::Relaxed) {
            // A peer that has left needs no end.
            let _ = self.transport.shutdown(Shutdown::Write);
        }
        if leaves_it {
            requests.wake.wake();
        } else if talks {
            self.linger(); // The handler is gone, and this child has nothing else to do.
        }
    }

    /// Drains what the peer still says, for a bounded time.
    fn linger(&self) {
        let until = Tick::now().after(LINGER_TIME);
        let mut left = LINGER_BYTES;
        let mut sink = [0; 4096];
        while left > 0 {
            match self.transport.recv(&mut sink, Wait::Not) {
                Ok(0) => return,
                Ok(count) => left = left.saturating_sub(count),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let Some(socket) = self.transport.descriptor() else {
                        return;
                    };
                    let mut fds = [PollFd::from_borrowed_fd(socket, PollFlags::IN)];
                    if !matches!(poll(&mut fds, Some(&timespec(until.left()))), Ok(1..)) {
                        return;
                    }
                }
                Err(_) => return,
            }
        }
    }

    /// Whether the peer still talks: then it has usually filled the kernel's buffer by now.
    fn has_unread(&self) -> bool {
        self.transport
            .recv(&mut [0; 512], Wait::Not)
            .is_ok_and(|count| count > 0)
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        (*self.transport).as_fd()
    }
}

impl Kept for Arc<Link> {
    fn ticket(&self) -> &Ticket {
        &self.ticket
    }

    fn peer(&self) -> &Address {
        &self.peer
    }

    fn keeps_socket(&self) -> bool {
        true
    }
}

impl std::ops::Deref for Link {
    type Target = Ticket;

    fn deref(&self) -> &Ticket {
        &self.ticket
    }
}

fn cut() -> io::Error {
    io::Error::new(
        io::ErrorKind::ConnectionAborted,
        "cut by the server's shutdown",
    )
}

fn nanos(duration: Duration) -> u64 {
    // A zero means for ever to the kernel, so the shortest timeout is a microsecond, its unit.
    u64::try_from(duration.as_nanos())
        .unwrap_or(u64::MAX)
        .max(1000)
}
