//! The tool as its users run it.
#![allow(dead_code, reason = "each test program takes its part")]

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

/// How long a step of a dialogue may take: much, so that a busy machine fails no test.
const PATIENCE: Duration = Duration::from_secs(30);

/// `cargo sockserv` in a folder, where nobody can be asked.
pub(crate) fn sockserv(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cargo-sockserv"));
    command
        .arg("sockserv")
        .current_dir(folder)
        .stdin(Stdio::null());
    command
}

/// The same command, begun by a shell that has done this before.
pub(crate) fn limited(command: &Command, before: &str) -> Command {
    let mut limited = Command::new("sh");
    limited
        .arg("-c")
        .arg(format!("{before}; exec \"$0\" \"$@\""))
        .arg(command.get_program())
        .args(command.get_args());
    limited
        .current_dir(command.get_current_dir().expect("it is given"))
        .stdin(Stdio::null());
    limited
}

/// This repository.
pub(crate) fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The names in a folder, in order.
pub(crate) fn entries(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).expect("a folder");
    let mut names: Vec<String> = names
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .into_string()
                .expect("UTF-8")
        })
        .collect();
    names.sort();
    names
}

/// A terminal, and a command that believes it has a user.
pub(crate) struct Terminal {
    user: File,
    child: Child,
    said: String,
}

impl Terminal {
    pub(crate) fn start(mut command: Command) -> io::Result<Self> {
        let user = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
        grantpt(&user)?;
        unlockpt(&user)?;
        let path = ptsname(&user, Vec::new())?
            .into_string()
            .map_err(io::Error::other)?;
        let terminal = OpenOptions::new().read(true).write(true).open(path)?;
        let child = command
            .env("TERM", "xterm")
            .stdin(terminal.try_clone()?)
            .stdout(terminal.try_clone()?)
            .stderr(terminal)
            .spawn()?;
        Ok(Self {
            user: user.into(),
            child,
            said: String::new(),
        })
    }

    /// Waits for the question, and types.
    pub(crate) fn answer(&mut self, question: &str, keys: &str) -> io::Result<()> {
        let until = Instant::now() + PATIENCE;
        while !self.said.contains(question) {
            if !self.read(until)? {
                return Err(self.failure(&format!("ended and did not ask for the {question}")));
            }
        }
        self.said.clear();
        self.user.write_all(keys.as_bytes())
    }

    /// Reads what else it says, up to its end.
    pub(crate) fn end(mut self) -> io::Result<ExitStatus> {
        let until = Instant::now() + PATIENCE;
        while self.read(until)? {}
        self.child.wait()
    }

    /// Returns whether there was something to read before its end.
    fn read(&mut self, until: Instant) -> io::Result<bool> {
        let left = until.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).map_err(io::Error::other)?;
        if poll(&mut [PollFd::new(&self.user, PollFlags::IN)], Some(&left))? == 0 {
            return Err(self.failure("waits for other keys"));
        }
        let mut bytes = [0; 1024];
        let count = match self.user.read(&mut bytes) {
            Err(error) if error.raw_os_error() == Some(Errno::IO.raw_os_error()) => 0, // Nobody has it open any more.
            result => result?,
        };
        self.said += &String::from_utf8_lossy(&bytes[..count]);
        Ok(count > 0)
    }

    fn failure(&self, what: &str) -> io::Error {
        io::Error::other(format!("it {what}; it said: {}", self.said))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It has ended, or nobody will answer it any more.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
