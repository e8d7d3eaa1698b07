//! Descriptors that travel with the bytes of a Unix stream: unix(7), `SCM_RIGHTS`.
//!
//! They belong to bytes: whoever receives these without asking for the descriptors loses them, and costs nothing, because
//! the kernel closes them. So a stream asks from the moment on that its handler expects some, and keeps what came until it
//! is taken.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::request::link::{Link, Span};
use crate::request::stream::Stream;
use crate::request::wfile::check_open;
use crate::requests::lock;
use crate::transport::{Wait, no_fds};

/// The descriptors that came and that nobody has taken yet, or why one was lost.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    most: AtomicUsize,
    kept: Mutex<VecDeque<io::Result<OwnedFd>>>,
}

impl Stream {
    /// Sends a copy of a descriptor, behind what was written: an open file, a pipe, a connection. The peer has its own from
    /// then on, whatever becomes of this one.
    ///
    /// A descriptor cannot travel without a byte, so the peer also receives one NUL byte: it is at this byte's place in what
    /// the peer reads.
    ///
    /// # Errors
    ///
    /// What the flush or the operating system says; `Unsupported` on anything but a Unix stream, or an own
    /// [`Transport`](crate::Transport) that carries descriptors.
    ///
    /// # Examples
    ///
    /// See [`recv_fd`](Self::recv_fd).
    pub fn send_fd(&mut self, fd: impl AsFd) -> io::Result<()> {
        self.check_carries_fds()?;
        self.wfile.flush()?;
        check_open(self.is_open())?;
        self.link().owe_nothing();
        self.link().send_fd(fd.as_fd())
    }

    /// Keeps the descriptors that come from now on for [`recv_fd`](Self::recv_fd), at most `max` at a time; what comes
    /// beyond that is closed. Without this, or with zero, all are closed unseen.
    ///
    /// A descriptor comes with a byte, and a read takes as many bytes as there are. So say this before the first read if
    /// the peer may send a descriptor at once: in `setup`, or first in `handle`.
    ///
    /// # Errors
    ///
    /// `Unsupported` on anything but a Unix stream, or an own [`Transport`](crate::Transport) that carries descriptors.
    pub fn expect_fds(&mut self, max: usize) -> io::Result<()> {
        self.check_carries_fds()?;
        self.link().expect_fds(max);
        Ok(())
    }

    /// Returns the first descriptor that came and was not taken yet, closed on exec; waits for one if there is none.
    ///
    /// Bytes are neither lost nor reordered: those that come while this waits are in [`rfile`](Self::rfile) afterwards, at
    /// most about `max_line` of them. The byte that a descriptor travelled with is one of them, also the NUL byte of a peer
    /// that uses [`send_fd`](Self::send_fd): whether it means anything is for the protocol to say.
    ///
    /// Unless [`expect_fds`](Self::expect_fds) has said so before, one is expected from now on; a read that came before
    /// this call may have lost it.
    ///
    /// # Errors
    ///
    /// `UnexpectedEof` if the stream ends first, `InvalidData` if too many bytes come first; an error of the operating
    /// system for a descriptor that could not be had, because the process has too many open files (`EMFILE`); `Unsupported`
    /// as for `expect_fds`; or what the transport says.
    ///
    /// # Examples
    ///
    /// A peer sends the file that it wants to be counted, here the reading end of a pipe:
    ///
    /// ```
    /// use std::fs::File;
    /// use std::os::unix::net::UnixStream;
    ///
    /// use sockserv::prelude::*;
    ///
    /// #[derive(Clone)]
    /// struct Count;
    ///
    /// #[server(unix, threading)]
    /// impl Count {
    ///     fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
    ///         let mut file = File::from(stream.recv_fd()?);
    ///         let bytes = io::copy(&mut file, &mut io::sink())?;
    ///         writeln!(stream, "{bytes}")
    ///     }
    /// }
    /// # use std::io::IoSlice;
    /// # use std::mem::MaybeUninit;
    /// # use std::os::fd::AsFd;
    /// # use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
    /// # /// What Python calls `socket.send_fds(client, [text], [fd])`.
    /// # fn send_fd(client: &UnixStream, text: &[u8], fd: impl AsFd) -> io::Result<()> {
    /// #     let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    /// #     let mut control = SendAncillaryBuffer::new(&mut room);
    /// #     let fds = [fd.as_fd()];
    /// #     control.push(SendAncillaryMessage::ScmRights(&fds));
    /// #     sendmsg(client, &[IoSlice::new(text)], &mut control, SendFlags::empty())?;
    /// #     Ok(())
    /// # }
    ///
    /// let path = std::env::temp_dir().join(format!("count-{}", std::process::id()));
    /// let server = CountServer::bind_to(&*path, Count)?.spawn()?;
    /// let mut client = UnixStream::connect(&path)?;
    /// let (reader, mut writer) = io::pipe()?;
    /// send_fd(&client, b"\0", reader)?; // In Python: `socket.send_fds(client, [b"\0"], [reader])`.
    /// writer.write_all(b"five\n")?;
    /// drop(writer);
    /// let mut text = String::new();
    /// client.read_to_string(&mut text)?;
    /// assert_eq!(text, "5\n");
    /// server.shutdown()?;
    /// # Ok::<(), io::Error>(())
    /// ```
    pub fn recv_fd(&mut self) -> io::Result<OwnedFd> {
        if !self.link().expects_fds() {
            self.expect_fds(1)?;
        }
        let mut span = Span::default();
        loop {
            if let Some(arrived) = self.link().arrived_fd() {
                self.link().owe();
                return arrived;
            }
            if self.rfile.receive_more(&mut span)? == 0 {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "the stream ended before a descriptor came",
                ));
            }
        }
    }

    fn check_carries_fds(&self) -> io::Result<()> {
        match self.link().transport.carries_fds() {
            true => Ok(()),
            false => Err(no_fds()),
        }
    }
}

