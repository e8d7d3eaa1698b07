//! [`Stream`]: one connection, as a handler sees it.

use std::io::{self, BufRead, Read, Write};
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rustix::net::{RecvFlags, SendFlags};
use socket2::{SockRef, Socket};

use crate::address::Address;
use crate::credentials::Credentials;
use crate::request::elsewhere::Elsewhere;
use crate::request::link::Link;
use crate::request::rate::Pace;
use crate::request::rfile::{Input, Reader, Rfile};
use crate::request::sender::Sender;
use crate::request::wfile::{Tie, Wfile, Writer, check_open};
use crate::requests::ServerHandle;

/// One connection: two buffered files over one transport, as Python's `StreamRequestHandler` has them.
///
/// `rfile` and `wfile` can be borrowed apart; the stream itself reads and writes too. They are *tied*: a read that finds
/// the buffer empty first sends what was written. So the replies to pipelined requests leave in one write, and a prompt
/// never hangs.
///
/// # Examples
///
/// ```
/// use sockserv::prelude::*;
///
/// #[derive(Clone)]
/// struct Greeter;
///
/// #[server(tcp, threading, addr = "127.0.0.1:0")]
/// impl Greeter {
///     fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
///         stream.wfile.write_all(b"name? ")?; // Sent before the read below waits.
///         let mut name = String::new();
///         stream.rfile.read_line(&mut name)?;
///         write!(stream, "hello, {}\n", name.trim_end())
///     }
/// }
///
/// let server = GreeterServer::bind(Greeter)?.spawn()?;
/// let mut client = server.connect()?;
/// client.write_all(b"world\n")?;
/// let mut text = String::new();
/// client.read_to_string(&mut text)?;
/// assert_eq!(text, "name? hello, world\n");
/// # Ok::<(), io::Error>(())
/// ```
#[derive(Debug)]
pub struct Stream {
    /// The way in.
    pub rfile: Rfile,
    /// The way out.
    pub wfile: Wfile,
    /// What became of the request after it was handed to somebody else.
    pub(crate) elsewhere: Option<Elsewhere>,
}

impl Stream {
    pub(crate) fn new(link: Arc<Link>, unread: &[u8], unsent: &[u8]) -> Self {
        let options = &link.requests().options;
        let (rbufsize, wbufsize, max_line) = (options.rbufsize, options.wbufsize, options.max_line);
        let tie = Rc::new(Tie::new(link, wbufsize));
        tie.put(unsent);
        let mut input = Input::new(rbufsize, max_line);
        if !unread.is_empty() {
            input.put(unread);
        }
        Self {
            rfile: Rfile {
                input,
                tie: Rc::clone(&tie),
            },
            wfile: Wfile { tie },
            elsewhere: None,
        }
    }

    pub(crate) fn link(&self) -> &Arc<Link> {
        self.rfile.tie.link()
    }

    /// Whether nobody else has it.
    pub(crate) fn is_open(&self) -> bool {
        self.rfile.tie.is_open()
    }

    /// Lets `append` write behind what is buffered.
    pub(crate) fn append<E: From<io::Error>>(
        &self,
        append: impl FnOnce(&mut BytesMut) -> Result<(), E>,
    ) -> Result<(), E> {
        self.wfile.tie.append(append)
    }

    /// Sends what is buffered as far as the peer takes it at once; returns whether that is all.
    pub(crate) fn send_now(&self, pace: &mut Pace) -> io::Result<bool> {
        self.wfile.tie.send_now(pace)
    }

    /// Sends what senders have queued as far as the peer takes it at once; returns whether that is all.
    pub(crate) fn send_queue_now(&self) -> io::Result<bool> {
        let outgoing = self.link().outgoing.get();
        outgoing.map_or(Ok(true), |outgoing| outgoing.send_now(|| Ok(true)))
    }

    /// Whether more is buffered than a handler's replies should come to.
    pub(crate) fn has_much_unsent(&self) -> bool {
        self.wfile.tie.has_much_unsent()
    }

    /// Buffers up to 1 MiB, so that a thread that is lent seldom waits for the peer.
    pub(crate) fn buffer_more(&self) {
        self.wfile.tie.buffer_more();
    }

    /// Takes what is buffered: the stream goes on elsewhere.
    pub(crate) fn take_unsent(&self) -> BytesMut {
        self.wfile.tie.take_unsent()
    }

