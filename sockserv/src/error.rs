//! What can go wrong in a request: where, why, and how it is reported by default.

use std::any::Any;
use std::error::Error;
use std::panic::AssertUnwindSafe;
use std::process::ExitStatus;
use std::sync::Arc;
use std::{fmt, io};

use crate::address::Address;
use crate::named::{Named, named};
use crate::sys::shared::Memory;

mod throttle;

pub(crate) use throttle::{Throttle, note};

/// What a method of a handler returns in the traits: nothing, or whatever went wrong.
pub type Outcome = Result<(), Box<dyn Error + Send + Sync>>;

/// What the methods of an `impl` block under `#[server(...)]` may return.
#[diagnostic::on_unimplemented(
    message = "a handler's method cannot return `{Self}`",
    label = "must return `()` or a `Result<(), E>`",
    note = "write `io::Result<()>`, `Outcome`, or any `Result<(), E>` whose error converts into `Box<dyn Error + Send + Sync>`"
)]
pub trait IntoOutcome {
    /// Converts it.
    ///
    /// # Errors
    ///
    /// The method's own.
    fn into_outcome(self) -> Outcome;
}

impl IntoOutcome for () {
    fn into_outcome(self) -> Outcome {
        Ok(())
    }
}

impl<E: Into<Box<dyn Error + Send + Sync>>> IntoOutcome for Result<(), E> {
    fn into_outcome(self) -> Outcome {
        self.map_err(Into::into)
    }
}

/// For `!`: what only panics or exits has no outcome.
#[diagnostic::do_not_recommend]
impl IntoOutcome for <fn() -> ! as Returns>::Output {
    fn into_outcome(self) -> Outcome {
        self
    }
}

/// What a function returns: the only way to write `!` as a type here.
#[doc(hidden)]
pub trait Returns {
    type Output;
}

impl<T> Returns for fn() -> T {
    type Output = T;
}

/// How many errors a second the default [`handle_error`](crate::Hooks::handle_error) writes; the rest is counted.
const FAILURES_A_SECOND: u8 = 10;

/// How many errors behind a request's own are looked at.
const LONGEST_CHAIN: usize = 64;

named! {
    /// Where in the life of a request something went wrong.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum Phase {
        /// In `verify_request`.
        Verify = "verify",
        /// Before the request's unit ran: cloning the handler, starting a thread, forking.
        Dispatch = "dispatch",
        /// In `setup`.
        Setup = "setup",
        /// In `handle`.
        Handle = "handle",
        /// In `finish`.
        Finish = "finish",
        /// Sending what the handler wrote.
        Reply = "reply",
        /// Closing the request and dropping its handler.
        Close = "close",
        /// A child process ended without having finished its request.
        Exit = "exit",
        /// In another hook: `service_actions`, `handle_timeout`, `handle_error` itself.
        Hook = "hook",
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

named! {
    /// Which of a request's deadlines passed.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum Timeout {
        /// `first_byte_timeout`: the peer connected and stayed silent.
        FirstByte = "first_byte_timeout",
        /// `timeout`, in a read.
        Read = "read_timeout",
        /// `timeout`, in a write.
        Write = "write_timeout",
        /// `request_timeout`: the request as a whole took too long.
        Request = "request_timeout",
        /// `min_rate`: the peer sent, or took, too few bytes for the time it was waited for.
        Rate = "min_rate",
    }
}

impl fmt::Display for Timeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::FirstByte => "no first byte within `first_byte_timeout`",
            Self::Read => "a read waited longer than `timeout`",
            Self::Write => "a write waited longer than `timeout`",
            Self::Request => "the request took longer than `request_timeout`",
            Self::Rate => "the peer was slower than `min_rate`",
        })
    }
}

impl Error for Timeout {}

impl From<Timeout> for io::Error {
    fn from(timeout: Timeout) -> Self {
        Self::new(io::ErrorKind::TimedOut, timeout)
    }
}

/// A shutdown cut the request: what its reads and writes say then.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut;

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("cut by the server's shutdown")
    }
}

impl Error for Cut {}

impl From<Cut> for io::Error {
    fn from(cut: Cut) -> Self {
        Self::new(io::ErrorKind::ConnectionAborted, cut)
    }
}

/// What went wrong in one request: what [`handle_error`](crate::Hooks::handle_error) is given.
///
/// Its `Display` is one line with the phase; [`source`](Error::source) is the handler's own error.
#[derive(Clone)]
pub struct RequestError(Arc<Failure>);

/// Behind a pointer, so that the result of every step that goes well fits a register.
#[derive(Debug)]
struct Failure {
    phase: Phase,
    cause: Cause,
    seen: Seen,
}

impl Drop for Failure {
    /// The error is the user's, and so is its `drop`: a panic in there must not end the server.
    fn drop(&mut self) {
        let cause = std::mem::replace(&mut self.cause, Cause::Panic(String::new()));
        let _ = unless_it_panics(|| drop(cause));
    }
}

#[derive(Debug)]
enum Cause {
    Error(Box<dyn Error + Send + Sync>),
    Panic(String),
    Exit(ExitStatus),
}

/// What the stream itself last saw go wrong, whatever the handler made of it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) disconnect: bool,
    pub(crate) timeout: Option<Timeout>,
    pub(crate) cut: bool,
}

impl RequestError {
    pub(crate) fn new(phase: Phase, error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::of(phase, Cause::Error(error.into()))
    }

