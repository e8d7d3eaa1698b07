//! [`Conversation`]: a socket of its own for the peer of a packet.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::event::PollFlags;
use socket2::Socket;

use crate::address::Address;
use crate::drain::Stage;
use crate::error::{Cut, Timeout, of_peer};
use crate::request::link::nanos;
use crate::request::wait::{Deadline, Moment};
use crate::requests::{Requests, Ticket, Told};
use crate::sys::clock::Tick;
use crate::transport::{Transport, Wait};

/// A connected datagram socket for one peer. Made by [`Datagram::conversation`](crate::Datagram::conversation).
///
/// It answers a request, so a shutdown lets it go on until `shutdown_grace` ends. Then [`recv`](Self::recv) takes what has
/// come and waits no more, and a second later nothing is sent or received.
#[derive(Debug)]
pub struct Conversation {
    socket: Socket,
    requests: Arc<Requests>,
    /// The request's place in the table.
    index: u32,
    /// When `request_timeout` ends the request.
    expires: Option<Tick>,
    /// In nanoseconds; zero is for ever.
    timeout: AtomicU64,
}

impl Conversation {
    pub(super) fn new(socket: Socket, ticket: &Ticket) -> Self {
        let requests = Arc::clone(ticket.requests());
        let timeout = requests.options.timeout.map_or(0, nanos);
        Self {
            socket,
            requests,
            index: ticket.index,
            expires: ticket.slot().expires(),
            timeout: AtomicU64::new(timeout),
        }
    }

    /// Sends one packet.
    ///
    /// # Errors
    ///
    /// `TimedOut` if a Unix peer makes no room for it within the server's `timeout` (or [`set_timeout`](Self::set_timeout)),
    /// `ConnectionAborted` a second after a shutdown's grace has ended, or what the operating system says.
    pub fn send(&self, packet: &[u8]) -> io::Result<usize> {
        self.attempt(PollFlags::OUT, Timeout::Write, || {
            Transport::send(&self.socket, packet, Wait::Not)
        })
    }

    /// Receives one packet from the peer and returns its length.
    ///
    /// # Errors
    ///
    /// `TimedOut` after the server's `timeout` (or [`set_timeout`](Self::set_timeout)), `ConnectionAborted` if nothing has
    /// come when a shutdown's grace ends, or what the operating system says.
    pub fn recv(&self, packet: &mut [u8]) -> io::Result<usize> {
        self.attempt(PollFlags::IN, Timeout::Read, || {
            Transport::recv(&self.socket, packet, Wait::Not)
        })
    }

    /// Makes a call, waiting until it can be made.
    fn attempt(
        &self,
        interest: PollFlags,
        timeout: Timeout,
        mut call: impl FnMut() -> io::Result<usize>,
    ) -> io::Result<usize> {
        let mut deadline = None;
        loop {
            let moment = self.requests.moment();
            if moment.stage >= Stage::Cut {
                return Err(self.cut());
            }
            match call() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if moment.stage == Stage::Told && interest.contains(PollFlags::IN) {
                        return Err(Cut.into());
                    }
                    let deadline = deadline.get_or_insert_with(|| self.deadline(timeout));
                    self.wait(interest, &moment, *deadline)?;
                }
                result => return result.map_err(of_peer),
            }
        }
    }

    fn deadline(&self, which: Timeout) -> Deadline {
        let timeout = Some(self.timeout.load(Ordering::Relaxed)).filter(|&nanos| nanos != 0);
        let idle = timeout.map(|nanos| (Tick::now().after(Duration::from_nanos(nanos)), which));
        let request = self.expires.map(|at| (at, Timeout::Request));
        Deadline::first([idle, request])
    }

    fn wait(&self, interest: PollFlags, moment: &Moment, deadline: Deadline) -> io::Result<()> {
        let until = deadline.check(moment.now)?;
        let until = [until, moment.next].into_iter().flatten().min();
        let timeout = until.map(|until| until.since(moment.now));
        self.requests
            .poll(self.socket.as_fd(), interest, moment.stage, timeout, None)
            .map(drop)
    }

    /// Nobody else writes it down while the request has the accepting thread.
    fn cut(&self) -> io::Error {
        if self.requests.is_accepting_here() {
            self.requests.end(self.index, Told::Cut);
        }
        Cut.into()
    }

    /// Bounds how long [`recv`](Self::recv) and [`send`](Self::send) wait; `None` is for ever.
    ///
    /// # Errors
    ///
    /// None today.
    pub fn set_timeout(&self, timeout: impl Into<Option<Duration>>) -> io::Result<()> {
        let nanos = timeout.into().map_or(0, nanos);
        self.timeout.store(nanos, Ordering::Relaxed);
        Ok(())
    }

    /// Returns its own address.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn local_addr(&self) -> io::Result<Address> {
        Ok(Address::from_socket(&self.socket.local_addr()?))
    }
}

impl AsFd for Conversation {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
