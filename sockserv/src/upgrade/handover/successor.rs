//! The process that is to take over, as the one sees it that starts it.

use std::ffi::OsString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use std::{env, fs, io, process};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socketpair,
};
use rustix::process::Signal;
use socket2::Socket;

use crate::sys::clock::Tick;
use crate::sys::fork::{Child, ClosedInChildren};
use crate::sys::poller::timespec;
use crate::upgrade::handover::{GO, READY, VARIABLE, sockets};
use crate::upgrade::label::Label;

/// How long the end of a process is waited for that was killed, or will never be ready.
const END_WAIT: Duration = Duration::from_millis(500);

/// What systemd says to one process alone.
const OF_ONE_PROCESS: [&str; 4] = ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "WATCHDOG_PID"];

/// A process that was started and has not taken over yet.
#[derive(Debug)]
pub(crate) struct Successor {
    /// Dropped before the channel is.
    closed_in_children: ClosedInChildren,
    channel: OwnedFd,
    child: Child,
    until: Tick,
    /// Whether it can still say something.
    is_open: bool,
}

/// What a look at it shows.
#[derive(Debug)]
pub(crate) enum Look {
    /// It has not said anything.
    Starting,
    /// Nor will it: its channel is to be watched no more. It has a moment to end, so that it is known how.
    Closed,
    Ready,
    /// It has ended, or never will be ready.
    Failed(String),
}

enum Said {
    Nothing,
    Ready,
    End,
}

impl Successor {
    /// Starts this process's program anew, with these sockets.
    pub(crate) fn start(sockets: &[(Arc<Socket>, Label)], timeout: Duration) -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let (channel, other) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        for (socket, label) in sockets {
            sockets::send(channel.as_fd(), socket, label)?;
        }
        let program = program()?;
        let mut command = Command::new(program);
        let mut arguments = env::args_os();
        command.arg0(arguments.next().unwrap_or_default());
        command.args(arguments);
        OF_ONE_PROCESS.iter().for_each(|name| {
            command.env_remove(name);
        });
        let number = std::os::fd::AsRawFd::as_raw_fd(&other);
        command.env(VARIABLE, format!("{}:{number}", process::id()));
        let child = crate::sys::successor::spawn(command, other.as_fd()).map_err(|error| {
            let program = program.display();
            io::Error::new(error.kind(), format!("cannot start `{program}`: {error}"))
        })?;
        Ok(Self {
            closed_in_children: ClosedInChildren::new(&channel),
            channel,
            child,
            until: Tick::now().after(timeout),
            is_open: true,
        })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// What becomes readable when it says something.
    pub(crate) fn channel(&self) -> BorrowedFd<'_> {
        self.channel.as_fd()
    }

    /// What becomes readable when it ends.
    pub(crate) fn process(&self) -> BorrowedFd<'_> {
        self.child.as_fd()
    }

    /// When it must be ready.
    pub(crate) fn until(&self) -> Tick {
        self.until
    }

    /// Looks what has become of it.
    pub(crate) fn look(&mut self) -> Look {
        let said = self.hear();
        if let Some(status) = self.child.ended() {
            return Look::Failed(format!("it ended before it was ready: {status}"));
        }
        match said {
            Said::Ready => return Look::Ready,
            Said::Nothing => {}
            Said::End => {
                self.is_open = false;
                self.until = self.until.min(Tick::now().after(END_WAIT));
                return Look::Closed;
            }
        }
        match self.until <= Tick::now() {
            false => Look::Starting,
            true if self.is_open => Look::Failed("it was not ready in time".into()),
            true => Look::Failed("it closed the channel before it was ready".into()),
        }
    }

    fn hear(&self) -> Said {
        if !self.is_open {
            return Said::Nothing;
        }
        let mut word = [0; READY.len()];
        match recv(&self.channel, &mut word, RecvFlags::DONTWAIT) {
            Ok((_, length)) if word == READY && length == READY.len() => Said::Ready,
            Err(Errno::AGAIN | Errno::INTR) => Said::Nothing,
            _ => Said::End,
        }
    }

    /// Lets it accept. From then on it may see our end by the end of the channel, which stays open until then.
    pub(crate) fn go(self) -> Result<(), (Self, io::Error)> {
        match send(&self.channel, GO, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
            Ok(_) => {
                std::mem::forget(self.closed_in_children);
                std::mem::forget(self.channel);
                Ok(())
            }
            Err(error) => Err((self, error.into())),
        }
    }

    /// In a worker: it is its parent's. The channel is closed here since the fork.
    pub(crate) fn leave_to_parent(self) {
        std::mem::forget(self.channel);
    }

    /// Ends it.
    pub(crate) fn kill(self) {
        self.child.signal(Signal::KILL);
        let mut ended = [PollFd::new(&self.child, PollFlags::IN)];
        // Should it take longer, a dead process is left until this one ends.
        let _ = poll(&mut ended, Some(&timespec(END_WAIT)));
        self.child.ended();
    }
}

/// Returns where this process's program is, to be started anew.
///
/// The path by which it was called, not the file that it led to: an upgrade may have exchanged a link. Found when the first
/// server is made, because the working folder may change, and the program's file may be gone later.
pub(super) fn program() -> io::Result<&'static Path> {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    let found = match PROGRAM.get() {
        Some(program) => return Ok(program),
        None => find_program()?,
    };
    Ok(PROGRAM.get_or_init(|| found))
}

fn find_program() -> io::Result<PathBuf> {
    let running = identity(Path::new("/proc/self/exe"));
    let called = env::args_os().next().unwrap_or_default();
    let places = match called.as_encoded_bytes().contains(&b'/') {
        true => vec![std::path::absolute(&called)?],
        false => env::var_os("PATH").map_or_else(Vec::new, |path| in_path(&path, &called)),
    };
    let is_running = |path: &PathBuf| running.is_some() && identity(path) == running;
    match places.into_iter().find(is_running) {
        Some(program) => Ok(program),
        None => env::current_exe(),
    }
}

fn in_path(path: &OsString, name: &OsString) -> Vec<PathBuf> {
    let folders = env::split_paths(path);
    let places = folders.filter_map(|folder| std::path::absolute(folder.join(name)).ok());
    places.collect()
}

/// What file it is that a path leads to.
fn identity(path: &Path) -> Option<(u64, u64)> {
    let file = fs::metadata(path).ok()?;
    Some((file.dev(), file.ino()))
}
