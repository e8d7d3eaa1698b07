//! Starts another program that keeps one descriptor of ours.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::process::Pid;

use crate::sys::fork::Child;

/// Starts a program that inherits `kept`, under the number that it has here.
///
/// Fit for a process with threads: between fork and exec nothing but one system call of ours is made.
pub(crate) fn spawn(mut command: Command, kept: BorrowedFd<'_>) -> io::Result<Child> {
    let fd = kept.as_raw_fd();
    let keep = move || {
        // SAFETY: it changes one flag of a descriptor that is open, because `kept` is borrowed until the program has started.
        match unsafe { libc::fcntl(fd, libc::F_SETFD, 0) } {
            -1 => Err(io::Error::last_os_error()),
            _ => Ok(()),
        }
    };
    // SAFETY: the closure takes no lock and no memory, and `fcntl` may be called after a fork: signal-safety(7).
    let child = unsafe { command.pre_exec(keep) }.spawn()?;
    let pid = Pid::from_raw(child.id().cast_signed());
    Child::adopt(pid.ok_or(io::ErrorKind::NotFound)?)
}
