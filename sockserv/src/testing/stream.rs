//! [`StreamTest`]: a script for one connection, and its run.

use std::collections::VecDeque;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::ground::Ground;
use super::memory::{Memory, Pieces, Step};
use super::record::Record;
use crate::address::Address;
use crate::listener::{Arrived, Incoming};
use crate::options::Options;
use crate::server::declare::Declaration;
use crate::transport::Transport;

/// What the peer of one connection does, step by step. Made by [`stream`](super::stream).
///
/// Each step comes when the handler has taken what the steps before have sent, or waits until its peer takes more. Time
/// passes only where both wait, and then it jumps: to the end of a [`waits`](Self::waits), or to the next deadline of the
/// request. The handler's own `Instant::now()` does not notice.
///
/// # Examples
///
/// A conversation. What the peer expects must have been said by the time the handler waits for it, or ends:
///
/// ```
/// use sockserv::prelude::*;
/// use sockserv::testing;
///
/// #[derive(Clone)]
/// struct Greeter;
///
/// #[server(tcp, threading, first_byte_timeout = "10s")]
/// impl Greeter {
///     fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
///         stream.wfile.write_all(b"name? ")?;
///         let mut name = String::new();
///         stream.rfile.read_line(&mut name)?;
///         writeln!(stream.wfile, "hello, {}", name.trim_end())
///     }
///
///     fn handle_error(&mut self, _error: &RequestError, _peer: &Address) {}
/// }
///
/// testing::stream(Greeter).expects("name? ").sends("world\n").expects("hello, world\n").run();
///
/// // A line in pieces, each after some time; no piece is the first that comes too late.
/// use std::time::Duration;
///
/// let slow = testing::stream(Greeter).waits(Duration::from_millis(9_900)).sends("wor").sends("ld\n").run();
/// assert_eq!(slow.text(), "name? hello, world\n");
/// assert_eq!(slow.elapsed(), Duration::from_millis(9_900));
///
/// let late = testing::stream(Greeter).waits(Duration::from_millis(10_100)).sends("world\n").run();
/// assert!(late.error().unwrap().is_timeout());
/// assert_eq!(late.elapsed(), Duration::from_secs(10));
/// ```
#[derive(Debug)]
#[must_use = "nothing happens until `run`"]
pub struct StreamTest<H> {
    handler: H,
    steps: VecDeque<Step>,
    pieces: Pieces,
    peer: Address,
    options: Options,
}

impl<H: Declaration> StreamTest<H> {
    pub(super) fn new(handler: H) -> Self {
        let pieces = Pieces {
            received: usize::MAX,
            sent: usize::MAX,
        };
        Self {
            handler,
            steps: VecDeque::new(),
            pieces,
            peer: super::somebody(),
            options: H::options(),
        }
    }

    /// The peer sends bytes, which arrive in one piece: no read gets those of two steps.
    pub fn sends(self, bytes: impl AsRef<[u8]>) -> Self {
        self.step(Step::Sends(bytes.as_ref().to_vec()))
    }

    /// The peer does nothing for some time.
    pub fn waits(self, time: Duration) -> Self {
        self.step(Step::Waits(time))
    }

    /// The peer waits until the handler has said exactly these bytes, behind those that it expected before. [`run`](Self::run)
    /// panics, with the number of this step, if others come, or the request ends before.
    pub fn expects(self, bytes: impl AsRef<[u8]>) -> Self {
        self.step(Step::Expects(bytes.as_ref().to_vec()))
    }

    /// The peer has said everything: the handler reads end-of-file, and may still answer.
    pub fn eof(self) -> Self {
        self.step(Step::Eof)
    }

    /// The peer closes its socket: the handler reads end-of-file, and what it still writes fails with a broken pipe.
    pub fn leaves(self) -> Self {
        self.step(Step::Leaves)
    }

    /// The connection is reset: reads and writes fail.
    pub fn resets(self) -> Self {
        self.step(Step::Resets)
    }

    /// The peer takes no more: the handler's next write waits.
    pub fn stops_reading(self) -> Self {
        self.step(Step::StopsReading)
    }

    /// The peer takes what it is sent again.
    pub fn reads_on(self) -> Self {
        self.step(Step::ReadsOn)
    }

    /// Somebody asks the server to shut down: the request is drained as in a real one.
    pub fn shuts_down(self) -> Self {
        self.step(Step::ShutsDown)
    }

    /// Lets every read get at most this many bytes, whatever the peer sends at once.
    ///
    /// # Panics
    ///
    /// Panics if that is none.
    pub fn short_reads(mut self, most: usize) -> Self {
        assert!(most > 0, "a read of nothing means end-of-file");
        self.pieces.received = most;
        self
    }

    /// Lets every write take at most this many bytes, so that all larger ones are cut short.
    ///
    /// # Panics
    ///
    /// Panics if that is none.
    pub fn short_writes(mut self, most: usize) -> Self {
        assert!(most > 0, "a write that takes nothing would never end");
        self.pieces.sent = most;
        self
    }

    /// Sets who the peer is, for `peer_addr` and `verify_request`: `127.0.0.1:49152` if nothing is said.
    pub fn peer(mut self, peer: impl Into<Address>) -> Self {
        self.peer = peer.into();
        self
    }

    /// Changes options that the attribute has set: `.options(|it| it.timeout(Duration::from_secs(1)))`.
    pub fn options(mut self, change: impl FnOnce(Options) -> Options) -> Self {
        self.options = change(self.options);
        self
    }

    fn step(mut self, step: Step) -> Self {
        self.steps.push_back(step);
        self
    }

    /// Runs the request on this thread, from `verify_request` to its end, and returns what became of it.
    ///
    /// # Panics
    ///
    /// Panics if the handler does not say what the script expects, or waits for ever.
    #[track_caller]
    pub fn run(self) -> Record {
        let ground = Ground::new(self.handler, self.options);
        let memory = Arc::new(Memory::new(self.steps, self.pieces));
        let arrived = Arrived::Stream {
            transport: Arc::clone(&memory) as Arc<dyn Transport>,
            local: OnceLock::new(),
            inherits: false,
            lent: AtomicBool::new(false),
        };
        ground.serve(Incoming { arrived }, &self.peer, |ticket| {
            memory.carry(ground.requests(), ticket.index);
        });
        let seen = ground.finish();
        match memory.end(seen.error()) {
            Ok(written) => Record::new(written, seen),
            Err(failure) => panic!("{failure}"),
        }
    }
}
