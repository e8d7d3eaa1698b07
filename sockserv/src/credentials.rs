//! [`Credentials`]: who is at the other end of a Unix socket.

use std::io;
use std::os::fd::BorrowedFd;

/// Who is at the other end of a Unix socket, as the kernel knows it: unix(7), `SO_PEERCRED`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Credentials {
    /// The user's number.
    pub uid: u32,
    /// The group's number.
    pub gid: u32,
    /// The process that connected.
    pub pid: Option<u32>,
}

impl Credentials {
    pub(crate) fn of(fd: BorrowedFd<'_>) -> io::Result<Self> {
        let peer = crate::sys::credentials::of_peer(fd)?;
        // A peer of another pid namespace has the number zero: it has none here.
        Ok(Self {
            uid: peer.uid,
            gid: peer.gid,
            pid: u32::try_from(peer.pid).ok().filter(|&pid| pid > 0),
        })
    }
}
