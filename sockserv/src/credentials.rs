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
        let credentials = rustix::net::sockopt::socket_peercred(fd)?;
        let pid = u32::try_from(credentials.pid.as_raw_nonzero().get()).ok();
        Ok(Self {
            uid: credentials.uid.as_raw(),
            gid: credentials.gid.as_raw(),
            pid,
        })
    }
}
