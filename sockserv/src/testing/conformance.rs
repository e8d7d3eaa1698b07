//! [`conformance!`](crate::conformance): one script, every model, the same bytes.
//!
//! A server that forks wants a process of its own, and a test has none: the harness runs it on a thread. So the test's own
//! program is started again, once for each model, and asked for that one test. There the macro serves instead of asking, and
//! the script runs here, against it.

use std::cell::RefCell;
use std::io::{self, Write};
use std::marker::PhantomData;
use std::process::Command;
use std::time::Duration;
use std::{env, fmt, process, thread};

use rustix::process::Signal;

use super::client::{Client, quoted};
use super::program::Program;
use super::under::{Under, Word};
use crate::address::Kind;
use crate::server::Server;
use crate::server::builder::Builder;
use crate::server::declare::{Declaration, Transport};
use crate::sys::fork;

/// Says what the process is to serve that a test has started: a [`Task`].
const VARIABLE: &str = "SOCKSERV_CONFORMANCE";

/// What a process is started for: the trial of its test, by number, the model, and what the trials before have said, so that
/// the test gets there without running them.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Task {
    trial: usize,
    model: String,
    said: Vec<Vec<u8>>,
}

thread_local! {
    /// What the trials of this test have said so far: the harness gives each test a thread.
    static SAID: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// One `conformance!` of a test: what its runs have come to so far.
#[derive(Debug)]
pub struct Trial {
    test: String,
    number: usize,
    /// What this process is started for, if it is.
    task: Option<Task>,
    first: Option<(&'static str, Vec<u8>)>,
}

impl Trial {
    /// `here` is the name of an item inside the test's function.
    #[must_use]
    pub fn new(here: &str) -> Self {
        Self {
            test: test_of(thread::current().name(), here),
            number: SAID.with_borrow(Vec::len),
            task: env::var(VARIABLE).ok().and_then(|text| Task::parse(&text)),
            first: None,
        }
    }

    /// Runs the script against the handler under the model `M`; in the process that is started for that, serves.
    ///
    /// # Panics
    ///
    /// Panics if the test fails.
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
        if let Some(task) = &self.task {
            if (task.trial, &*task.model) == (self.number, model) {
                serve::<H, M>(handler());
            }
            return; // It is started for another one.
        }
        assert!(
            !<H::Transport as Transport<H>>::KINDS.is_empty(),
            "`conformance!` asks over a socket, and this handler has a listener of its own; \
             try it in memory: `testing::stream(handler)`"
        );
        let task = Task {
            trial: self.number,
            model: model.to_owned(),
            said: SAID.with_borrow(Vec::clone),
        };
        let server = self.start(&task);
        let mut client = server.connect().labelled(format!("under `{model}`: "));
        script(&mut client);
        client.finish();
        if let Err(why) = server.try_shut_down() {
            panic!("under `{model}`: the server {why}");
        }
        self.compare(model, client.received());
    }

    /// Starts the test's own program again, for this task.
    #[track_caller]
    fn start(&self, task: &Task) -> Program {
        let (test, model) = (&self.test, &task.model);
        let program = env::current_exe().expect("a test knows its own path");
        let server = Program::try_start(
            Command::new(program)
                .args([
                    test,
                    "--exact",
                    "--nocapture",
                    "--test-threads=1",
                    "--include-ignored",
                ])
                .env(VARIABLE, task.to_string()),
        );
        server.unwrap_or_else(|said| {
            panic!("under `{model}`: the test `{test}`, started again, does not serve; it says:\n{said}")
        })
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
        let known = self.task.and_then(|mut task| {
            let is_known = self.number < task.said.len();
            is_known.then(|| task.said.swap_remove(self.number))
        });
        let said = known.or(self.first.map(|(_, said)| said));
        let said = said.unwrap_or_default();
        SAID.with_borrow_mut(|all| all.push(said.clone()));
        said
    }
}

/// A test's name. The harness calls the test's thread by it; where there is no such thread, it is the name of an item in its
/// function, without the crate and the item, and whatever closures are between.
fn test_of(thread: Option<&str>, here: &str) -> String {
    if let Some(name) = thread.filter(|name| *name != "main") {
        return name.to_owned();
    }
    let path = here.split("::").skip(1);
    let path: Vec<&str> = path.filter(|part| !part.starts_with('{')).collect();
    path[..path.len().saturating_sub(1)].join("::")
}

impl Task {
    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        Some(Self {
            trial: words.next()?.parse().ok()?,
            model: words.next()?.to_owned(),
            said: words.map(bytes).collect::<Option<_>>()?,
        })
    }
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.trial, self.model)?;
        for said in &self.said {
            f.write_str(" ")?;
            said.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        }
        Ok(())
    }
}

