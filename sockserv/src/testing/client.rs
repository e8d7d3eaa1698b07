//! [`Client`]: a real client for a real server, whose failures name the step of the script.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::time::{Duration, Instant};

use socket2::SockRef;

use crate::address::Endpoint;
use crate::server::spawn;
use crate::sys::clock::at_least_a_micro;

/// How long a step may take unless the script says otherwise: much, so that a busy machine fails no test.
const STEP_TIMEOUT: Duration = Duration::from_secs(10);

/// How much one read takes: any packet fits.
const MUCH: usize = 64 << 10;

/// A client for scripts against a real server: each method is a step, and panics with its number if it fails.
///
/// On datagrams each [`send`](Self::send) is a packet, and each [`expect`](Self::expect) takes one.
///
/// # Examples
///
/// ```
/// use sockserv::prelude::*;
/// use sockserv::testing::Client;
///
/// #[derive(Clone)]
/// struct Greeter;
///
/// #[server(tcp, threading, addr = "127.0.0.1:0")]
/// impl Greeter {
///     fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
///         stream.wfile.write_all(b"name? ")?;
///         let mut name = String::new();
///         stream.rfile.read_line(&mut name)?;
///         writeln!(stream.wfile, "hello, {}", name.trim_end())
///     }
/// }
///
/// let server = GreeterServer::bind(Greeter)?.spawn()?;
/// let mut client = Client::connect(&server);
/// client.expect("name? ").send("world\n").expect_line("hello, world").expect_eof();
/// # Ok::<(), io::Error>(())
/// ```
///
/// A step that fails says which one it was, and what came instead:
///
/// ```should_panic
/// # use sockserv::prelude::*;
/// # use sockserv::testing::Client;
/// # #[derive(Clone)]
/// # struct Greeter;
/// # #[server(tcp, threading, addr = "127.0.0.1:0")]
/// # impl Greeter {
/// #     fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
/// #         stream.wfile.write_all(b"name? ")
/// #     }
/// # }
/// # let server = GreeterServer::bind(Greeter).unwrap().spawn().unwrap();
/// // step 2: expect_line("hello, world"): the server ended the connection; so far: "name? "
/// Client::connect(&server).send("world\n").expect_line("hello, world");
/// ```
#[derive(Debug)]
pub struct Client {
    socket: spawn::Client,
    is_stream: bool,
    patience: Duration,
    /// What a failure begins with.
    label: String,
    steps: usize,
    received: Vec<u8>,
    /// How much of that the script has asked for.
    taken: usize,
    /// Where in it the packets end that the script has not asked for.
    packets: VecDeque<usize>,
}

/// Why nothing more came.
enum Nothing {
    InTime,
    End,
    Error(io::Error),
}

impl Client {
    /// Connects to a server: one that [`spawn`](crate::Server::spawn) runs, or any that listens at an address.
    ///
    /// # Panics
    ///
    /// Panics if the address is none, or nobody listens there.
    #[track_caller]
    #[must_use]
    pub fn connect<A>(to: A) -> Self
    where
        A: TryInto<Endpoint, Error: Into<Box<dyn std::error::Error + Send + Sync>>>,
    {
        let to = to
            .try_into()
            .unwrap_or_else(|error| panic!("{}", error.into()));
        let socket = spawn::Client::connect(&to)
            .unwrap_or_else(|error| panic!("cannot connect to {to}: {error}"));
        let ty = SockRef::from(&socket).r#type();
        Self {
            socket,
            is_stream: ty.is_ok_and(|ty| ty == socket2::Type::STREAM),
            patience: STEP_TIMEOUT,
            label: String::new(),
            steps: 0,
            received: Vec::new(),
            taken: 0,
            packets: VecDeque::new(),
        }
    }

    pub(super) fn labelled(mut self, label: String) -> Self {
        self.label = label;
        self
    }

    /// Bounds how long each of the following steps may take: ten seconds if nothing is said.
    pub fn within(&mut self, patience: Duration) -> &mut Self {
        self.patience = patience;
        self
    }

