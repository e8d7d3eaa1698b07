//! A transport whose peer is a script, and whose time passes only while it waits.
//!
//! It does what a socket and the accept loop do together: a wait ends when the script has something, when the timeout has
//! passed that was set, or when the request is due to be told something.

use std::collections::VecDeque;
use std::io;
use std::net::Shutdown;
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use rustix::io::Errno;

use super::client::quoted;
use crate::drain::Stage;
use crate::error::RequestError;
use crate::requests::{Due, Requests, lock};
use crate::sys::clock::{self, Tick};
use crate::transport::{Transport, Wait};

/// What the peer does next, or somebody who ends the server.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Sends(Vec<u8>),
    Waits(Duration),
    Expects(Vec<u8>),
    StopsReading,
    ReadsOn,
    Eof,
    Leaves,
    Resets,
    ShutsDown,
}

/// How much one call may receive, or send, at most.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pieces {
    pub(super) received: usize,
    pub(super) sent: usize,
}

/// One end of a connection to a script.
#[derive(Debug)]
pub(super) struct Memory {
    pieces: Pieces,
    state: Mutex<State>,
    /// The table, and the request's place there.
    place: OnceLock<(Arc<Requests>, u32)>,
}

#[derive(Debug)]
struct State {
    now: Tick,
    timeout: Option<Duration>,
    steps: VecDeque<Step>,
    /// How many steps are done.
    done: usize,
    /// When the wait ends that the script is in.
    until: Option<Tick>,
    /// What was sent and not received yet.
    arrived: VecDeque<Vec<u8>>,
    written: Written,
    /// How much of that the peer has expected.
    expected: usize,
    peer: Peer,
    /// Whether the peer takes what is sent to it.
    reads: bool,
    /// What our own end has shut down.
    is_read_shut: bool,
    is_write_shut: bool,
    /// Why the test fails.
    failure: Option<String>,
}

/// What a handler sent.
#[derive(Debug, Default)]
pub(super) struct Written {
    pub(super) bytes: Vec<u8>,
    /// Where each of the pieces ends.
    ends: Vec<usize>,
}

impl Written {
    pub(super) fn push(&mut self, piece: &[u8]) {
        self.bytes.extend_from_slice(piece);
        self.ends.push(self.bytes.len());
    }

    pub(super) fn pieces(&self) -> Vec<&[u8]> {
        let mut begin = 0;
        let piece = |end: &usize| {
            let piece = &self.bytes[begin..*end];
            begin = *end;
            piece
        };
        self.ends.iter().map(piece).collect()
    }
}

/// What the peer still does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Peer {
    Talks,
    /// It has said everything.
    Listens,
    Left,
    Reset,
}

/// What there is for a call.
enum Now {
    Ready(io::Result<usize>),
    /// Nothing, until this time if the script has one.
    Until(Option<Tick>),
    /// The server is to be shut down.
    ShutsDown,
}

impl Memory {
    pub(super) fn new(steps: VecDeque<Step>, pieces: Pieces) -> Self {
        let state = State {
            now: Tick::now(),
            timeout: None,
            steps,
            done: 0,
            until: None,
            arrived: VecDeque::new(),
            written: Written::default(),
            expected: 0,
            peer: Peer::Talks,
            reads: true,
            is_read_shut: false,
            is_write_shut: false,
            failure: None,
        };
        Self {
            pieces,
            state: Mutex::new(state),
            place: OnceLock::new(),
        }
    }

    /// Learns which request it carries.
    pub(super) fn carry(&self, requests: &Arc<Requests>, index: u32) {
        // It carries one only.
        let _ = self.place.set((Arc::clone(requests), index));
    }

