//! An example as its users run it: a process that says where it listens.

use std::io::{self, BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use std::{env, thread};

use rustix::process::{Pid, Signal, kill_process};

use crate::client::{self, DEADLINE};

#[derive(Debug)]
pub(crate) struct Example {
    child: Child,
    lines: Receiver<String>,
    endpoints: Vec<String>,
}

impl Example {
    /// Starts the example on one free port of the loopback address.
    pub(crate) fn on_a_port(name: &str) -> io::Result<Self> {
        Self::start(name, 1, &["127.0.0.1:0"])
    }

    /// Starts the example and waits until it has announced all its listeners.
    pub(crate) fn start(name: &str, listeners: usize, arguments: &[&str]) -> io::Result<Self> {
        Self::spawn(Command::new(program(name)).args(arguments), listeners)
    }

    pub(crate) fn spawn(command: &mut Command, listeners: usize) -> io::Result<Self> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = BufReader::new(child.stdout.take().expect("it was asked for"));
        let (sender, lines) = channel();
        // Ends with the process, or with the test that has stopped listening.
        thread::spawn(move || {
            stdout
                .lines()
                .map_while(Result::ok)
                .try_for_each(|line| sender.send(line))
        });
        let mut example = Example {
            child,
            lines,
            endpoints: Vec::new(),
        };
        example.await_announcements(listeners);
        Ok(example)
    }

    /// Waits until it has announced so many listeners.
    pub(crate) fn await_announcements(&mut self, listeners: usize) {
        for _ in 0..listeners {
            let line = self.line();
            let endpoint = line
                .strip_prefix("listening on ")
                .unwrap_or_else(|| panic!("said `{line}`"));
            self.endpoints.push(endpoint.to_owned());
        }
    }

    /// Its standard error, if that was piped and not yet taken.
    pub(crate) fn stderr(&mut self) -> Option<ChildStderr> {
        self.child.stderr.take()
    }

    /// Insists that it says nothing for so long.
    pub(crate) fn expect_quiet_for(&self, time: Duration) {
        let said = self.lines.recv_timeout(time);
        assert_eq!(said, Err(RecvTimeoutError::Timeout));
    }

    /// The next line on its standard output.
    pub(crate) fn line(&self) -> String {
        self.lines
            .recv_timeout(DEADLINE)
            .expect("the example says something in time")
    }

    /// Where it listens, as announced: `tcp://127.0.0.1:7007`.
    pub(crate) fn endpoints(&self) -> &[String] {
        &self.endpoints
    }

    /// The address of its first listener, without the scheme.
    pub(crate) fn addr(&self) -> &str {
        self.endpoints[0]
            .split_once("://")
            .expect("it listens on a port")
            .1
    }

    pub(crate) fn port(&self) -> &str {
        self.addr()
            .rsplit_once(':')
            .expect("it listens on a port")
            .1
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to drain.
    pub(crate) fn terminate(&self) -> io::Result<()> {
        self.signal(Signal::TERM)
    }

    pub(crate) fn signal(&self, signal: Signal) -> io::Result<()> {
        let pid = i32::try_from(self.child.id())
            .ok()
            .and_then(Pid::from_raw)
            .expect("a process id");
        Ok(kill_process(pid, signal)?)
    }

    pub(crate) fn wait(&mut self) -> io::Result<ExitStatus> {
        client::wait(&mut self.child)
    }

    /// Asks it to drain and waits for its end, which must be a good one.
    pub(crate) fn stop(mut self) -> io::Result<()> {
        self.terminate()?;
        let status = self.wait()?;
        assert!(status.success(), "after SIGTERM it ended with {status}");
        Ok(())
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        // Both fail for a process that has ended and been waited for, which is the usual case.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The example's binary: a `cargo test` of the workspace has built it; else cargo does it here.
pub(crate) fn program(name: &str) -> PathBuf {
    let program = profile().join("examples").join(name);
    if !program.exists() {
        let release = profile().ends_with("release").then_some("--release");
        build(name, release.as_slice());
    }
    program
}

/// An example that needs a feature of the same package, which a `cargo test` of the workspace does not build.
pub(crate) fn program_with(feature: &str, name: &str) -> PathBuf {
    let release = profile().ends_with("release").then_some("--release");
    build(
        name,
        &[&["--features", feature], release.as_slice()].concat(),
    );
    profile().join("examples").join(name)
}

/// The example as a program whose panics abort it, in a target directory of its own.
pub(crate) fn aborting_program(name: &str) -> PathBuf {
    let target = profile().join("aborting");
    let aborts = "profile.dev.panic='abort'";
    let folder = target.to_str().expect("a plain path");
    build(name, &["--config", aborts, "--target-dir", folder]);
    target.join("debug/examples").join(name)
}

fn profile() -> PathBuf {
    let this = env::current_exe().expect("a test knows its own path");
    let profile = this.ancestors().nth(2).expect("target/PROFILE/deps/TEST");
    profile.to_owned()
}

fn build(name: &str, options: &[&str]) {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["build", "--quiet", "--package", "sockserv-examples"])
        .args(["--example", name])
        .args(options);
    assert!(
        cargo.status().is_ok_and(|status| status.success()),
        "cannot build the example `{name}`"
    );
}
