//! The handler's own state, the hooks, and the lines that both write.

use std::fmt::{Display, Write as _};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use sockserv::{Address, Incoming, Outcome, RequestError, ServerHandle};
use sockserv_tests::Gate;

use crate::flags::number;

/// What hooks are to do instead of their duty, by the command line.
#[derive(Debug, Default)]
pub(crate) struct Hooks {
    /// Say nothing about requests that go well.
    pub(crate) quiet: bool,
    /// `setup` reads the first line of a stream, as a command.
    pub(crate) setup_reads: bool,
    /// `setup` sends a stream so many bytes before anything is read.
    pub(crate) greeting: Option<usize>,
    pub(crate) clone: Option<Deed>,
    pub(crate) verify: Option<Deed>,
    pub(crate) service: Option<Deed>,
    pub(crate) timeout: Option<Deed>,
    pub(crate) error: Option<Deed>,
    pub(crate) bind: Option<Deed>,
    pub(crate) activate: Option<Deed>,
    pub(crate) worker_start: Option<Deed>,
    /// `worker_start` ends its process as if all were well.
    pub(crate) worker_exits: bool,
    /// `worker_start` fails while there is a file of this name.
    pub(crate) no_worker_while: Option<PathBuf>,
    /// `worker_start` waits at a gate in this folder that has its process' number.
    pub(crate) worker_gates: Option<PathBuf>,
    /// What `server_activate` does while this file is there: `hang`, or else fail.
    pub(crate) obstacle: Option<PathBuf>,
}

/// A failure so many times, after so many times in which all is well. Each process counts for itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deed {
    pub(crate) panics: bool,
    pub(crate) times: u64,
    pub(crate) after: u64,
}

static HOOKS: OnceLock<Hooks> = OnceLock::new();

impl Hooks {
    pub(crate) fn install(self) {
        HOOKS.set(self).expect("it is called once");
    }
}

pub(crate) fn hooks() -> &'static Hooks {
    HOOKS.get().expect("main has installed them")
}

/// Fails as it was told, while it is told to.
fn act(deed: Option<Deed>, count: &AtomicU64, name: &str) -> bool {
    let Some(deed) = deed else { return true };
    let before = count.fetch_add(1, Ordering::Relaxed);
    if before < deed.after || before - deed.after >= deed.times {
        return true;
    }
    assert!(!deed.panics, "{name} panics");
    false
}

/// Writes one event, in one write so that lines of several units do not mix.
pub(crate) fn say(name: &str, values: &[(&str, &dyn Display)]) {
    let mut line = format!("@{name}");
    for (key, value) in values {
        let value = value.to_string().replace([' ', '\n'], "_");
        write!(line, " {key}={value}").expect("a string takes it");
    }
    writeln!(line, " pid={}", process::id()).expect("a string takes it");
    io::stderr()
        .write_all(line.as_bytes())
        .expect("the driver reads it");
}

/// The private value of one request.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) finish: Option<Failure>,
    pub(crate) drop_panics: bool,
    /// What `setup` read as the first command.
    pub(crate) command: Option<String>,
    /// Descriptors held on request.
    pub(crate) held: Vec<File>,
    /// Whether this value served a request: the prototype did not.
    pub(crate) used: bool,
}

/// The two ways in which a method can fail.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Failure {
    Error,
    Panic,
}

impl Failure {
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "error" => Some(Failure::Error),
            "panic" => Some(Failure::Panic),
            _ => None,
        }
    }

    pub(crate) fn happen(self, place: &str) -> Outcome {
        match self {
            Failure::Error => Err(format!("{place} fails").into()),
            Failure::Panic => panic!("{place} panics"),
        }
    }
}

impl Clone for State {
    fn clone(&self) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        if !act(hooks().clone, &COUNT, "clone") {
            panic!("a clone cannot fail otherwise");
        }
        State::default()
    }
}

impl Drop for State {
    fn drop(&mut self) {
        if self.used && !hooks().quiet {
            say("drop", &[]);
        }
        assert!(!self.drop_panics, "drop panics");
    }
}

