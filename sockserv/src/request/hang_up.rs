//! The end of a connection: without losing the reply, and counted just before the peer can see it.

use std::io;
use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use crate::request::link::Link;
use crate::sys::clock::Tick;
use crate::sys::fork;
use crate::sys::poller::timespec;
use crate::sys::unsent::unacknowledged;
use crate::transport::{LINGER_BYTES, Linger, Wait, drain};

/// A reply up to this has reached the peer's kernel by the time it is closed, or nearly so.
const MUCH: u64 = 16 << 10;

impl Link {
    /// Another thread than the one that reads has done what makes the request idle: during a drain somebody must look.
    pub(crate) fn may_be_idle(&self) {
        if self.requests().is_draining() && self.requests().may_end(self.slot()) {
            self.requests().wake.wake();
        }
    }

    /// The socket goes on without us: it is neither told nor closed by this request's end.
    pub(crate) fn release(&self) {
        self.requests().forget_transport(self.index);
        self.released.store(true, Ordering::Relaxed);
        self.eof.store(true, Ordering::Relaxed);
    }

    /// Somebody else sees the socket, and may keep it.
    pub(crate) fn lend(&self) {
        self.lent.store(true, Ordering::Relaxed);
    }

    /// Senders find the connection closed, and hold its socket no longer.
    pub(crate) fn close_senders(&self) {
        if let Some(outgoing) = self.outgoing.get() {
            outgoing.close();
        }
    }

    /// Ends the connection without losing the reply, and counts the request as ended just before the peer can see it.
    ///
    /// If the peer still talks its bytes are drained, by the accept loop, before the socket is closed: closing it now would
    /// reset the connection, and a reset takes the reply with it. `unread`: what of its bytes is left in our own buffer.
    pub(crate) fn hang_up(&self, unread: &[u8]) {
        self.close_senders();
        if self.released.load(Ordering::Relaxed) {
            return self.requests().settle(self.index);
        }
        let (requests, linger) = (self.requests(), self.why_linger(unread));
        let here = linger.filter(|_| requests.is_child());
        if here.is_some() {
            requests.wake.wake(); // The parent's: it tells of the request's end while this child still drains.
        }
        if let (Some(linger), None) = (linger, here) {
            // Before the request counts as ended: a server that drains must find it.
            requests
                .lingering
                .push((Arc::clone(&self.transport), linger));
        }
        requests.settle(self.index);
        let is_shared = self.lent.load(Ordering::Relaxed) || fork::is_shared();
        // Where the peer's end was seen and nobody else holds the socket, closing it sends ours.
        if linger.is_some() || is_shared || !self.peer_ended.load(Ordering::Relaxed) {
            // A peer that has left needs no end.
            let _ = self.transport.shutdown(Shutdown::Write);
        }
        match (linger, here) {
            (_, Some(linger)) => self.linger(linger), // The handler is gone; this child has nothing else to do.
            (Some(_), None) => requests.wake.wake(),
            (None, None) => {}
        }
    }

    fn why_linger(&self, unread: &[u8]) -> Option<Linger> {
        if !unread.is_empty() {
            return Some(Linger::Talking);
        }
        if self.peer_ended.load(Ordering::Relaxed) {
            return None;
        }
        if self.has_unread() || self.has_much_unsent() {
            return Some(Linger::Talking);
        }
        self.slot().is_silent().then_some(Linger::Quiet)
    }

    /// Drains what the peer still says, for a bounded time. A shutdown waits for none who has said nothing.
    #[cold] // What it drains into is a page of the stack, which those who need not drain would touch, too.
    fn linger(&self, linger: Linger) {
        let until = Tick::now().after(linger.time());
        let mut left = LINGER_BYTES;
        let requests = self.requests();
        let heeds_life = linger == Linger::Quiet && requests.options.lame_duck.is_zero();
        while drain(&*self.transport, &mut left) {
            let Some(socket) = self.transport.descriptor() else {
                return;
            };
            let mut fds = [socket, requests.life_line()]
                .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
            let heeded = &mut fds[..1 + usize::from(heeds_life)];
            let ready = poll(heeded, Some(&timespec(until.left())));
            let is_told = !fds[1].revents().is_empty();
            match ready {
                Ok(1..) if !is_told => {}
                Err(Errno::INTR) => {} // By what tells the request, which has ended already.
                _ => return,
            }
        }
    }

    /// Whether more of a long reply is on its way than one segment holds: one byte of the peer that comes after the close
    /// would make the kernel throw the rest away.
    fn has_much_unsent(&self) -> bool {
        self.slot().bytes_out.now() > MUCH
            && self
                .transport
                .descriptor()
                .is_some_and(|socket| unacknowledged(socket) > 0)
    }

    /// Whether the peer still talks: then it has usually filled the kernel's buffer by now.
    fn has_unread(&self) -> bool {
        loop {
            match self.transport.recv(&mut [0; 512], Wait::Not) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result.is_ok_and(|count| count > 0),
            }
        }
    }
}
