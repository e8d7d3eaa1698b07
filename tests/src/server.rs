//! A server process of one cell.

use std::env;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::said::{Log, events, read};
use crate::{Cell, Client, Ended, Event, Folder, Gate, Process, Transport, until};

/// How many workers a server of `prefork` has, unless a test says otherwise.
const WORKERS: usize = 6;

/// Moves standard input to where systemd would have put a socket, and says so.
const AS_SYSTEMD: &str =
    "exec 3<&0 0</dev/null; LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=web exec \"$0\" \"$@\"";

/// How a server is to be started.
#[derive(Clone, Debug)]
pub struct Scenario {
    cell: Cell,
    flags: Vec<String>,
    addrs: Vec<String>,
    limit: Option<u32>,
    inherited: Option<Arc<OwnedFd>>,
    program: Option<PathBuf>,
    group: bool,
}

impl Scenario {
    /// A server of this cell on a free port or a fresh path. Under `prefork` it has as many workers as tests hold requests
    /// open, because each worker serves one at a time.
    #[must_use]
    pub fn new(cell: Cell) -> Self {
        let new = Self {
            cell,
            flags: Vec::new(),
            addrs: Vec::new(),
            limit: None,
            inherited: None,
            program: None,
            group: false,
        };
        match cell.is_preforked() {
            true => new.with("workers", &WORKERS.to_string()),
            false => new,
        }
    }

    /// One accept loop alone, so that what each process counts for itself (a hook's nth call) is counted once.
    #[must_use]
    pub fn with_one_loop(self) -> Self {
        match self.cell.is_preforked() {
            true => self.with("workers", "1"),
            false => self,
        }
    }

