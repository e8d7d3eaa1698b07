//! [`conformance!`](crate::conformance): one script, every model, the same bytes.
//!
//! A server that forks wants a process of its own, and a test has none: the harness runs it on a thread. So the test's own
//! program is started again, once for each model, and asked for that one test. There the macro serves instead of asking, and
//! the script runs here, against it.

use std::io::{self, BufRead, BufReader, Write};
use std::marker::PhantomData;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use std::{env, process, thread};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

use super::client::{Client, quoted};
use super::under::{Under, Word};
use crate::address::Kind;
use crate::server::Server;
use crate::server::builder::Builder;
use crate::server::declare::{Declaration, Transport};
use crate::sys::poller::timespec;

/// Says in which place of which test this process is to serve, and under which model.
const VARIABLE: &str = "SOCKSERV_CONFORMANCE";

/// What a server says before the place where it listens.
const LISTENING: &str = "listening on ";

/// How long a server may take to end: more than it gives its requests.
const PATIENCE: Duration = Duration::from_secs(20);

/// One `conformance!` of a test: what its runs have come to so far.
#[derive(Debug)]
pub struct Trial {
    /// Where the macro stands: a test may have several.
    place: &'static str,
    test: String,
    first: Option<(&'static str, Vec<u8>)>,
}

impl Trial {
    /// `here` is the name of an item inside the test's function.
    #[must_use]
    pub fn new(place: &'static str, here: &str) -> Self {
        Self {
            place,
            test: test_of(here),
            first: None,
        }
    }

    /// Runs the script against the handler under the model `M`; in the process that is started for it, serves.
    #[track_caller]
    pub fn under<H, M>(
        &mut self,
        model: &'static str,
        _: PhantomData<M>,
        handler: impl FnOnce() -> H,
        script: impl FnOnce(&mut Client),
    ) where
        H: Declaration,
        M: Word<Under<H, M>>,
    {
        let task = format!("{} {model}", self.place);
        if env::var(VARIABLE).is_ok_and(|wanted| wanted == task) {
            serve::<H, M>(handler());
        }
        let server = Served::start(&self.test, &task, model);
        let mut client = Client::connect(&*server.at).labelled(format!("under `{model}`: "));
        script(&mut client);
        client.finish();
        server.stop(model);
        self.compare(model, client.received());
    }

    #[track_caller]
    fn compare(&mut self, model: &'static str, said: &[u8]) {
        match &self.first {
            None => self.first = Some((model, said.to_vec())),
            Some((_, first)) if first == said => {}
            Some((other, first)) => panic!(
                "`{model}` says {}, `{other}` says {}",
                quoted(said),
                quoted(first)
            ),
        }
    }

    /// Returns what all of them said.
    pub fn said(self) -> Vec<u8> {
        self.first.map(|(_, said)| said).unwrap_or_default()
    }
}

/// A test's name, from that of an item in its function: without the crate and the item, and whatever closures are between.
fn test_of(here: &str) -> String {
    let path = here.split("::").skip(1);
    let path: Vec<&str> = path.filter(|part| !part.starts_with('{')).collect();
    path[..path.len().saturating_sub(1)].join("::")
}

/// Serves until the test ends it, and ends this process.
fn serve<H, M>(handler: H) -> !
where
    H: Declaration,
    M: Word<Under<H, M>>,
{
    let result = try_to_serve::<H, M>(handler);
    if let Err(error) = &result {
        // A closed stderr has nowhere to complain.
        let _ = writeln!(io::stderr(), "sockserv: {error}");
    }
    process::exit(i32::from(result.is_err()))
}

fn try_to_serve<H, M>(handler: H) -> io::Result<()>
where
    H: Declaration,
    M: Word<Under<H, M>>,
{
    // Should the test be killed, nobody else would end this process.
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    let builder = Builder::<_, Server<Under<H, M>>>::new(Under::new(handler));
    let kinds = <H::Transport as Transport<H>>::KINDS;
    let places = kinds.iter().map(|kind| somewhere(*kind));
    builder
        .addrs(places)
        .announce(true)
        .lame_duck(Duration::ZERO)
        .bind()?
        .run()
}

/// A place that nobody else has.
fn somewhere(kind: Kind) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = || {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        format!("@sockserv-conformance-{}-{count}", process::id())
    };
    match kind {
        Kind::Tcp => "tcp://127.0.0.1:0".into(),
        Kind::Udp => "udp://127.0.0.1:0".into(),
        Kind::Unix => format!("unix:{}", name()),
        Kind::UnixDatagram => format!("unix-datagram:{}", name()),
    }
}

/// The process that serves.
struct Served {
    child: Child,
    at: String,
}

impl Served {
    #[track_caller]
    fn start(test: &str, task: &str, model: &str) -> Self {
        let started = Command::new(env::current_exe().expect("a test knows its own path"))
            .args([
                test,
                "--exact",
                "--nocapture",
                "--test-threads=1",
                "--include-ignored",
            ])
            .env(VARIABLE, task)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn();
        let child = started.unwrap_or_else(|error| panic!("cannot start `{test}` again: {error}"));
        let mut server = Self {
            child,
            at: String::new(),
        };
        let said = server.listen();
        assert!(
            !server.at.is_empty(),
            "under `{model}`: `{test}`, started again, does not serve; it says:\n{said}"
        );
        server
    }