    /// Goes on with what was buffered.
    pub(crate) fn take_back(&self, unsent: BytesMut) {
        self.wfile.tie.take_back(unsent);
    }

    /// Returns the address of the other end.
    #[must_use]
    pub fn peer_addr(&self) -> &Address {
        &self.link().peer
    }

    /// Returns the address that the peer connected to.
    #[must_use]
    pub fn local_addr(&self) -> &Address {
        self.link().local()
    }

    /// Returns the server that this request came to.
    #[must_use]
    pub fn server(&self) -> &ServerHandle {
        self.link().server()
    }

    /// Bounds how long a read or a write waits from now on, in place of the option `timeout`; `None` is for ever.
    ///
    /// This is the word of a protocol that knows better, as when a peer that has logged in may stay silent for an hour. It
    /// holds in every model from the next wait on, for this stream only; a wait that is in progress in another thread keeps
    /// the bound that it began with. `read_line`, `read_until`, `read_exact`, `read_bytes` and `read_to_end` are one wait
    /// each, however many pieces come; under `threading` and `pool` one of several pieces may take up to an eighth longer,
    /// which spares a system call for each. A write waits anew whenever the peer takes something; `min_rate` bounds that,
    /// and it, `first_byte_timeout` and `request_timeout` hold beside any timeout that is set here.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn set_timeout(&mut self, timeout: impl Into<Option<Duration>>) -> io::Result<()> {
        self.link().set_timeout(timeout.into())
    }

    /// Returns the socket, to read or set options on. A duplicate of it may outlive the request, whose peer reads
    /// end-of-file all the same.
    ///
    /// # Panics
    ///
    /// Panics if the request did not come from a socket, but from an own [`Transport`](crate::Transport) without one.
    #[must_use]
    pub fn socket(&self) -> SockRef<'_> {
        self.link().lend();
        SockRef::from(&**self.link())
    }

    /// Returns who is at the other end of a Unix stream: the user, the group and the process that connected, as the kernel
    /// noted them at that moment (unix(7), `SO_PEERCRED`). The peer cannot make them up; another process may use the socket
    /// by now.
    ///
    /// # Errors
    ///
    /// `Unsupported` for anything but a Unix stream.
    pub fn credentials(&self) -> io::Result<Credentials> {
        let fd = self
            .link()
            .transport
            .descriptor()
            .ok_or(io::ErrorKind::Unsupported)?;
        Credentials::of(fd)
    }

    /// Sends urgent (out-of-band) data, behind what was written: tcp(7), `MSG_OOB`. TCP marks the last byte as urgent.
    ///
    /// # Errors
    ///
    /// What the flush or the operating system says; `Unsupported` without a socket; `BrokenPipe` if the stream was handed
    /// over.
    pub fn send_oob(&mut self, data: &[u8]) -> io::Result<()> {
        self.wfile.flush()?;
        let link = self.link();
        self.with_socket(|socket| {
            link.owe_nothing();
            let mut data = data;
            link.send_behind_senders(|pace| {
                while !data.is_empty() {
                    let count = link.send_some(pace, |wait| {
                        let urgent = wait.to_send() | SendFlags::OOB;
                        Ok(rustix::net::send(socket, data, urgent)?)
                    })?;
                    data = &data[count..];
                }
                Ok(())
            })
        })
    }

    /// Receives urgent (out-of-band) data without waiting and returns how many bytes.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if there is none, `WouldBlock` if it was announced and has not arrived; `Unsupported` without a socket;
    /// `BrokenPipe` if the stream was handed over.
    pub fn recv_oob(&mut self, data: &mut [u8]) -> io::Result<usize> {
        let urgent = RecvFlags::OOB | RecvFlags::DONTWAIT;
        let received = self.with_socket(|socket| Ok(rustix::net::recv(socket, data, urgent)?));
        received.map(|(count, _)| count)
    }

    /// Uses the socket, unless somebody else has it.
    fn with_socket<T>(&self, call: impl FnOnce(&Socket) -> io::Result<T>) -> io::Result<T> {
        check_open(self.is_open())?;
        let fd = self
            .link()
            .transport
            .descriptor()
            .ok_or(io::ErrorKind::Unsupported)?;
        call(&SockRef::from(&fd))
    }

    /// Splits the stream into its two directions, for two threads at once: full duplex, as a proxy needs it.
    ///
    /// The halves are not tied: each write leaves at once. What was written before is flushed; if that fails, the first
    /// write of the half says so. The halves of a stream that was handed over are at their end.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::thread;
    ///
    /// use sockserv::prelude::*;
    ///
    /// #[derive(Clone)]
    /// struct Echo;
    ///
    /// #[server(tcp, threading, addr = "127.0.0.1:0")]
    /// impl Echo {
    ///     fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
    ///         let (mut reader, mut writer) = stream.split();
    ///         thread::scope(|scope| scope.spawn(|| io::copy(&mut reader, &mut writer)).join().unwrap())?;
    ///         Ok(())
    ///     }
    /// }
    ///
    /// let server = EchoServer::bind(Echo)?.spawn()?;
    /// let mut client = server.connect()?;
    /// client.write_all(b"both ways")?;
    /// let mut reply = [0; 9];
    /// client.read_exact(&mut reply)?;
    /// assert_eq!(&reply, b"both ways");
    /// # Ok::<(), io::Error>(())
    /// ```
    pub fn split(&mut self) -> (Reader<'_>, Writer<'_>) {
        let failed = self.wfile.flush().err();
        let (link, is_open) = (self.rfile.tie.link(), self.rfile.tie.is_open());
        (
            Reader {
                input: &mut self.rfile.input,
                link,
                is_open,
            },
            Writer {
                link,
                failed,
                is_open,
            },
        )
    }

    /// Takes the socket out of the server's hands, with what was read ahead of it; what was written is flushed first.
    ///
    /// The stream is at its end afterwards. The socket is neither told of a shutdown nor closed with the request.
    ///
    /// # Errors
    ///
    /// What the flush says, or the operating system when it duplicates the descriptor; `Unsupported` without a socket;
    /// `BrokenPipe` if the stream was handed over already.
    #[allow(
        clippy::wrong_self_convention,
        reason = "a handler borrows its stream, and this leaves it empty"
    )]
    pub fn into_inner(&mut self) -> io::Result<(Socket, Bytes)> {
        self.wfile.flush()?;
        let socket = self.with_socket(Socket::try_clone)?;
        socket.set_read_timeout(None)?; // The server's own bounds: the new owner sets his.
        socket.set_write_timeout(None)?;
        self.link().release();
        let unread = self.rfile.input.take();
        drop(self.rfile.tie.hand_over());
        Ok((socket, unread))
    }

    /// Returns a way to send whole messages to this peer from anywhere in the process.
    #[must_use]
    pub fn sender(&self) -> Sender {
        self.link().outgoing().sender()
    }

    /// Keeps the request busy until the guard drops: a shutdown lets it go on until its grace ends. A guard that outlives
    /// its request means nothing any more.
    #[must_use = "the request is busy only until this drops"]
    pub fn busy(&self) -> Busy {
        self.link().slot().busy.fetch_add(1, Ordering::AcqRel);
        Busy {
            link: Arc::downgrade(self.link()),
        }
    }

    /// Says that nothing is owed to the peer now, although something was read since the last write: a shutdown may end the
    /// request at its next wait. A sink of log records calls this after each record.
    pub fn idle(&mut self) {
        self.link().owe_nothing();
    }
}