    pub(crate) fn panic(phase: Phase, payload: &(dyn Any + Send)) -> Self {
        let text = payload
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned());
        let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
        Self::of(
            phase,
            Cause::Panic(text.unwrap_or_else(|| "of a value without text".into())),
        )
    }

    pub(crate) fn exit(status: ExitStatus) -> Self {
        Self::of(Phase::Exit, Cause::Exit(status))
    }

    fn of(phase: Phase, cause: Cause) -> Self {
        Self(Arc::new(Failure {
            phase,
            cause,
            seen: Seen::default(),
        }))
    }

    pub(crate) fn saw(mut self, seen: Seen) -> Self {
        if let Some(failure) = Arc::get_mut(&mut self.0) {
            failure.seen = seen; // It is new: nobody else has it.
        }
        self
    }

    /// Returns where it happened.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.0.phase
    }

    /// Returns how a child process ended that did not finish its request (phase [`Exit`](Phase::Exit)).
    #[must_use]
    pub fn exit_status(&self) -> Option<ExitStatus> {
        match self.0.cause {
            Cause::Exit(status) => Some(status),
            _ => None,
        }
    }

    /// Returns whether a panic was caught. The panic itself went to the application's own panic hook.
    #[must_use]
    pub fn is_panic(&self) -> bool {
        matches!(self.0.cause, Cause::Panic(_))
    }

    /// Returns whether the peer left in the middle (a reset, a broken pipe): usually not worth a line.
    ///
    /// An [`io::Error`] does not say whose connection failed: that of a backend, passed on unchanged, counts, too. A
    /// connection that was refused does not, except where a packet's own peer refused.
    #[must_use]
    pub fn is_disconnect(&self) -> bool {
        self.0.seen.disconnect || self.io_errors().any(is_disconnect)
    }

    /// Returns whether a deadline passed; [`timeout`](Self::timeout) says which.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        self.timeout().is_some()
            || self
                .io_errors()
                .any(|error| error.kind() == io::ErrorKind::TimedOut)
    }

    /// Returns which of the server's deadlines passed, if one did.
    #[must_use]
    pub fn timeout(&self) -> Option<Timeout> {
        let along = || {
            self.io_errors()
                .find_map(|error| error.get_ref()?.downcast_ref::<Timeout>().copied())
        };
        self.0.seen.timeout.or_else(along)
    }

    /// Whether a shutdown cut the request.
    pub(crate) fn is_cut(&self) -> bool {
        let is_cut = |error: &io::Error| error.get_ref().is_some_and(|error| error.is::<Cut>());
        self.0.seen.cut || self.io_errors().any(is_cut)
    }

    /// Each `source` is the user's own: it may panic, or lead back to where it came from.
    fn io_errors(&self) -> impl Iterator<Item = &io::Error> {
        let mut next = self.source();
        let chain = std::iter::from_fn(move || {
            let error = next?;
            next = unless_it_panics(|| error.source()).flatten();
            Some(error)
        });
        chain
            .take(LONGEST_CHAIN)
            .filter_map(|error| error.downcast_ref::<io::Error>())
    }
}

/// Calls what is the user's, and forgets what that panicked with: its `drop` may panic, too.
fn unless_it_panics<T>(call: impl FnOnce() -> T) -> Option<T> {
    let result = std::panic::catch_unwind(AssertUnwindSafe(call));
    result.map_err(std::mem::forget).ok()
}

/// Whether an error means that the peer has gone.
pub(crate) fn is_disconnect(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected};
    matches!(
        error.kind(),
        BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected
    ) || error.get_ref().is_some_and(|error| error.is::<Gone>())
}

/// A packet's peer refused what was sent to it: it has gone. F56.
#[derive(Debug)]
struct Gone(io::Error);

impl fmt::Display for Gone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for Gone {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

/// Marks a refused packet as its peer's doing: nobody else can have refused it.
pub(crate) fn of_peer(error: io::Error) -> io::Error {
    match error.kind() {
        kind @ io::ErrorKind::ConnectionRefused => io::Error::new(kind, Gone(error)),
        _ => error,
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.cause {
            Cause::Error(error) => write!(f, "{}: {error}", self.0.phase),
            Cause::Panic(text) => write!(f, "{}: panicked: {text}", self.0.phase),
            Cause::Exit(status) => write!(f, "{}: its process ended: {status}", self.0.phase),
        }
    }
}

impl fmt::Debug for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for RequestError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.0.cause {
            Cause::Error(error) => Some(&**error),
            _ => None,
        }
    }
}

/// How many lines a second a server writes of one kind, whatever happens how often: a log must not fill the disk.
static FAILURES: Throttle = Throttle::new(FAILURES_A_SECOND);
/// Of listeners that pause.
pub(crate) static PAUSES: Throttle = Throttle::new(1);
/// Of requests that are refused for want of a place.
pub(crate) static FULL: Throttle = Throttle::new(1);

/// Lets the children of this process, and theirs, count on the same limits from now on.
pub(crate) fn share_limits(memory: &mut Memory) -> io::Result<()> {
    let limits = [&FAILURES, &PAUSES, &FULL];
    limits.iter().try_for_each(|limit| limit.share(memory))
}

/// The default of [`handle_error`](crate::Hooks::handle_error): one line, unless the peer merely left.
pub(crate) fn report(error: &RequestError, peer: &Address) {
    // The text is the handler's own, and a panic in there must not end the server.
    let text = unless_it_panics(|| {
        let is_worth_a_line = error.is_panic() || !error.is_disconnect();
        is_worth_a_line.then(|| error.to_string())
    });
    let unknown = || Some(format!("{}: its error cannot be shown", error.phase()));
    let Some(error) = text.unwrap_or_else(unknown) else {
        return;
    };
    complain(|| format!("request from {peer} failed: {error}"));
}

/// Writes a line of what failed, if there have not been too many.
pub(crate) fn complain(line: impl FnOnce() -> String) {
    FAILURES.say(|missed| match missed {
        0 => line(),
        _ => format!("{} ({missed} more not shown)", line()),
    });
}