impl State {
    pub(crate) fn handle_error(&mut self, error: &RequestError, peer: &Address) {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let status = error
            .exit_status()
            .map_or_else(|| "none".to_owned(), |status| status.to_string());
        let timeout = error
            .timeout()
            .map_or_else(|| "none".to_owned(), |timeout| format!("{timeout:?}"));
        say(
            "error",
            &[
                ("phase", &error.phase()),
                ("panic", &error.is_panic()),
                ("disconnect", &error.is_disconnect()),
                ("timeout", &error.is_timeout()),
                ("which", &timeout),
                ("exit", &status),
                ("own", &self.used),
                ("peer", peer),
                ("text", error),
            ],
        );
        act(hooks().error, &COUNT, "handle_error");
    }
}

/// What a request of either kind does when it is told.
pub(crate) trait Scenario {
    fn setup(&mut self, state: &mut State) -> Outcome;
    fn handle(&mut self, state: &mut State) -> Outcome;
    fn finish(&mut self, state: &mut State) -> Outcome;
}

/// Says that a method begins.
pub(crate) fn step(name: &str, peer: &Address) {
    if !hooks().quiet {
        say(name, &[("peer", peer)]);
    }
}

/// What takes so many milliseconds.
pub(crate) fn work(millis: &str) -> io::Result<()> {
    sockserv_tests::pace(Instant::now() + Duration::from_millis(number(millis)?));
    Ok(())
}

pub(crate) fn verify(peer: &Address, incoming: &Incoming) -> bool {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    if !hooks().quiet {
        say(
            "verify",
            &[("peer", peer), ("local", incoming.local_addr())],
        );
    }
    act(hooks().verify, &COUNT, "verify_request")
}

/// What the command `stats` is answered.
pub(crate) fn counts(server: &ServerHandle) -> String {
    let stats = server.stats();
    format!(
        "{} {} {} {}",
        stats.accepted, stats.active, stats.finished, stats.failed
    )
}

pub(crate) fn timeout() {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    say("timeout", &[]);
    act(hooks().timeout, &COUNT, "handle_timeout");
}

static IS_STUCK: AtomicBool = AtomicBool::new(false);

/// `service_actions` is not to return any more, in this process.
pub(crate) fn stick() {
    IS_STUCK.store(true, Ordering::Relaxed);
}

pub(crate) fn service() {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    if !hooks().quiet {
        say("service", &[]);
    }
    if IS_STUCK.load(Ordering::Relaxed) {
        say("stuck", &[]);
        loop {
            thread::park();
        }
    }
    act(hooks().service, &COUNT, "service_actions");
}

pub(crate) fn bind(socket: &socket2::Socket) -> io::Result<()> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let has_name = socket
        .local_addr()?
        .as_socket()
        .is_some_and(|at| at.port() != 0);
    say("bind", &[("named", &has_name)]);
    match act(hooks().bind, &COUNT, "server_bind") {
        true => Ok(()),
        false => Err(io::Error::other("server_bind fails")),
    }
}

pub(crate) fn activate(socket: &socket2::Socket) -> io::Result<()> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let listens = rustix::net::sockopt::socket_acceptconn(socket)?;
    say("activate", &[("listens", &listens)]);
    let obstacle = hooks().obstacle.as_ref();
    let obstacle = obstacle.and_then(|path| fs::read_to_string(path).ok());
    if obstacle.as_deref() == Some("hang") {
        loop {
            thread::park();
        }
    }
    match act(hooks().activate, &COUNT, "server_activate") {
        true if obstacle.is_none() => Ok(()),
        _ => Err(io::Error::other("server_activate fails")),
    }
}

pub(crate) fn worker_start(worker: usize) -> io::Result<()> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    // Before anything is said: who hears of this worker may put the file there for the next.
    let not_now = hooks().no_worker_while.as_ref();
    let is_hindered = not_now.is_some_and(|path| path.exists());
    let gates = hooks().worker_gates.as_ref();
    let gate = gates.map(|folder| Gate::new(folder, &process::id().to_string()));
    say("worker", &[("worker", &worker)]);
    if let Some(gate) = gate {
        File::open(gate.path())?;
    }
    if hooks().worker_exits {
        process::exit(0);
    }
    match act(hooks().worker_start, &COUNT, "worker_start") {
        true if !is_hindered => Ok(()),
        _ => Err(io::Error::other("worker_start fails")),
    }
}