    /// Sends bytes; on datagrams, one packet.
    ///
    /// # Panics
    ///
    /// Panics if the server takes no more.
    #[track_caller]
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        let bytes = bytes.as_ref();
        let step = self.begin(&format!("send({})", quoted(bytes)));
        let bounded =
            SockRef::from(&self.socket).set_write_timeout(Some(at_least_a_micro(self.patience)));
        if let Err(error) = bounded.and_then(|()| self.socket.write_all(bytes)) {
            self.fail(&step, &why(&Nothing::from(error), self.patience));
        }
        self
    }

    /// Says that nothing more will be sent: the handler reads end-of-file, and may still answer.
    ///
    /// # Panics
    ///
    /// Panics if the connection is broken.
    #[track_caller]
    pub fn eof(&mut self) -> &mut Self {
        let step = self.begin("eof()");
        if let Err(error) = self.socket.shutdown(Shutdown::Write) {
            self.fail(&step, &error.to_string());
        }
        self
    }

    /// Waits for exactly these bytes; on datagrams, for one packet of them, which may be empty.
    ///
    /// # Panics
    ///
    /// Panics if others come, or the server ends the connection, or nothing comes in time.
    #[track_caller]
    pub fn expect(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        let bytes = bytes.as_ref();
        let step = self.begin(&format!("expect({})", quoted(bytes)));
        let is_stream = self.is_stream;
        let is_wrong = |came: &[u8]| !bytes.starts_with(&came[..came.len().min(bytes.len())]);
        let enough = |came: &[u8]| !is_stream || came.len() >= bytes.len() || is_wrong(came);
        let came = self.wait_for(&step, enough);
        if is_wrong(came) || (!is_stream && came.len() != bytes.len()) {
            let came = quoted(came);
            self.fail(&step, &format!("{came} came"));
        }
        self.take(bytes.len());
        self
    }

    /// Waits for a line, and compares it without its end (`\n` or `\r\n`).
    ///
    /// # Panics
    ///
    /// Panics if another one comes, or the server ends the connection, or no whole line comes in time.
    #[track_caller]
    pub fn expect_line(&mut self, line: &str) -> &mut Self {
        let step = self.begin(&format!("expect_line({line:?})"));
        let came = self.take_line(&step);
        if came != line {
            self.fail(&step, &format!("{came:?} came"));
        }
        self
    }

    /// Waits for a line and returns it without its end (`\n` or `\r\n`).
    ///
    /// # Panics
    ///
    /// Panics if the server ends the connection, or no whole line comes in time.
    #[track_caller]
    pub fn line(&mut self) -> String {
        let step = self.begin("line()");
        self.take_line(&step)
    }

    /// Waits for the end of the connection, with nothing before it.
    ///
    /// # Panics
    ///
    /// Panics if something comes, a reset included, or the end does not come in time.
    #[track_caller]
    pub fn expect_eof(&mut self) -> &mut Self {
        let step = self.begin("expect_eof()");
        match self.wait_until(|came| !came.is_empty()) {
            Err(Nothing::End) => self,
            Err(nothing) => self.fail(&step, &why(&nothing, self.patience)),
            Ok(()) => {
                let came = quoted(self.came());
                self.fail(&step, &format!("{came} came"))
            }
        }
    }

    /// Waits until the server breaks the connection off: with a reset, and not with an end.
    ///
    /// # Panics
    ///
    /// Panics if something comes, an orderly end included, or nothing comes in time.
    #[track_caller]
    pub fn expect_reset(&mut self) -> &mut Self {
        let step = self.begin("expect_reset()");
        match self.wait_until(|came| !came.is_empty()) {
            Err(Nothing::Error(error)) if error.kind() == io::ErrorKind::ConnectionReset => self,
            Err(nothing) => self.fail(&step, &why(&nothing, self.patience)),
            Ok(()) => {
                let came = quoted(self.came());
                self.fail(&step, &format!("{came} came"))
            }
        }
    }

    /// Waits for the end of the connection and returns what came before it.
    ///
    /// # Panics
    ///
    /// Panics if the connection is reset, or does not end in time.
    #[track_caller]
    pub fn rest(&mut self) -> Vec<u8> {
        let step = self.begin("rest()");
        match self.wait_until(|_| false) {
            Err(Nothing::End) | Ok(()) => {}
            Err(nothing) => self.fail(&step, &why(&nothing, self.patience)),
        }
        let rest = self.received[self.taken..].to_vec();
        self.taken = self.received.len();
        rest
    }

    /// Breaks the connection off: the server sees a reset, and not an end.
    pub fn reset(self) {
        // Closed without a word. Where that is not to be had the connection ends, which is as much of a surprise.
        let _ = SockRef::from(&self.socket).set_linger(Some(Duration::ZERO));
    }

    /// Returns all that came so far, whatever steps have asked for.
    #[must_use]
    pub fn received(&self) -> &[u8] {
        &self.received
    }

    /// Ends the script: says that nothing more will be sent, and reads what still comes.
    #[track_caller]
    pub(super) fn finish(&mut self) {
        if !self.is_stream {
            return;
        }
        let step = self.begin("the end of the script");
        // The script may have ended it already, or the server.
        let _ = self.socket.shutdown(Shutdown::Write);
        if let Err(nothing @ Nothing::InTime) = self.wait_until(|_| false) {
            self.fail(&step, &why(&nothing, self.patience));
        }
    }

    fn begin(&mut self, what: &str) -> String {
        self.steps += 1;
        format!("{}step {}: {what}", self.label, self.steps)
    }

    #[track_caller]
    fn fail(&self, step: &str, why: &str) -> ! {
        panic!("{step}: {why}; so far: {}", quoted(&self.received))
    }

    #[track_caller]
    fn take_line(&mut self, step: &str) -> String {
        let is_stream = self.is_stream;
        let end = |came: &[u8]| match memchr::memchr(b'\n', came) {
            None if !is_stream => Some(came.len()), // A packet ends a line, too.
            at => at.map(|at| at + 1),
        };
        let came = self.wait_for(step, |came| end(came).is_some());
        let line = &came[..end(came).unwrap_or(came.len())];
        let length = line.len();
        let text = String::from_utf8_lossy(line);
        let text = text.strip_suffix('\n').unwrap_or(&text);
        let text = text.strip_suffix('\r').unwrap_or(text).to_owned();
        self.take(length);
        text
    }

    /// Returns what has come and was not asked for yet: on datagrams, of the first such packet.
    fn came(&self) -> &[u8] {
        let end = self.packets.front().copied();
        &self.received[self.taken..end.unwrap_or(self.received.len())]
    }

    fn take(&mut self, count: usize) {
        self.taken += count;
        if self.packets.front() == Some(&self.taken) {
            self.packets.pop_front();
        }
    }

    fn is_enough(&self, enough: impl Fn(&[u8]) -> bool) -> bool {
        (self.is_stream || !self.packets.is_empty()) && enough(self.came())
    }

    /// Waits for as much as is enough; returns what has come and was not asked for yet.
    #[track_caller]
    fn wait_for(&mut self, step: &str, enough: impl Fn(&[u8]) -> bool) -> &[u8] {
        if let Err(nothing) = self.wait_until(enough) {
            self.fail(step, &why(&nothing, self.patience));
        }
        self.came()
    }

    fn wait_until(&mut self, enough: impl Fn(&[u8]) -> bool) -> Result<(), Nothing> {
        let until = Instant::now() + self.patience;
        while !self.is_enough(&enough) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Nothing::InTime);
            }
            let begin = self.received.len();
            self.received.resize(begin + MUCH, 0);
            let result = self.socket.set_timeout(left);
            let result = result.and_then(|()| self.socket.read(&mut self.received[begin..]));
            let count = *result.as_ref().unwrap_or(&0);
            self.received.truncate(begin + count);
            match result {
                Ok(0) if self.is_stream => return Err(Nothing::End),
                Ok(_) if self.is_stream => {}
                Ok(_) => self.packets.push_back(self.received.len()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Nothing::from(error)),
            }
        }
        Ok(())
    }
}

impl From<io::Error> for Nothing {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Self::InTime,
            _ => Self::Error(error),
        }
    }
}

fn why(nothing: &Nothing, patience: Duration) -> String {
    match nothing {
        Nothing::InTime => format!("nothing within {patience:?}"),
        Nothing::End => "the server ended the connection".into(),
        Nothing::Error(error) => error.to_string(),
    }
}

/// Bytes as a Rust literal would have them.
pub(super) fn quoted(bytes: &[u8]) -> String {
    format!("\"{}\"", bytes.escape_ascii())
}
