//! Who is at the other end of a Unix socket. Not by `rustix`, whose `Pid` cannot be the zero that the kernel may answer.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use socket2::{Domain, SockRef};

/// Asks for `SO_PEERCRED`: unix(7). `Unsupported` for any other socket, about which the kernel would answer nonsense.
pub(crate) fn of_peer(fd: BorrowedFd<'_>) -> io::Result<libc::ucred> {
    if SockRef::from(&fd).domain()? != Domain::UNIX {
        return Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "only a Unix socket knows who its peer is",
        ));
    }
    let mut peer = libc::ucred {
        pid: 0,
        uid: 0,
        gid: 0,
    };
    let mut size = size_of::<libc::ucred>() as libc::socklen_t;
    let (level, option) = (libc::SOL_SOCKET, libc::SO_PEERCRED);
    // SAFETY: the option fills a `ucred`, any bytes of which are valid, and the size is that of one.
    match unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            level,
            option,
            (&raw mut peer).cast(),
            &raw mut size,
        )
    } {
        0 => Ok(peer),
        _ => Err(io::Error::last_os_error()),
    }
}
