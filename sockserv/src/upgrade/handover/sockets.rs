//! Listening sockets on their way from one process to the next, and what each is known by on both sides.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, Weak};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use socket2::Socket;

use crate::requests::lock;
use crate::upgrade::label::Label;

/// How long a label may be: a name that systemd gives has at most 255 characters.
const LABEL: usize = 512;

/// The listening sockets of this process, as long as they are open.
static OPEN: Mutex<Vec<(Weak<Socket>, Label)>> = Mutex::new(Vec::new());

/// Remembers a listening socket for a successor.
pub(crate) fn remember(socket: &Arc<Socket>, label: Label) {
    let mut open = lock(&OPEN);
    open.retain(|(socket, _)| socket.strong_count() > 0);
    open.push((Arc::downgrade(socket), label));
}

/// The listening sockets of this process.
pub(crate) fn open() -> Vec<(Arc<Socket>, Label)> {
    let open = lock(&OPEN);
    let open = open
        .iter()
        .filter_map(|(socket, label)| Some((socket.upgrade()?, label.clone())));
    open.collect()
}

/// Sends a socket with its label, without waiting.
pub(super) fn send(channel: BorrowedFd<'_>, socket: &Socket, label: &Label) -> io::Result<()> {
    let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut room);
    let fds = [socket.as_fd()];
    control.push(SendAncillaryMessage::ScmRights(&fds));
    let text = label.to_string();
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    sendmsg(
        channel,
        &[IoSlice::new(text.as_bytes())],
        &mut control,
        flags,
    )?;
    Ok(())
}

/// Takes the next socket that has arrived, or `None` if there is no further one.
pub(super) fn receive(channel: BorrowedFd<'_>) -> io::Result<Option<(OwnedFd, Label)>> {
    let mut text = [0; LABEL];
    let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut room);
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let received = match recvmsg(
        channel,
        &mut [IoSliceMut::new(&mut text)],
        &mut control,
        flags,
    ) {
        Err(rustix::io::Errno::AGAIN) => return Ok(None),
        received => received?,
    };
    let fd = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    });
    let text = String::from_utf8_lossy(&text[..received.bytes]);
    match fd {
        Some(fd) => Ok(Some((fd, text.parse()?))),
        None if received.bytes == 0 => Ok(None), // The other end is closed.
        None => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("`{text}` came without its socket"),
        )),
    }
}
