//! Sockets that this process was started with: a descriptor becomes ours once, and never twice.

use std::fs::File;
use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::{Stat, fstat};
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout, stderr, stdin, stdout};

/// The descriptors that were taken, so that none gets a second owner.
static TAKEN: Mutex<Vec<RawFd>> = Mutex::new(Vec::new());

pub(super) fn taken() -> MutexGuard<'static, Vec<RawFd>> {
    TAKEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes a descriptor that the process inherited.
pub(crate) fn take(fd: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: `F_GETFD` only reads the flags of a number that may be any.
    if unsafe { libc::fcntl(fd, libc::F_GETFD) } < 0 {
        return Err(io::Error::last_os_error());
    }
    let mut taken = taken();
    if taken.contains(&fd) {
        return Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            "a server has taken this descriptor already",
        ));
    }
    taken.push(fd);
    // SAFETY: sets one flag of an open descriptor.
    unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
    // SAFETY: it is open, it was named as inherited by who started us, and the list says that it has no owner here yet.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Takes the socket on stdin. Where stdin, stdout and stderr were that socket is `/dev/null` from now on, so that nothing is
/// printed to a peer.
pub(crate) fn take_stdin() -> io::Result<OwnedFd> {
    let socket = rustix::io::fcntl_dupfd_cloexec(stdin(), libc::STDERR_FILENO + 1)?;
    let file = |stat: Stat| (stat.st_dev, stat.st_ino);
    let own = file(fstat(&socket)?);
    let null = File::options().read(true).write(true).open("/dev/null")?;
    dup2_stdin(&null)?;
    if fstat(stdout()).is_ok_and(|stat| file(stat) == own) {
        dup2_stdout(&null)?;
    }
    if fstat(stderr()).is_ok_and(|stat| file(stat) == own) {
        dup2_stderr(&null)?;
    }
    Ok(socket)
}

/// Borrows an inherited descriptor that nobody has taken, to look at what it is.
pub(crate) fn peek(fd: RawFd) -> Option<BorrowedFd<'static>> {
    let taken = taken().contains(&fd);
    // SAFETY: `F_GETFD` only reads the flags of a number that may be any.
    if taken || unsafe { libc::fcntl(fd, libc::F_GETFD) } < 0 {
        return None;
    }
    // SAFETY: it is open, and nobody owns it, so nobody closes it until `take`.
    Some(unsafe { BorrowedFd::borrow_raw(fd) })
}
