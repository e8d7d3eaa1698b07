//! The tool as its users run it.
#![allow(dead_code, reason = "each test program takes its part")]

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

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
        while !self.said.contains(question) {
            let mut bytes = [0; 1024];
            let count = self.user.read(&mut bytes)?;
            assert_ne!(count, 0, "it ended, and had said: {}", self.said);
            self.said += &String::from_utf8_lossy(&bytes[..count]);
        }
        self.said.clear();
        self.user.write_all(keys.as_bytes())
    }

    /// Reads what else it says, up to its end.
    pub(crate) fn end(mut self) -> io::Result<ExitStatus> {
        let mut rest = Vec::new();
        let _ = self.user.read_to_end(&mut rest); // A terminal that nobody has open any more is an error.
        self.child.wait()
    }
}