impl Link {
    /// Receives once, with the descriptors that are expected.
    #[inline]
    pub(super) fn recv(&self, buffer: &mut [u8], wait: Wait) -> io::Result<usize> {
        match self.arrivals.get() {
            None => self.transport.recv(buffer, wait),
            Some(arrivals) => self.recv_with_fds(arrivals, buffer, wait),
        }
    }

    fn recv_with_fds(
        &self,
        arrivals: &Arrivals,
        buffer: &mut [u8],
        wait: Wait,
    ) -> io::Result<usize> {
        let kept = lock(&arrivals.kept).len();
        let most = arrivals.most.load(Ordering::Relaxed).saturating_sub(kept);
        self.transport.recv_with_fds(
            buffer,
            most,
            &mut |fd| lock(&arrivals.kept).push_back(fd),
            wait,
        )
    }

    fn expect_fds(&self, most: usize) {
        let arrivals = self.arrivals.get_or_init(Box::default);
        arrivals.most.store(most, Ordering::Relaxed);
    }

    /// Whether a descriptor is kept when it comes, or one has come.
    fn expects_fds(&self) -> bool {
        self.arrivals.get().is_some_and(|arrivals| {
            arrivals.most.load(Ordering::Relaxed) > 0 || !lock(&arrivals.kept).is_empty()
        })
    }

    fn arrived_fd(&self) -> Option<io::Result<OwnedFd>> {
        lock(&self.arrivals.get()?.kept).pop_front()
    }

    /// Somebody else has copies of the descriptors that nobody has taken yet.
    pub(super) fn forget_fds(&self) {
        if let Some(arrivals) = self.arrivals.get() {
            lock(&arrivals.kept).clear();
        }
    }

    /// Sends a NUL byte that carries a descriptor, behind what senders have queued.
    fn send_fd(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        self.send_behind_senders(|pace| {
            self.send_some(pace, |wait| self.transport.send_with_fd(&[0], fd, wait))
                .map(drop)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::sync::{Arc, OnceLock};

    use socket2::{Domain, Socket, Type};

    use super::*;
    use crate::address::Address;
    use crate::options::Options;
    use crate::requests::Requests;

    #[test]
    fn a_descriptor_is_an_answer() {
        let requests = Requests::new(Options::new().min_rate(1024), None, None).expect("memory");
        let peer = Address::Unnamed;
        let ticket = Arc::new(requests).take(&peer, None).expect("a place");
        let (near, far) = Socket::pair(Domain::UNIX, Type::STREAM, None).expect("descriptors");
        let link = Link::new(Arc::new(near), peer, OnceLock::new(), false, ticket);
        let mut stream = Stream::new(Arc::new(link), &[], &[]);
        (&far).write_all(b"?").expect("room");
        stream.read_exact(&mut [0]).expect("it is there");
        let link = Arc::clone(stream.link());
        let waits = || {
            link.exchange
                .begin(link.slot().taken.load(Ordering::Relaxed))
        };
        assert!(waits().is_some(), "an answer is owed");
        stream.send_fd(&far).expect("room");
        assert!(waits().is_none(), "nothing is owed");
    }
}