/// Bytes from their hexadecimal digits.
fn bytes(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes().chunks(2);
    let byte = |digits| u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok();
    digits.map(byte).collect()
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
    if M::FORKS {
        check_threads()?;
    }
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

/// A fork is sound beside the harness's own thread, which waits for this test and does nothing else, and beside no other.
fn check_threads() -> io::Result<()> {
    let others = fork::others()?;
    if others.len() <= 1 {
        return Ok(());
    }
    Err(io::Error::other(format!(
        "cannot fork while other threads run ({}): start them in `setup` or `worker_start`, or try the models that thread \
         alone: `conformance!(handler, [sync, threading, pool], |peer| ...)`",
        others.join(", ")
    )))
}

/// A place that nobody else has.
fn somewhere(kind: Kind) -> String {
    let path = env::temp_dir().join(format!("sockserv-conformance-{}", process::id()));
    match kind {
        Kind::Tcp => "tcp://127.0.0.1:0".into(),
        Kind::Udp => "udp://127.0.0.1:0".into(),
        Kind::Unix => format!("unix:{}", path.display()),
        Kind::UnixDatagram => format!("unix-datagram:{}", path.display()),
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
        let mut trial = $crate::testing::Trial::new(here);
        $(
            trial.under(
                ::core::stringify!($model),
                $crate::conformance!(@ $model),
                || $handler,
                |$peer: &mut $crate::testing::Client| {
                    $script;
                },
            );
        )+
        trial.said()
    }};
    (@ sync) => { ::core::marker::PhantomData::<$crate::Synchronous> };
    (@ threading) => { ::core::marker::PhantomData::<$crate::Threading> };
    (@ pool) => { ::core::marker::PhantomData::<$crate::Pool<()>> };
    (@ forking) => { ::core::marker::PhantomData::<$crate::UncheckedForking> };
    (@ prefork) => { ::core::marker::PhantomData::<$crate::UncheckedPrefork> };
    (@ $other:ident) => {{
        ::core::compile_error!(::core::concat!(
            "unknown model `",
            ::core::stringify!($other),
            "`; write `sync`, `threading`, `pool`, `forking` or `prefork`"
        ));
        $crate::conformance!(@ sync) // So that no second error follows.
    }};
}

#[cfg(test)]
mod tests {
    use super::{Task, test_of};

    #[test]
    fn a_test_is_known_by_its_thread_or_by_what_stands_in_it() {
        assert_eq!(
            test_of(Some("tests::one"), "krate::helper::here"),
            "tests::one"
        );
        let on_main = |here| test_of(Some("main"), here);
        assert_eq!(on_main("krate::one::here"), "one");
        assert_eq!(on_main("krate::tests::one::here"), "tests::one");
        assert_eq!(
            on_main("krate::tests::one::{{closure}}::here"),
            "tests::one"
        );
    }

    #[test]
    fn a_task_survives_the_way_to_another_process() {
        let task = Task {
            trial: 2,
            model: "pool".into(),
            said: vec![b"\0one\xff".to_vec(), Vec::new()],
        };
        assert_eq!(Task::parse(&task.to_string()), Some(task));
        assert_eq!(Task::parse("something else"), None);
    }
}
