//! One stream's connection: how a read or a write waits, is told to end, and passes its deadlines.
//!
//! A request that runs on a thread of its own blocks in `recv`, one system call, and the accept loop ends that by shutting
//! the socket down. A request that runs where the server accepts, or in a child, polls its socket together with the
//! life line, because nobody else is awake who could end its wait.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::address::Address;
use crate::error::{Cut, Seen, Timeout, is_disconnect};
use crate::named::Named;
use crate::request::descriptors::Arrivals;
use crate::request::rate::{Exchange, Pace};
use crate::request::sender::Outgoing;
use crate::requests::children::{Held, Kept};
use crate::requests::{ServerHandle, Slot, Ticket, Told};
use crate::sys::clock::{Tick, at_least_a_micro};
use crate::transport::{Transport, Wait};

/// A connection and its place in the table, shared by the halves of a stream, which may be on two threads.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) peer: Address,
    local: OnceLock<Address>,
    pub(super) ticket: Ticket,
    /// Whether a wait polls, because this is the accepting thread or a child.
    pub(super) polls: AtomicBool,
    /// In nanoseconds; zero is for ever.
    timeout: AtomicU64,
    /// What the socket's own timeout is set to, likewise.
    socket_timeout: AtomicU64,
    /// End-of-file was seen, or told.
    pub(super) eof: AtomicBool,
    /// The peer itself sent its end: nothing of it can be unread.
    pub(super) peer_ended: AtomicBool,
    /// The socket has a new owner, who closes it.
    pub(super) released: AtomicBool,
    /// Somebody else may hold the socket, too: closing ours need not be the end.
    pub(super) lent: AtomicBool,
    saw: AtomicU8,
    pub(super) exchange: Exchange,
    pub(super) outgoing: OnceLock<Arc<Outgoing>>,
    /// The descriptors that came, if any are expected.
    pub(super) arrivals: OnceLock<Box<Arrivals>>,
}

/// A wait that may take several reads: `read_line` and `read_exact` count as one.
#[derive(Debug, Default)]
pub(crate) struct Span {
    pub(super) began: Option<Tick>,
    /// A half of a split stream reads. What the other one writes may be no answer, so `min_rate` says nothing of it.
    pub(super) half: bool,
    /// When the peer falls behind `min_rate`, if no more comes.
    pub(super) late: Option<Tick>,
    /// Since when `min_rate` counts a wait that no thread waits.
    pub(super) unattended: Option<Tick>,
}

/// How much a send that blocks is given under `min_rate`. Of more a Unix socket makes pieces, and waits anew for each.
const PIECE: usize = 32 << 10;

const SAW_DISCONNECT: u8 = 1;
/// Codes of deadlines begin here.
const SAW_TIMEOUT: u8 = 2;
const SAW_CUT: u8 = u8::MAX;

impl Link {
    /// Lets the socket go, and keeps the place in the table.
    pub(crate) fn into_kept(self) -> Kept {
        Kept::Place(self.peer, self.ticket)
    }

    /// `inherits`: whether the socket already has the server's timeout, as those accepted by TCP have from their listener.
    pub(crate) fn new(
        transport: Arc<dyn Transport>,
        peer: Address,
        local: OnceLock<Address>,
        inherits: bool,
        ticket: Ticket,
    ) -> Self {
        let options = &ticket.requests().options;
        let timeout = options.timeout.map_or(0, nanos);
        let exchange = Exchange::new(options.min_rate);
        Self {
            transport,
            peer,
            local,
            ticket,
            polls: AtomicBool::new(false),
            timeout: AtomicU64::new(timeout),
            socket_timeout: AtomicU64::new(if inherits { timeout } else { 0 }),
            eof: AtomicBool::new(false),
            peer_ended: AtomicBool::new(false),
            released: AtomicBool::new(false),
            lent: AtomicBool::new(false),
            saw: AtomicU8::new(0),
            exchange,
            outgoing: OnceLock::new(),
            arrivals: OnceLock::new(),
        }
    }