    /// Waits until it listens; returns what it said before.
    fn listen(&mut self) -> String {
        let mut said = String::new();
        let Some(stdout) = self.child.stdout.take() else {
            return said;
        };
        let mut stdout = BufReader::new(stdout);
        let mut line = String::new();
        while stdout.read_line(&mut line).is_ok_and(|count| count > 0) {
            // The harness may have begun the line.
            if let Some((_, at)) = line.split_once(LISTENING) {
                at.trim_end().clone_into(&mut self.at);
                break;
            }
            said.push_str(&line);
            line.clear();
        }
        // What its handlers say must not fill the pipe. The thread ends with the process that it listens to.
        let rest = move || io::copy(&mut stdout, &mut io::sink());
        let thread = thread::Builder::new().name("sockserv-conformance".into());
        drop(thread.spawn(rest));
        said
    }

    #[track_caller]
    fn stop(mut self, model: &str) {
        let pid = Pid::from_child(&self.child);
        let ended = pidfd_open(pid, PidfdFlags::empty()).and_then(|pidfd| {
            kill_process(pid, Signal::TERM)?;
            poll(
                &mut [PollFd::new(&pidfd, PollFlags::IN)],
                Some(&timespec(PATIENCE)),
            )
        });
        match ended {
            Ok(0) => panic!("under `{model}`: the server has not ended after {PATIENCE:?}"),
            Ok(_) => {}
            Err(error) => panic!("under `{model}`: cannot end the server: {error}"),
        }
        let status = self.child.wait().expect("its own child");
        assert!(
            status.success(),
            "under `{model}`: the server ended with {status}"
        );
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It has ended, or its test has failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs one script against a handler under every model, over real sockets, and returns what all of them said.
///
/// Write it into a test. Each model serves in a process of its own: the test's program is started again for it, with this
/// test alone. The script is given a [`Client`](crate::testing::Client); what is not asked for there is read to the end. A
/// model that says other bytes than the first one fails the test, as does a step of the script, or a server that does not
/// end well.
///
/// # Examples
///
/// ```
/// use sockserv::prelude::*;
///
/// #[derive(Clone)]
/// struct Echo;
///
/// #[server(tcp, threading)]
/// impl Echo {
///     fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
///         io::copy(&mut stream.rfile, &mut stream.wfile).map(drop)
///     }
/// }
///
/// // #[test]
/// fn every_model_says_the_same() {
///     let said = sockserv::conformance!(Echo, |peer| peer.send("hello\n").eof());
///     assert_eq!(said, b"hello\n");
/// }
/// # every_model_says_the_same();
/// ```
///
/// A handler that is not `Send` cannot be served by threads; say which models it has:
///
/// ```
/// # use sockserv::prelude::*;
/// use std::rc::Rc;
///
/// #[derive(Clone)]
/// struct Hello(Rc<str>);
///
/// #[server(tcp, sync)]
/// impl Hello {
///     fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
///         writeln!(stream, "hello, {}", self.0)
///     }
/// }
///
/// # fn main() {
/// sockserv::conformance!(Hello("world".into()), [sync, forking, prefork], |peer| {
///     peer.expect_line("hello, world").expect_eof();
/// });
/// # }
/// ```
///
/// # Panics
///
/// Panics if a model, or a step of the script, fails.
#[macro_export]
macro_rules! conformance {
    ($handler:expr, |$peer:ident| $script:expr $(,)?) => {
        $crate::conformance!($handler, [sync, threading, pool, forking, prefork], |$peer| $script)
    };
    ($handler:expr, [$($model:ident),+ $(,)?], |$peer:ident| $script:expr $(,)?) => {{
        fn here() {}
        let here = ::core::any::type_name_of_val(&here);
        let place = ::core::concat!(::core::file!(), ":", ::core::line!(), ":", ::core::column!());
        let mut trial = $crate::testing::Trial::new(place, here);
        $(
            trial.under(
                ::core::stringify!($model),
                ::core::marker::PhantomData::<$crate::conformance!(@ $model)>,
                || $handler,
                |$peer: &mut $crate::testing::Client| {
                    $script;
                },
            );
        )+
        trial.said()
    }};
    (@ sync) => { $crate::Synchronous };
    (@ threading) => { $crate::Threading };
    (@ pool) => { $crate::Pool<()> };
    (@ forking) => { $crate::UncheckedForking };
    (@ prefork) => { $crate::UncheckedPrefork };
}

#[cfg(test)]
mod tests {
    use super::test_of;

    #[test]
    fn a_test_is_known_by_what_stands_in_it() {
        assert_eq!(test_of("krate::every_model::here"), "every_model");
        assert_eq!(
            test_of("krate::tests::every_model::here"),
            "tests::every_model"
        );
        assert_eq!(
            test_of("krate::tests::every_model::{{closure}}::here"),
            "tests::every_model"
        );
    }
}
