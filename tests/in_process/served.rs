//! A test of this binary as a process of its own, whose servers are asked from outside.

use std::io::{self, BufRead, BufReader, Lines};
use std::net::TcpStream;
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};

use rustix::process::Signal;
use sockserv_tests::{DEADLINE, Process};

use crate::this;

/// The process, and what it says.
pub(crate) struct Served {
    child: Child,
    said: Lines<BufReader<ChildStderr>>,
    out: BufReader<ChildStdout>,
}

impl Served {
    pub(crate) fn start(name: &str) -> io::Result<Self> {
        Self::launch(Command::new(this()).args(["--alone", name]))
    }

    pub(crate) fn launch(command: &mut Command) -> io::Result<Self> {
        let mut child = command
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let out = BufReader::new(child.stdout.take().expect("it was asked for"));
        let said = BufReader::new(child.stderr.take().expect("it was asked for")).lines();
        Ok(Self { child, said, out })
    }

    /// The next address that it announces.
    pub(crate) fn at(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.out.read_line(&mut line)?;
        let at = line.trim_end().strip_prefix("listening on ");
        let at = at.unwrap_or_else(|| panic!("said `{line}`"));
        Ok(at
            .split_once("://")
            .map_or(at, |(_, place)| place)
            .to_owned())
    }

    pub(crate) fn process(&self) -> Process {
        Process(self.child.id())
    }

    pub(crate) fn line(&mut self) -> String {
        self.said
            .next()
            .expect("it has more to say")
            .expect("it is text")
    }

    /// Waits for its end; returns how that was, and what it had still to say.
    pub(crate) fn wait(mut self) -> io::Result<(bool, Vec<String>)> {
        let rest = self.said.by_ref().collect::<io::Result<_>>()?;
        Ok((self.child.wait()?.success(), rest))
    }

    /// Asks for a good end; returns what it had still to say.
    pub(crate) fn stop(self) -> io::Result<Vec<String>> {
        self.process().signal(Signal::TERM);
        let (is_good, rest) = self.wait()?;
        assert!(is_good, "{rest:?}");
        Ok(rest)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // Both fail for a process that has been waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// In such a process: what a server came to, which the test reads if it is an error.
pub(crate) fn ended(result: io::Result<()>) {
    result.unwrap_or_else(|error| panic!("ended with: {error}"));
}

/// A client that does not wait for ever.
pub(crate) fn connect(at: &str) -> io::Result<TcpStream> {
    let client = TcpStream::connect(at)?;
    client.set_read_timeout(Some(DEADLINE))?;
    Ok(client)
}