    /// The unit that runs the request says so, on its own thread and in its own process.
    pub(crate) fn run_here(&self) {
        // Without a descriptor there is nothing to poll: the transport waits by itself.
        let polls = self.transport.descriptor().is_some() && self.requests().is_accepting_here();
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

    /// The handler has taken something that it has not answered yet.
    #[inline]
    pub(crate) fn owe(&self) {
        self.slot().taken.store(true, Ordering::Relaxed);
    }

    /// The handler has answered what it took, or says that it owes no answer.
    pub(crate) fn owe_nothing(&self) {
        self.slot().taken.store(false, Ordering::Relaxed);
        self.exchange.end();
    }

    /// Receives some bytes, waiting for them if need be. Zero is the end, real or told.
    pub(crate) fn read(&self, buffer: &mut [u8], span: &mut Span) -> io::Result<usize> {
        if self.eof.load(Ordering::Relaxed) || buffer.is_empty() {
            return Ok(0);
        }
        let slot = self.slot();
        let result = loop {
            let exchange = match span.half {
                false => self.exchange.begin(slot.taken.load(Ordering::Relaxed)),
                true => None,
            };
            span.late = exchange.map(|(_, late)| late);
            let result = if self.polls.load(Ordering::Relaxed) {
                self.read_polling(buffer, span)
            } else {
                self.read_blocking(buffer, span)
            };
            if let Some((began, _)) = exchange {
                self.exchange.waited(began);
            }
            match result {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result,
            }
        };
        if let (Err(_), Some(began)) = (&result, span.began)
            && slot.is_silent()
        {
            slot.waited_in_vain(began);
        }
        self.came(result)
    }

    /// What a read came to.
    fn came(&self, result: io::Result<usize>) -> io::Result<usize> {
        match &result {
            Ok(0) => self.eof.store(true, Ordering::Relaxed),
            Ok(count) => {
                let slot = self.slot();
                if slot.is_silent() && slot.bytes_out.now() == 0 {
                    self.requests().note_listening();
                }
                slot.bytes_in.add(*count);
                self.exchange.received(*count);
            }
            Err(_) => {}
        }
        self.note(result)
    }

    /// Receives what is there; nothing is that it would have to be waited for.
    pub(crate) fn read_now(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        if self.eof.load(Ordering::Relaxed) {
            return Ok(Some(0));
        }
        let result = loop {
            match self.recv(buffer, Wait::Not) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result,
            }
        };
        let is_told = || self.requests().is_draining() && self.requests().may_end(self.slot());
        match result {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                Ok(is_told().then_some(0)) // Nobody would be woken who has not waited before.
            }
            result => self.came(self.received(result, Timeout::Read)).map(Some),
        }
    }

    /// A wait begins that no thread waits; the accept loop ends it when it has taken too long.
    pub(crate) fn wait_unattended(&self, span: &mut Span) {
        let began = *span.began.get_or_insert_with(Tick::coarse);
        let slot = self.slot();
        let exchange = self.exchange.begin(slot.taken.load(Ordering::Relaxed));
        span.unattended = exchange.map(|(began, _)| began);
        let idle = self.timeout();
        let idle = idle.map(|timeout| (began.after(timeout), Told::Idle));
        let rate = exchange.map(|(_, late)| (late, Told::Rate));
        let due = [idle, rate].into_iter().flatten().min_by_key(|(at, _)| *at);
        slot.wait_unattended(due);
    }

    /// The same for a write, whose peer has to make room.
    pub(crate) fn wait_unattended_for_room(&self, pace: &mut Pace) {
        let now = Tick::now();
        pace.unattended = Some(now);
        let idle = self.timeout();
        let idle = idle.map(|timeout| (now.after(timeout), Told::Choked));
        let rate = self.exchange.min_rate();
        let rate = rate.map(|rate| (now.after(pace.left(rate)), Told::ChokedRate));
        let due = [idle, rate].into_iter().flatten().min_by_key(|(at, _)| *at);
        self.slot().wait_unattended(due);
    }

    /// That wait has ended.
    pub(crate) fn attend(&self, span: &mut Span, pace: &mut Pace) {
        if let Some(began) = span.unattended.take() {
            self.exchange.waited(began);
        }
        if let Some(began) = pace.unattended.take() {
            pace.waited += Tick::now().since(began);
        }
        self.slot().wait_unattended(None);
    }

    /// Sends what the peer takes at once; `None` if that is nothing.
    pub(crate) fn send_now(&self, bytes: &[u8], pace: &mut Pace) -> io::Result<Option<usize>> {
        loop {
            match self.transport.send(bytes, Wait::Not) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                result => {
                    let count = self.note(self.sent(result, Timeout::Write))?;
                    self.slot().bytes_out.add(count);
                    pace.bytes += count as u64;
                    return Ok(Some(count));
                }
            }
        }
    }

    fn read_blocking(&self, buffer: &mut [u8], span: &mut Span) -> io::Result<usize> {
        if span.late.is_some() {
            // What has come already costs no setting of a timeout.
            match self.recv(buffer, Wait::Not) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return self.received(result, Timeout::Rate),
            }
        }
        let (slot, now) = (self.slot(), Tick::coarse());
        let late = self.fit_read(span, now)?;
        // SeqCst: either the drain that follows finds this request waiting, or this request finds the drain.
        slot.waiting.begin(now.0);
        let requests = self.ticket.requests();
        let result = if requests.is_draining() && requests.may_end(slot) {
            self.read_the_last(buffer)
        } else {
            self.recv(buffer, Wait::Block)
        };
        slot.waiting.end();
        self.received(result, late)
    }

    /// What a blocking receive came to: its end may be our own, and `late` is the deadline that it was given.
    #[inline]
    fn received(&self, result: io::Result<usize>, late: Timeout) -> io::Result<usize> {
        match result {
            Ok(0) => {
                let told = self.slot().told();
                if told == Told::No {
                    self.peer_ended
                        .store(!self.requests().is_draining(), Ordering::Relaxed);
                }
                told.error().map_or(Ok(0), Err)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(late.into()),
            Err(error) if is_disconnect(&error) => Err(self.why_ended().unwrap_or(error)),
            result => result,
        }
    }

    /// Takes what the kernel already holds; nothing there is the end.
    pub(super) fn read_the_last(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.recv(buffer, Wait::Not) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            Ok(0) => self.at_end(),
            result => result,
        }
    }

    /// The peer itself has sent its end.
    pub(super) fn at_end(&self) -> io::Result<usize> {
        self.peer_ended.store(true, Ordering::Relaxed);
        Ok(0)
    }

    /// Sets what is left of a wait on the socket, whose blocking calls take as long as it says.
    ///
    /// A receive in progress ignores a new value, and each setting costs a system call: it is changed only when the wait
    /// would otherwise end more than an eighth too late.
    fn fit_read(&self, span: &mut Span, now: Tick) -> io::Result<Timeout> {
        let timeout = self.timeout.load(Ordering::Relaxed);
        let (left, slack) = match span.began {
            None => {
                span.began = Some(now);
                (timeout, 0)
            }
            Some(_) if timeout == 0 => (0, 0),
            Some(began) => {
                let left = began.after(Duration::from_nanos(timeout)).left();
                if left.is_zero() {
                    return Err(Timeout::Read.into());
                }
                (nanos(left), timeout / 8)
            }
        };
        let rate = span.late.map(Tick::left);
        self.fit_sooner((left, slack, Timeout::Read), rate)
    }

    /// Bounds the next blocking call by what is left of `timeout`, where zero is for ever, or of `min_rate`; returns which
    /// of the two it will be that has passed.
    #[inline]
    fn fit_sooner(
        &self,
        (left, slack, which): (u64, u64, Timeout),
        rate: Option<Duration>,
    ) -> io::Result<Timeout> {
        let (left, slack, which) = match rate.map(nanos) {
            Some(rate) if left == 0 || rate < left => (rate, rate / 8, Timeout::Rate),
            _ => (left, slack, which),
        };
        let set = self.socket_timeout.load(Ordering::Relaxed);
        if set < left || set - left > slack {
            self.fit(left)?;
        }
        Ok(which)
    }

    /// Bounds the socket's own blocking calls.
    fn fit(&self, nanos: u64) -> io::Result<()> {
        let timeout = (nanos != 0).then(|| Duration::from_nanos(nanos));
        self.transport.set_timeout(timeout)?;
        self.socket_timeout.store(nanos, Ordering::Relaxed);
        Ok(())
    }

    /// Sends all of `first`, then all of `second`, with no sender's message in between.
    pub(crate) fn write_all(&self, first: &[u8], second: &[u8]) -> io::Result<()> {
        self.send_behind_senders(|pace| {
            self.send(first, pace)?;
            self.send(second, pace)
        })
    }

    /// Runs one write of the handler, `send`, behind what senders have queued.
    #[inline]
    pub(super) fn send_behind_senders(
        &self,
        send: impl FnOnce(&mut Pace) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut pace = Pace::default();
        match self.outgoing.get() {
            None => send(&mut pace),
            Some(outgoing) => outgoing.exclusively(|queued| {
                let mut messages = queued.iter();
                messages.try_for_each(|message| self.send(message, &mut pace))?;
                send(&mut pace)
            }),
        }
    }

    pub(super) fn send(&self, mut bytes: &[u8], pace: &mut Pace) -> io::Result<()> {
        let is_rated = self.exchange.min_rate().is_some();
        while !bytes.is_empty() {
            let piece = &bytes[..bytes.len().min(PIECE)];
            let count = self.send_some(pace, |wait| match wait {
                Wait::Block if is_rated => self.transport.send(piece, wait),
                _ => self.transport.send(bytes, wait),
            })?;
            bytes = &bytes[count..];
        }
        Ok(())
    }

    /// Makes one call that sends, waiting until it can; returns how many bytes went.
    pub(super) fn send_some(
        &self,
        pace: &mut Pace,
        call: impl Fn(Wait) -> io::Result<usize>,
    ) -> io::Result<usize> {
        loop {
            let result = if self.polls.load(Ordering::Relaxed) {
                self.send_polling(&call, pace)
            } else {
                self.send_blocking(&call, pace)
            };
            match result {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => {
                    let count = self.note(result)?;
                    self.slot().bytes_out.add(count);
                    pace.bytes += count as u64;
                    return Ok(count);
                }
            }
        }
    }

    fn send_blocking(
        &self,
        call: impl Fn(Wait) -> io::Result<usize>,
        pace: &mut Pace,
    ) -> io::Result<usize> {
        // What was left of a long read is no bound for a write.
        let idle = (self.timeout.load(Ordering::Relaxed), 0, Timeout::Write);
        let Some(min_rate) = self.exchange.min_rate() else {
            let late = self.fit_sooner(idle, None)?;
            return self.sent(call(Wait::Block), late);
        };
        // What the kernel takes at once costs no setting of a timeout.
        match call(Wait::Not) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            result => return self.sent(result, Timeout::Rate),
        }
        let late = self.fit_sooner(idle, Some(pace.left(min_rate)))?;
        let began = Tick::now();
        let result = call(Wait::Block);
        pace.waited += Tick::now().since(began);
        self.sent(result, late)
    }

    /// What a blocking send came to, whose deadline was `late`.
    #[inline]
    fn sent(&self, result: io::Result<usize>, late: Timeout) -> io::Result<usize> {
        result.map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => late.into(),
            _ if is_disconnect(&error) => self.why_ended().unwrap_or(error),
            _ => error,
        })
    }

    /// Our own end of the connection, if that is what a disconnect was: a peer that goes on talking is reset by it.
    fn why_ended(&self) -> Option<io::Error> {
        let told = self.slot().told();
        told.error().filter(|_| told.ends_writing())
    }

    /// Remembers what the stream saw, whatever the handler makes of it.
    #[inline]
    fn note<T>(&self, result: io::Result<T>) -> io::Result<T> {
        let saw = result.as_ref().err().map_or(0, saw);
        if saw != self.saw.load(Ordering::Relaxed) {
            self.saw.store(saw, Ordering::Relaxed);
        }
        result
    }

    pub(crate) fn seen(&self) -> Seen {
        let saw = self.saw.load(Ordering::Relaxed);
        let timeout = saw.checked_sub(SAW_TIMEOUT);
        Seen {
            disconnect: saw == SAW_DISCONNECT,
            timeout: timeout.and_then(Timeout::from_number),
            cut: saw == SAW_CUT,
        }
    }

    /// The queue of this stream's senders, made when the first one is asked for.
    pub(crate) fn outgoing(&self) -> &Arc<Outgoing> {
        self.outgoing.get_or_init(|| {
            Arc::new(Outgoing::new(
                Arc::clone(&self.transport),
                Arc::clone(self.ticket.requests()),
                self.ticket.index,
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
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        (*self.transport).as_fd()
    }
}

impl Held for Link {
    fn ticket(&self) -> &Ticket {
        &self.ticket
    }

    fn peer(&self) -> &Address {
        &self.peer
    }
}

impl std::ops::Deref for Link {
    type Target = Ticket;

    fn deref(&self) -> &Ticket {
        &self.ticket
    }
}

fn saw(error: &io::Error) -> u8 {
    let by = error.get_ref();
    match by.and_then(|error| error.downcast_ref::<Timeout>()) {
        Some(timeout) => SAW_TIMEOUT + *timeout as u8,
        None if by.is_some_and(|error| error.is::<Cut>()) => SAW_CUT,
        None if is_disconnect(error) && error.raw_os_error().is_some() => SAW_DISCONNECT,
        None => 0,
    }
}

pub(super) fn nanos(duration: Duration) -> u64 {
    u64::try_from(at_least_a_micro(duration).as_nanos()).unwrap_or(u64::MAX)
}
