//! How a request waits where nobody else is awake to end its wait: it polls its socket together with the life line.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::Ordering;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use crate::drain::Stage;
use crate::error::{Cut, Timeout};
use crate::request::link::{Link, Span};
use crate::request::rate::Pace;
use crate::requests::Told;
use crate::sys::clock::Tick;
use crate::sys::poller::timespec;
use crate::transport::{Unsent as _, Wait};

/// How a wait by polling ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// The transport has something, or takes something.
    Ready,
    /// A shutdown ends this request: there may be nothing.
    Told,
}

/// How often, during a drain, a request that waits looks whether another thread has made it idle.
const LOOK: Duration = Duration::from_millis(50);

impl Link {
    pub(super) fn read_polling(&self, buffer: &mut [u8], span: &mut Span) -> io::Result<usize> {
        let slot = self.slot();
        let first = slot.bytes_in.load(Ordering::Relaxed) == 0;
        let began = *span.began.get_or_insert_with(Tick::now);
        if first {
            // What a new peer has to say has often arrived already.
            match self.recv(buffer, Wait::Not) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Ok(0) => return self.at_end(),
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
        let rate = span.late.map(|late| (late, Timeout::Rate));
        let deadline = [idle, first, rate]
            .into_iter()
            .flatten()
            .min_by_key(|(at, _)| *at);
        loop {
            slot.waiting.begin(began.0);
            let ended = self.wait(PollFlags::IN, deadline);
            slot.waiting.end();
            match ended? {
                Ended::Told => return self.read_the_last(buffer),
                Ended::Ready => match self.recv(buffer, Wait::Not) {
                    Ok(0) => return self.at_end(),
                    // Readable, and yet nothing to read: half a record of a transport that has records.
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    result => return result,
                },
            }
        }
    }

    /// Polls until the transport is ready, or a shutdown tells this request to end.
    fn wait(&self, interest: PollFlags, deadline: Option<(Tick, Timeout)>) -> io::Result<Ended> {
        let requests = self.ticket.requests();
        let Some(socket) = self.transport.descriptor() else {
            return Err(io::ErrorKind::Unsupported.into()); // `run_here` lets such a transport wait by itself.
        };
        let request = self.slot().expires().map(|at| (at, Timeout::Request));
        let deadline = [deadline, request]
            .into_iter()
            .flatten()
            .min_by_key(|(at, _)| *at);
        loop {
            requests.answer(); // A signal ends the poll.
            let now = Tick::now();
            let plan = requests.plan();
            let stage = plan.map_or(Stage::Serving, |plan| plan.stage(now));
            let reads = interest.contains(PollFlags::IN);
            if stage >= Stage::Draining && requests.is_server_ending() {
                requests.note_drain();
            }
            match stage {
                Stage::Cut | Stage::Over => {
                    if !requests.is_child() {
                        requests.end(self.index, Told::Cut); // A child's parent has written it down itself.
                    }
                    return Err(Cut.into());
                }
                Stage::Told if reads => return Ok(Ended::Told),
                Stage::Draining if reads && requests.may_end(self.slot()) => {
                    return Ok(Ended::Told);
                }
                _ => {}
            }
            if let Some((at, timeout)) = deadline
                && at <= now
            {
                return Err(timeout.into());
            }
            let look = (reads && stage == Stage::Draining).then(|| now.after(LOOK));
            let until = [
                deadline.map(|(at, _)| at),
                plan.and_then(|plan| plan.next(now)),
                look,
            ]
            .into_iter()
            .flatten()
            .min();
            if self.poll(socket, interest, stage, until.map(|until| until.since(now)))? {
                return Ok(Ended::Ready);
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
        let outgoing = self.outgoing.get();
        let queue = match outgoing {
            Some(outgoing) if outgoing.has_queue() => PollFlags::OUT,
            _ => PollFlags::empty(),
        };
        let bell = outgoing.and_then(|outgoing| outgoing.bell());
        let mut fds = [
            PollFd::from_borrowed_fd(socket, interest | queue),
            PollFd::from_borrowed_fd(over, watch(!requests.has_seen_over())),
            PollFd::from_borrowed_fd(bell.map_or(over, AsFd::as_fd), watch(bell.is_some())),
            PollFd::from_borrowed_fd(life, PollFlags::IN),
        ];
        let count = if stage == Stage::Serving { 4 } else { 3 };
        match poll(&mut fds[..count], timeout.map(timespec).as_ref()) {
            Err(Errno::INTR) | Ok(0) => return Ok(false),
            Err(error) => return Err(error.into()),
            Ok(_) => {}
        }
        let [socket, over, bell, life] = fds.map(|fd| fd.revents());
        self.tend_senders(!bell.is_empty(), socket.contains(PollFlags::OUT));
        if !over.is_empty() {
            requests.see_over();
        }
        if stage == Stage::Serving && !life.is_empty() {
            requests.note_shutdown();
        }
        // An error or a hang-up is for whoever waits.
        Ok(!socket.difference(queue.difference(interest)).is_empty())
    }

    /// Sends what senders have queued, as far as the socket takes it: the accept loop, which would, waits for this request.
    fn tend_senders(&self, is_rung: bool, is_writable: bool) {
        let Some(outgoing) = self.outgoing.get() else {
            return;
        };
        if is_rung && let Some(bell) = outgoing.bell() {
            bell.clear();
        }
        if is_rung || is_writable {
            outgoing.send_more(); // What is left is seen at the next poll.
        }
    }

    pub(super) fn send_polling(
        &self,
        call: impl Fn(Wait) -> io::Result<usize>,
        pace: &mut Pace,
    ) -> io::Result<usize> {
        match call(Wait::Not) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let began = Tick::now();
                let idle = self.timeout().map(|timeout| (timeout, Timeout::Write));
                let rate = self.exchange.min_rate();
                let rate = rate.map(|rate| (pace.left(rate), Timeout::Rate));
                let deadline = [idle, rate]
                    .into_iter()
                    .flatten()
                    .min_by_key(|(left, _)| *left);
                let deadline = deadline.map(|(left, which)| (began.after(left), which));
                let ended = self.wait(PollFlags::OUT, deadline);
                pace.waited += Tick::now().since(began);
                ended?;
                Err(io::ErrorKind::Interrupted.into()) // Try again.
            }
            result => result,
        }
    }
}
