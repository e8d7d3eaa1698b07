//! [`Program`]: a server that is a program of its own, as it will run.

use std::io::{self, BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

use super::Client;
use crate::address::Endpoint;
use crate::sys::poller::timespec;

/// What [`run`](crate::Server::run) says before each place where it listens.
const LISTENING: &str = "listening on ";

/// How long a server may take to end: more than it gives its requests.
const END_WAIT: Duration = Duration::from_secs(20);

/// A server that runs as a program of its own, until this is dropped.
///
/// It must say where it listens, as [`run`](crate::Server::run) does.
///
/// # Examples
///
/// In the tests of a package with a program whose arguments are addresses, as the examples have them:
///
/// ```
/// use std::process::Command;
///
/// use sockserv::testing::Program;
///
/// # use sockserv::prelude::*;
/// # #[derive(Clone)] struct Echo;
/// # #[server(tcp, threading)]
/// # impl Echo {
/// #     fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
/// #         io::copy(&mut stream.rfile, &mut stream.wfile).map(drop)
/// #     }
/// # }
/// # macro_rules! env { ($name:tt) => { std::env::current_exe()? } } // This program is its own server.
/// # fn main() -> io::Result<()> {
/// # if let Some(address) = std::env::args().nth(1) {
/// #     return EchoServer::bind_to(address, Echo)?.run();
/// # }
/// let program = Program::start(Command::new(env!("CARGO_BIN_EXE_echo")).arg("127.0.0.1:0"));
/// program.connect().send("hello\n").expect_line("hello");
/// program.shutdown();
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Program {
    child: Child,
    endpoints: Vec<Endpoint>,
}

impl Program {
    /// Starts the program, and waits until it listens. Its stdin is empty, its stderr that of the test.
    ///
    /// # Panics
    ///
    /// Panics if it cannot be started, or ends without having listened; what it said is in the text.
    #[track_caller]
    #[must_use = "it ends when this is dropped"]
    pub fn start(command: &mut Command) -> Self {
        match Self::try_start(command) {
            Ok(program) => program,
            Err(said) => panic!("{command:?} does not listen; it says:\n{said}"),
        }
    }

    /// Returns what it said if it does not listen.
    pub(super) fn try_start(command: &mut Command) -> Result<Self, String> {
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let child = command.spawn().map_err(|error| error.to_string())?;
        let mut program = Self {
            child,
            endpoints: Vec::new(),
        };
        let mut said = String::new();
        if let Some(stdout) = program.child.stdout.take() {
            let mut stdout = BufReader::new(stdout);
            program.listen(&mut stdout, &mut said);
            // What it says later must not fill the pipe. The thread ends with the program.
            let rest = move || io::copy(&mut stdout, &mut io::sink());
            drop(
                thread::Builder::new()
                    .name("sockserv-stdout".into())
                    .spawn(rest),
            );
        }
        match program.endpoints.is_empty() {
            true => Err(said),
            false => Ok(program),
        }
    }

    /// Reads until it listens: all places are said at once.
    fn listen(&mut self, stdout: &mut BufReader<ChildStdout>, said: &mut String) {
        let mut line = String::new();
        while self.endpoints.is_empty() || !stdout.buffer().is_empty() {
            line.clear();
            if stdout.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            // A test's harness may have begun the line.
            let place = line
                .split_once(LISTENING)
                .and_then(|(_, place)| place.trim_end().parse().ok());
            self.endpoints.extend(place);
            said.push_str(&line);
        }
    }

    /// Returns where it listens, in the order in which it says so.
    #[must_use]
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// Connects a client to the first place where it listens; `Client::connect(&program.endpoints()[1])` to the second.
    ///
    /// # Panics
    ///
    /// Panics if it does not listen any more.
    #[track_caller]
    #[must_use]
    pub fn connect(&self) -> Client {
        Client::connect(&self.endpoints[0])
    }

    /// Asks it to shut down (SIGTERM), and waits for its end.
    ///
    /// # Panics
    ///
    /// Panics if it does not end, or ends with a failure: after a shutdown that cut requests, for instance.
    #[track_caller]
    pub fn shutdown(self) {
        if let Err(why) = self.try_shut_down() {
            panic!("the server {why}");
        }
    }

    pub(super) fn try_shut_down(mut self) -> Result<(), String> {
        let pid = Pid::from_child(&self.child);
        let ended = pidfd_open(pid, PidfdFlags::empty()).and_then(|pidfd| {
            kill_process(pid, Signal::TERM)?;
            poll(
                &mut [PollFd::new(&pidfd, PollFlags::IN)],
                Some(&timespec(END_WAIT)),
            )
        });
        match ended.map_err(io::Error::from) {
            Ok(0) => Err(format!("has not ended after {END_WAIT:?}")),
            Err(error) => Err(format!("cannot be ended: {error}")),
            Ok(_) => match self.child.wait() {
                Ok(status) if status.success() => Ok(()),
                Ok(status) => Err(format!("ended with {status}")),
                Err(error) => Err(format!("cannot be waited for: {error}")),
            },
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It has ended, or nobody needs it any more.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
