//! How much of what was sent is still on its way.

use std::os::fd::{AsRawFd, BorrowedFd};

/// Returns how many bytes the peer has not acknowledged (TCP) or not taken (Unix): `SIOCOUTQ`, tcp(7) and unix(7).
pub(crate) fn unacknowledged(socket: BorrowedFd<'_>) -> usize {
    let mut count: libc::c_int = 0;
    // SAFETY: the request fills an `int`, and that is what the pointer names. `TIOCOUTQ` is `SIOCOUTQ` by another name.
    match unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut count) } {
        0 => usize::try_from(count).unwrap_or_default(),
        _ => 0,
    }
}