/// Keeps a request busy. Made by [`Stream::busy`].
#[derive(Debug)]
pub struct Busy {
    /// Weak, so that a guard which outlives its request keeps neither the socket nor the place in the table.
    link: Weak<Link>,
}

impl Drop for Busy {
    fn drop(&mut self) {
        if let Some(link) = self.link.upgrade() {
            link.slot().busy.fetch_sub(1, Ordering::AcqRel);
            link.may_be_idle();
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.rfile.read(buffer)
    }

    fn read_exact(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        self.rfile.read_exact(buffer)
    }

    fn read_to_end(&mut self, into: &mut Vec<u8>) -> io::Result<usize> {
        self.rfile.read_to_end(into)
    }

    fn read_to_string(&mut self, into: &mut String) -> io::Result<usize> {
        self.rfile.read_to_string(into)
    }
}

impl BufRead for Stream {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.rfile.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.rfile.consume(count);
    }

    fn read_until(&mut self, delimiter: u8, line: &mut Vec<u8>) -> io::Result<usize> {
        self.rfile.read_until(delimiter, line)
    }

    fn read_line(&mut self, line: &mut String) -> io::Result<usize> {
        self.rfile.read_line(line)
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.wfile.write(bytes)
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.wfile.write_all(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.wfile.flush()
    }
}