    /// The request has ended: returns what it wrote, or why the test fails.
    pub(super) fn end(&self, error: Option<&RequestError>) -> Result<Written, String> {
        let mut state = self.state();
        state.expect_the_rest(error);
        match state.failure.take() {
            Some(failure) => Err(failure),
            None => Ok(std::mem::take(&mut state.written)),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Makes a call until it is ready, and lets time pass in between if it may wait.
    fn call(&self, wait: Wait, mut call: impl FnMut(&mut State) -> Now) -> io::Result<usize> {
        let timeout = {
            let state = self.state();
            state.timeout.map(|timeout| state.now.after(timeout))
        };
        loop {
            let now = call(&mut self.state());
            let until = match now {
                Now::Ready(result) => return result,
                _ if wait == Wait::Not => return Err(Errno::AGAIN.into()),
                Now::Until(until) => until,
                Now::ShutsDown => {
                    self.shut_server_down();
                    continue;
                }
            };
            let due = match self.look_after() {
                Due::Now(_) => continue,
                Due::Later(due) => due,
            };
            let mut state = self.state();
            match [until, timeout, due].into_iter().flatten().min() {
                Some(next) => state.pass(next),
                None => return state.hang(),
            }
            if timeout.is_some_and(|timeout| timeout <= state.now) {
                return Err(Errno::AGAIN.into());
            }
            drop(state);
            self.look_after(); // A deadline comes before what happens at the same time.
        }
    }

    fn shut_server_down(&self) {
        self.state().next_step();
        if let Some((requests, _)) = self.place.get() {
            requests.shutdown();
        }
    }

    /// Looks after the request as the accept loop does.
    fn look_after(&self) -> Due {
        let Some((requests, index)) = self.place.get() else {
            return Due::Later(None);
        };
        let now = self.state().now;
        let plan = requests.plan();
        let stage = plan.map_or(Stage::Serving, |plan| plan.stage(now));
        if stage >= Stage::Draining {
            requests.note_drain();
        }
        let first_byte = requests.options.first_byte_timeout;
        let is_idle = |slot: &_| requests.is_idle(slot);
        match requests.slot(*index).due(stage, now, first_byte, is_idle) {
            Due::Now(why) => {
                requests.end(*index, why);
                Due::Now(why)
            }
            Due::Later(at) => {
                let next = plan.and_then(|plan| plan.next(now));
                Due::Later([at, next].into_iter().flatten().min())
            }
        }
    }
}

impl State {
    fn receive(&mut self, buffer: &mut [u8]) -> Now {
        loop {
            if let Some(bytes) = self.arrived.front_mut() {
                let count = bytes.len().min(buffer.len());
                buffer[..count].copy_from_slice(&bytes[..count]);
                bytes.drain(..count);
                if bytes.is_empty() {
                    self.arrived.pop_front();
                }
                return Now::Ready(Ok(count));
            }
            match self.peer {
                Peer::Reset => return Now::Ready(Err(Errno::CONNRESET.into())),
                Peer::Listens | Peer::Left => return Now::Ready(Ok(0)),
                Peer::Talks if self.is_read_shut => return Now::Ready(Ok(0)),
                Peer::Talks => {}
            }
            if let Some(nothing) = self.go_on() {
                return nothing;
            }
        }
    }

    fn send(&mut self, bytes: &[u8], most: usize) -> Now {
        while self.arrived.is_empty() && self.steps.front().is_some_and(Step::concerns_sending) {
            self.go_on();
        }
        loop {
            match self.peer {
                _ if self.is_write_shut => return Now::Ready(Err(Errno::PIPE.into())),
                Peer::Reset => return Now::Ready(Err(Errno::CONNRESET.into())),
                Peer::Left => return Now::Ready(Err(Errno::PIPE.into())),
                Peer::Talks | Peer::Listens if self.reads => {
                    let count = bytes.len().min(most);
                    self.written.push(&bytes[..count]);
                    return Now::Ready(Ok(count));
                }
                Peer::Talks | Peer::Listens => {}
            }
            if let Some(nothing) = self.go_on() {
                return nothing;
            }
        }
    }

    /// Does the script's next step, unless there is nothing to do now.
    fn go_on(&mut self) -> Option<Now> {
        let Some(step) = self.steps.front().cloned() else {
            return Some(Now::Until(None));
        };
        match step {
            // Read as an end, if it were a piece.
            Step::Sends(bytes) if bytes.is_empty() => {}
            Step::Sends(bytes) => self.arrived.push_back(bytes),
            Step::Waits(time) => {
                let until = *self.until.get_or_insert(self.now.after(time));
                if until > self.now {
                    return Some(Now::Until(Some(until)));
                }
                self.until = None;
            }
            Step::Expects(bytes) => match self.expect(&bytes) {
                Ok(true) => {}
                Ok(false) => return Some(Now::Until(None)),
                Err(came) => {
                    self.fail(&bytes, &came);
                    return None;
                }
            },
            Step::StopsReading => self.reads = false,
            Step::ReadsOn => self.reads = true,
            Step::Eof => self.peer = Peer::Listens,
            Step::Leaves => self.peer = Peer::Left,
            Step::Resets => self.peer = Peer::Reset,
            Step::ShutsDown => return Some(Now::ShutsDown),
        }
        self.next_step();
        None
    }

    fn next_step(&mut self) {
        self.steps.pop_front();
        self.done += 1;
    }

    /// Whether the handler has said this; an error if it has said something else.
    fn expect(&mut self, bytes: &[u8]) -> Result<bool, String> {
        let said = &self.written.bytes[self.expected..];
        let has_come = said.starts_with(bytes);
        if has_come {
            self.expected += bytes.len();
        } else if !bytes.starts_with(said) {
            return Err(format!("{} came", quoted(said)));
        }
        Ok(has_come)
    }

    /// Nothing more will be said: whatever is expected must have come.
    fn expect_the_rest(&mut self, error: Option<&RequestError>) {
        while self.failure.is_none()
            && let Some(step) = self.steps.front().cloned()
        {
            if let Step::Expects(bytes) = step {
                match (self.expect(&bytes), error) {
                    (Ok(true), _) => {}
                    (Err(came), _) => self.fail(&bytes, &came),
                    (Ok(false), None) => self.fail(&bytes, "the request has ended"),
                    (Ok(false), Some(error)) => {
                        self.fail(&bytes, &format!("the request has failed ({error})"));
                    }
                }
            }
            self.next_step();
        }
    }

    /// The test fails here: the rest of the request does not matter.
    fn fail(&mut self, expected: &[u8], why: &str) {
        let (step, expected) = (self.done + 1, quoted(expected));
        let so_far = quoted(&self.written.bytes);
        self.failure = Some(format!(
            "step {step}: expects({expected}): {why}; so far: {so_far}"
        ));
        self.peer = Peer::Reset;
    }

    /// Nothing will ever end this wait.
    fn hang(&mut self) -> io::Result<usize> {
        match self.steps.front().cloned() {
            Some(Step::Expects(bytes)) => {
                self.fail(
                    &bytes,
                    "the handler waits for its peer, and no timeout is set",
                );
            }
            _ => {
                let text = "the handler waits for ever: the script is over, and no timeout is set; let the peer end it with `eof()`";
                self.failure.get_or_insert_with(|| text.into());
                self.peer = Peer::Reset;
            }
        }
        Err(Errno::CONNRESET.into())
    }

    /// Time passes.
    fn pass(&mut self, until: Tick) {
        self.now = self.now.max(until);
        clock::jump(self.now);
    }
}

impl Step {
    /// Whether it changes what a write finds.
    fn concerns_sending(&self) -> bool {
        matches!(
            self,
            Self::StopsReading | Self::ReadsOn | Self::Leaves | Self::Resets
        )
    }
}

impl Transport for Memory {
    fn recv(&self, buffer: &mut [u8], wait: Wait) -> io::Result<usize> {
        let most = buffer.len().min(self.pieces.received);
        self.call(wait, |state| state.receive(&mut buffer[..most]))
    }

    fn send(&self, bytes: &[u8], wait: Wait) -> io::Result<usize> {
        self.call(wait, |state| state.send(bytes, self.pieces.sent))
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        let mut state = self.state();
        state.is_read_shut |= how != Shutdown::Write;
        state.is_write_shut |= how != Shutdown::Read;
        Ok(())
    }

    fn set_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.state().timeout = timeout;
        Ok(())
    }

    /// None: nobody else could end a wait here.
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}