    /// Adds `--name value`.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.flags.extend([format!("--{name}"), value.to_owned()]);
        self
    }

    /// Listens here, in place of a free port or a fresh path.
    #[must_use]
    pub fn at(mut self, addr: &str) -> Self {
        self.addrs.push(addr.to_owned());
        self
    }

    /// Allows it so many descriptors.
    #[must_use]
    pub fn limit(mut self, descriptors: u32) -> Self {
        self.limit = Some(descriptors);
        self
    }

    /// Hands it a socket over as systemd does, under the name `web`.
    #[must_use]
    pub fn inherits(mut self, socket: OwnedFd) -> Self {
        self.inherited = Some(Arc::new(socket));
        self
    }

    /// Starts this copy of the program.
    #[must_use]
    pub fn program(mut self, path: &Path) -> Self {
        self.program = Some(path.to_owned());
        self
    }

    /// Gives it a process group of its own.
    #[must_use]
    pub fn in_group(mut self) -> Self {
        self.group = true;
        self
    }

    /// Starts it and waits until it listens.
    #[must_use]
    pub fn start(self) -> Server {
        let mut server = self.spawn();
        server.await_announcement();
        server
    }

    /// Starts a server that is not expected to listen; returns how it ended.
    #[must_use]
    pub fn fail(self) -> Ended {
        self.spawn().wait()
    }

    fn spawn(self) -> Server {
        let folder = Folder::new();
        let mut addrs = self.addrs;
        if addrs.is_empty() {
            addrs.push(match self.cell.is_unix() {
                true => format!("unix:{}", folder.join("socket").display()),
                false => "127.0.0.1:0".to_owned(),
            });
        }
        let program = self.program.unwrap_or_else(program);
        let mut command = match self.limit {
            None if self.inherited.is_some() => {
                let mut command = Command::new("sh");
                command.args(["-c", AS_SYSTEMD]).arg(program);
                command
            }
            None => Command::new(program),
            Some(limit) => {
                let mut command = Command::new("prlimit");
                command.arg(format!("--nofile={limit}")).arg(program);
                command
            }
        };
        command
            .args([self.cell.transport.word(), self.cell.model.word()])
            .args(addrs)
            .args(self.flags);
        command
            .env("RUST_BACKTRACE", "0")
            .stdin(match self.inherited {
                None => Stdio::null(),
                Some(socket) => socket.try_clone().expect("a free descriptor").into(),
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if self.group {
            command.process_group(0);
        }
        let mut child = command.spawn().expect("the program is there");
        let log = Arc::new(Log::default());
        let readers = vec![
            read(
                child.stdout.take().expect("it was asked for"),
                Arc::clone(&log),
            ),
            read(
                child.stderr.take().expect("it was asked for"),
                Arc::clone(&log),
            ),
        ];
        Server {
            cell: self.cell,
            child,
            log,
            readers,
            addrs: Vec::new(),
            folder,
            successors: Mutex::default(),
        }
    }
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    cell: Cell,
    child: Child,
    log: Arc<Log>,
    readers: Vec<JoinHandle<()>>,
    addrs: Vec<String>,
    folder: Folder,
    /// The processes that have taken over from one another, the last one last.
    successors: Mutex<Vec<(Process, OwnedFd)>>,
}

impl Server {
    /// Starts a server of this cell with nothing special.
    #[must_use]
    pub fn start(cell: Cell) -> Self {
        Scenario::new(cell).start()
    }

    /// Its cell.
    #[must_use]
    pub fn cell(&self) -> Cell {
        self.cell
    }

    fn await_announcement(&mut self) {
        let line = self.line(|line| line.starts_with("listening on "));
        let said = line.strip_prefix("listening on ").expect("it begins so");
        self.addrs = vec![place(said).to_owned()];
    }

    /// Waits until so many workers have said that they start, counted from the server's own start.
    pub fn await_workers(&self, count: usize) {
        self.nth_event(count - 1, "worker");
    }

    /// Waits until all workers of a `prefork` scenario without a number of its own have started, and are watched. Others
    /// have none.
    pub fn await_crew(&self) {
        if self.cell.is_preforked() {
            self.await_workers(WORKERS);
            let pidfds = || {
                let descriptors = self.process().descriptors().into_iter();
                descriptors.filter(|link| link.contains("pidfd")).count()
            };
            until(
                || pidfds() == WORKERS,
                || format!("{} workers are watched", pidfds()),
            );
        }
    }

    /// The processes that stay as long as it runs: its own, and its workers.
    #[must_use]
    pub fn processes(&self) -> Vec<Process> {
        let mut all = vec![self.process()];
        if self.cell.is_preforked() {
            let workers = self.process().children();
            all.extend(workers.into_iter().map(|(worker, _)| worker));
        }
        all
    }

    /// Where it listens, as clients need it.
    #[must_use]
    pub fn addr(&self) -> &str {
        &self.addrs[0]
    }

    /// A folder of its own, removed at its end.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A pipe for the command `gate`.
    #[must_use]
    pub fn gate(&self, name: &str) -> Gate {
        Gate::new(self.folder(), name)
    }

    /// Its process: the last one that has taken over.
    #[must_use]
    pub fn process(&self) -> Process {
        let successors = self.successors();
        successors
            .last()
            .map_or(Process(self.child.id()), |last| last.0)
    }

    fn successors(&self) -> MutexGuard<'_, Vec<(Process, OwnedFd)>> {
        self.successors
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until one more process has taken over; returns the one that was before, which may still drain.
    pub fn await_upgrade(&self) -> Process {
        let nth = self.successors().len();
        let taken = |line: &String| {
            let rest = line.strip_prefix("sockserv: process ")?;
            rest.strip_suffix(" has taken over")?.parse().ok()
        };
        let next = |lines: &[String]| lines.iter().filter_map(taken).nth(nth);
        let before = self.process();
        let next = Process(self.log.wait(next));
        let pidfd = pidfd_open(next.pid(), PidfdFlags::empty()).expect("it serves");
        self.successors().push((next, pidfd));
        before
    }

    /// Has another process take over, and waits until the one before it has ended.
    pub fn upgrade(&self) {
        self.signal(Signal::USR2);
        let before = self.await_upgrade();
        until(|| !before.is_alive(), || format!("{before:?} does not end"));
    }

    /// Connects a client.
    #[must_use]
    pub fn connect(&self) -> Client {
        self.try_connect()
            .unwrap_or_else(|error| panic!("cannot connect to {}: {error}", self.addr()))
    }

    /// Connects a client, if it can be done.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn try_connect(&self) -> std::io::Result<Client> {
        Client::connect(self.cell.transport, self.addr())
    }

    /// The transport's kind of client for an address of one's own choice.
    #[must_use]
    pub fn transport(&self) -> Transport {
        self.cell.transport
    }

    /// Waits for a line.
    pub fn line(&self, wanted: impl Fn(&str) -> bool) -> String {
        self.log
            .wait(|lines| lines.iter().find(|line| wanted(line)).cloned())
    }

    /// Waits for the first event of this name.
    pub fn event(&self, name: &str) -> Event {
        self.nth_event(0, name)
    }

    /// Waits for the nth event of this name, counted from zero.
    pub fn nth_event(&self, nth: usize, name: &str) -> Event {
        self.log
            .wait(|lines| events(lines).filter(|event| event.name() == name).nth(nth))
    }

    /// Waits for the first event of this name that concerns this client.
    pub fn event_of(&self, name: &str, client: &Client) -> Event {
        self.event_of_peer(name, client.name())
    }

    /// Waits for the first event of this name that concerns the client of that name.
    pub fn event_of_peer(&self, name: &str, peer: &str) -> Event {
        self.log
            .wait(|lines| events(lines).find(|event| event.name() == name && event.concerns(peer)))
    }

    /// The events so far that concern a client, by their names.
    #[must_use]
    pub fn story_of(&self, client: &Client) -> Vec<String> {
        let lines = self.log.lines();
        events(&lines)
            .filter(|event| event.concerns(client.name()))
            .map(|event| event.name().to_owned())
            .collect()
    }

    /// All events of a name so far.
    #[must_use]
    pub fn events(&self, name: &str) -> Vec<Event> {
        events(&self.log.lines())
            .filter(|event| event.name() == name)
            .collect()
    }

    /// All lines so far.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.log.lines().clone()
    }

    /// Whether it says nothing for so long.
    #[must_use]
    pub fn is_quiet_for(&self, time: Duration) -> bool {
        self.log.is_quiet_for(time)
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        self.process().signal(signal);
    }

    /// Asks it to drain and waits for its end.
    #[must_use]
    pub fn terminate(self) -> Ended {
        self.signal(Signal::TERM);
        self.wait()
    }

    /// Asks it to drain and insists on a good end.
    #[must_use]
    pub fn stop(self) -> Ended {
        let ended = self.terminate();
        ended.expect_good();
        ended
    }

    /// Waits until it has counted as many active requests.
    pub fn expect_active(&self, client: &mut Client, active: u64) {
        let mut last = String::new();
        until(
            || {
                last = client.ask("stats");
                last.split(' ').nth(1) == Some(&active.to_string())
            },
            || {
                format!(
                    "not {active} requests are active; accepted, active, finished, failed: last"
                )
            },
        );
    }

    /// Waits for its end, which somebody has asked for.
    #[must_use]
    pub fn wait(mut self) -> Ended {
        let began = Instant::now();
        let mut status = None;
        until(
            || {
                status = self.child.try_wait().expect("it is our child");
                status.is_some()
            },
            || format!("it does not end; it said {:#?}", self.log.lines()),
        );
        let took = began.elapsed();
        let last = self.process();
        until(
            || last.0 == self.child.id() || !last.is_alive(),
            || format!("{last:?} does not end; it said {:#?}", self.log.lines()),
        );
        for reader in self.readers.drain(..) {
            reader.join().expect("it only reads");
        }
        let lines = self.log.lines().clone();
        Ended {
            status: status.expect("it has ended"),
            lines,
            took,
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if thread::panicking() {
            let lines = self.log.lines().join("\n    ");
            eprint_all(&format!("{} said:\n    {lines}\n", self.cell));
        }
        // All fail for a process that has been waited for.
        for (_, pidfd) in &*self.successors() {
            let _ = pidfd_send_signal(pidfd, Signal::KILL);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn eprint_all(text: &str) {
    use std::io::Write;
    // Where a test that fails cannot say why, nothing can be done.
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// An announcement without its scheme.
fn place(said: &str) -> &str {
    let said = said
        .strip_prefix("unix-datagram:")
        .or_else(|| said.strip_prefix("unix:"))
        .unwrap_or(said);
    said.split_once("://").map_or(said, |(_, place)| place)
}

/// The server's program, which cargo has built beside the tests.
#[must_use]
pub fn program() -> PathBuf {
    let this = env::current_exe().expect("a test knows its own path");
    let profile = this.ancestors().nth(2).expect("target/PROFILE/deps/TEST");
    profile.join("cell")
}
