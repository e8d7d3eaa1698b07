//! How a request waits where nobody else is awake to end its wait: it polls its socket together with the life line.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use crate::drain::Stage;
use crate::error::{Cut, Timeout};
use crate::request::link::{Link, Span};
use crate::request::rate::Pace;
use crate::request::sender::Outgoing;
use crate::requests::{Requests, Told};
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

/// Where a shutdown stands when a request is about to wait.
pub(super) struct Moment {
    pub(super) now: Tick,
    pub(super) stage: Stage,
    /// When the next stage begins.
    pub(super) next: Option<Tick>,
}

/// When a wait has taken too long, and which timeout says so.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline(Option<(Tick, Timeout)>);

impl Deadline {
    /// The first of them.
    pub(super) fn first<const N: usize>(all: [Option<(Tick, Timeout)>; N]) -> Self {
        Self(all.into_iter().flatten().min_by_key(|(at, _)| *at))
    }

    /// Returns when it is, unless it has passed.
    pub(super) fn check(self, now: Tick) -> io::Result<Option<Tick>> {
        match self.0 {
            Some((at, timeout)) if at <= now => Err(timeout.into()),
            deadline => Ok(deadline.map(|(at, _)| at)),
        }
    }
}

/// How often, during a drain, a request that waits looks whether another thread has made it idle.
const LOOK: Duration = Duration::from_millis(50);

impl Link {
    pub(super) fn read_polling(&self, buffer: &mut [u8], span: &mut Span) -> io::Result<usize> {
        let slot = self.slot();
        let first = slot.is_silent();
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
        let first = first.map(|timeout| slot.silence_left(timeout));
        let first = first.map(|left| (began.after(left), Timeout::FirstByte));
        let rate = span.late.map(|late| (late, Timeout::Rate));
        let deadline = Deadline::first([idle, first, rate]);
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
    fn wait(&self, interest: PollFlags, deadline: Deadline) -> io::Result<Ended> {
        let requests = self.ticket.requests();
        let Some(socket) = self.transport.descriptor() else {
            return Err(io::ErrorKind::Unsupported.into()); // `run_here` lets such a transport wait by itself.
        };
        let request = self.slot().expires().map(|at| (at, Timeout::Request));
        let deadline = Deadline::first([deadline.0, request]);
        let reads = interest.contains(PollFlags::IN);
        loop {
            let Moment { now, stage, next } = requests.moment();
            match stage {
                Stage::Cut | Stage::Over => {
                    requests.end(self.index, Told::Cut);
                    return Err(Cut.into());
                }
                Stage::Told if reads => return Ok(Ended::Told),
                Stage::Draining if reads && requests.may_end(self.slot()) => {
                    return Ok(Ended::Told);
                }
                _ => {}
            }
            let due = deadline.check(now)?;
            let look = (reads && stage == Stage::Draining).then(|| now.after(LOOK));
            let until = [due, next, look].into_iter().flatten().min();
            let timeout = until.map(|until| until.since(now));
            let outgoing = self.outgoing.get();
            if requests.poll(socket, interest, stage, timeout, outgoing)? {
                return Ok(Ended::Ready);
            }
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
                let at = |(left, which)| (began.after(left), which);
                let deadline = Deadline::first([idle.map(at), rate.map(at)]);
                let ended = self.wait(PollFlags::OUT, deadline);
                pace.waited += Tick::now().since(began);
                ended?;
                Err(io::ErrorKind::Interrupted.into()) // Try again.
            }
            result => result,
        }
    }
}

impl Requests {
    /// Looks where a shutdown stands.
    pub(super) fn moment(&self) -> Moment {
        self.answer(); // A signal ends the poll.
        let now = Tick::now();
        let plan = self.plan();
        let stage = plan.map_or(Stage::Serving, |plan| plan.stage(now));
        if stage >= Stage::Draining && self.is_server_ending() {
            self.note_drain();
        }
        Moment {
            now,
            stage,
            next: plan.and_then(|plan| plan.next(now)),
        }
    }

    /// Polls a request's socket once, beside what a shutdown makes readable, and sends what its senders have queued;
    /// returns whether the socket itself is ready.
    pub(super) fn poll(
        &self,
        socket: BorrowedFd<'_>,
        interest: PollFlags,
        stage: Stage,
        timeout: Option<Duration>,
        outgoing: Option<&Arc<Outgoing>>,
    ) -> io::Result<bool> {
        // Both stay readable once they are, so each is polled only until it was seen.
        let watch = |wanted: bool| {
            if wanted {
                PollFlags::IN
            } else {
                PollFlags::empty()
            }
        };
        let (life, over) = (self.life_line(), self.end_of_grace());
        let queue = match outgoing {
            Some(outgoing) if outgoing.has_queue() => PollFlags::OUT,
            _ => PollFlags::empty(),
        };
        let bell = outgoing.and_then(|outgoing| outgoing.bell());
        let mut fds = [
            PollFd::from_borrowed_fd(socket, interest | queue),
            PollFd::from_borrowed_fd(over, watch(!self.has_seen_over())),
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
        if let Some(outgoing) = outgoing {
            tend(outgoing, !bell.is_empty(), socket.contains(PollFlags::OUT));
        }
        if !over.is_empty() {
            self.see_over();
        }
        if stage == Stage::Serving && !life.is_empty() {
            self.note_shutdown();
        }
        // An error or a hang-up is for whoever waits.
        Ok(!socket.difference(queue.difference(interest)).is_empty())
    }
}

/// Sends what senders have queued, as far as the socket takes it: the accept loop, which would, waits for this request.
fn tend(outgoing: &Outgoing, is_rung: bool, is_writable: bool) {
    if is_rung && let Some(bell) = outgoing.bell() {
        bell.clear();
    }
    if is_rung || is_writable {
        outgoing.send_more(); // What is left is seen at the next poll.
    }
}
