//! [`Sender`]: messages to a stream from anywhere in the process, without ever waiting for its peer.

use std::collections::VecDeque;
use std::error::Error;
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex, OnceLock};
use std::{fmt, io};

use bytes::{Buf, Bytes};

use crate::requests::{Requests, lock};
use crate::sys::poller::Wake;
use crate::transport::{Transport, Unsent, Wait};

/// How many bytes may wait for a peer that reads slowly. One message alone may be longer.
const MAX_QUEUED: usize = 1 << 20;

/// Sends whole messages to one stream, from any other request or thread of the process.
///
/// Made by [`Stream::sender`](crate::Stream::sender) and [`Replies::sender`](crate::Replies::sender). It does not keep the
/// request alive, and sends bytes as they are, without a framing.
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
///         let sender = stream.sender();
///         let other = std::thread::spawn(move || sender.send("hello from another thread\n"));
///         other.join().unwrap().map_err(io::Error::other)?;
///         Ok(())
///     }
/// }
///
/// let server = GreeterServer::bind(Greeter)?.spawn()?;
/// let mut text = String::new();
/// server.connect()?.read_to_string(&mut text)?;
/// assert_eq!(text, "hello from another thread\n");
/// # Ok::<(), io::Error>(())
/// ```
#[derive(Clone)]
pub struct Sender {
    outgoing: Arc<Outgoing>,
}

/// Why a message was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// A megabyte waits for the peer already: it reads too slowly. The message was not queued.
    Full,
    /// The request has ended, or its connection failed.
    Closed,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Full => "the peer reads too slowly: its queue is full",
            Self::Closed => "the request has ended",
        })
    }
}

impl Error for SendError {}

impl From<SendError> for io::Error {
    fn from(error: SendError) -> Self {
        let kind = match error {
            SendError::Full => io::ErrorKind::WouldBlock,
            SendError::Closed => io::ErrorKind::BrokenPipe,
        };
        Self::new(kind, error)
    }
}

impl Sender {
    /// Sends one whole message, or queues it. Never waits.
    ///
    /// What the socket does not take now is sent when it does: by the server, or by the handler's own next write. The
    /// message never appears inside what one `write_all` of the handler writes.
    ///
    /// # Errors
    ///
    /// [`SendError::Full`] if too much waits already, [`SendError::Closed`] if the request has ended.
    pub fn send(&self, message: impl AsRef<[u8]>) -> Result<(), SendError> {
        self.outgoing.push(message.as_ref())
    }

    /// Returns whether the request has ended, so that no message can be sent any more.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        lock(&self.outgoing.state).transport.is_none()
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("is_closed", &self.is_closed())
            .finish()
    }
}

/// The queue between senders and the one socket.
#[derive(Debug)]
pub(crate) struct Outgoing {
    state: Mutex<State>,
    requests: Arc<Requests>,
    /// Its request's place in the table.
    index: u32,
    /// Rung when something is queued, for a handler that waits where the accept loop is not awake.
    bell: OnceLock<Wake>,
}

#[derive(Debug)]
struct State {
    /// Gone once the request has ended.
    transport: Option<Arc<dyn Transport>>,
    queue: VecDeque<Bytes>,
    queued: usize,
    /// The handler is in the middle of a write, and takes the queue along when it is done.
    handler_writes: bool,
    /// The accept loop knows that something waits.
    armed: bool,
}

impl Outgoing {
    pub(crate) fn new(transport: Arc<dyn Transport>, requests: Arc<Requests>, index: u32) -> Self {
        let state = State {
            transport: Some(transport),
            queue: VecDeque::new(),
            queued: 0,
            handler_writes: false,
            armed: false,
        };
        Self {
            state: Mutex::new(state),
            requests,
            index,
            bell: OnceLock::new(),
        }
    }

    pub(crate) fn sender(self: &Arc<Self>) -> Sender {
        Sender {
            outgoing: Arc::clone(self),
        }
    }

    fn push(self: &Arc<Self>, message: &[u8]) -> Result<(), SendError> {
        let mut state = lock(&self.state);
        if state.transport.is_none() {
            return Err(SendError::Closed);
        }
        if state.queued > 0 && state.queued + message.len() > MAX_QUEUED {
            return Err(SendError::Full);
        }
        let ready = state.queue.is_empty() && !state.handler_writes && !state.armed;
        let sent = if ready {
            self.send_some(&mut state, message)
        } else {
            0
        };
        if state.transport.is_none() {
            return Err(SendError::Closed);
        }
        if sent < message.len() {
            state.queued += message.len() - sent;
            state
                .queue
                .push_back(Bytes::copy_from_slice(&message[sent..]));
            if ready {
                self.arm(&mut state);
            }
        }
        Ok(())
    }

    /// Lets the accept loop send what is left.
    fn arm(self: &Arc<Self>, state: &mut State) {
        if !state.queue.is_empty() && !state.armed {
            state.armed = true;
            self.requests.unsent.push(Arc::clone(self) as _);
            self.requests.wake.wake();
            if let Some(bell) = self.bell.get() {
                bell.wake();
            }
        }
    }

    /// What a handler polls that waits where the accept loop is not awake; none if descriptors have run out.
    pub(super) fn bell(&self) -> Option<&Wake> {
        match self.bell.get() {
            None => Wake::new().ok().map(|bell| self.bell.get_or_init(|| bell)),
            bell => bell,
        }
    }

    pub(super) fn has_queue(&self) -> bool {
        !lock(&self.state).queue.is_empty()
    }

    /// Sends what is queued, and then, with `send`, what the handler has written, as far as the socket takes both at once;
    /// returns whether that is all. Until it is, what is sent elsewhere waits behind it.
    pub(crate) fn send_now(
        self: &Arc<Self>,
        send: impl FnOnce() -> io::Result<bool>,
    ) -> io::Result<bool> {
        let mut state = lock(&self.state);
        if !state.handler_writes {
            self.send_queue(&mut state);
            if !state.queue.is_empty() {
                return Ok(false); // The accept loop knows.
            }
            state.handler_writes = true;
        }
        drop(state);
        let result = send();
        if !matches!(result, Ok(false)) {
            self.end_write();
        }
        result
    }

    /// The handler's write has ended: what was queued meanwhile is sent.
    fn end_write(self: &Arc<Self>) {
        let mut state = lock(&self.state);
        state.handler_writes = false;
        self.send_queue(&mut state);
        self.arm(&mut state);
    }

    /// Runs one write of the handler: `write` first sends what is queued, then its own.
    pub(crate) fn exclusively(
        self: &Arc<Self>,
        write: impl FnOnce(&VecDeque<Bytes>) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut state = lock(&self.state);
        let mut queue = VecDeque::new();
        if !state.handler_writes {
            state.handler_writes = true;
            state.queued = 0;
            queue = std::mem::take(&mut state.queue);
        } // Or else it is the rest of a write, and what is queued comes behind it.
        drop(state); // The handler may wait for its peer; the senders must not.
        let result = write(&queue);
        self.end_write();
        result
    }

    /// Sends what the socket takes of the queue without waiting.
    fn send_queue(&self, state: &mut State) {
        while let Some(mut message) = state.queue.pop_front() {
            let sent = self.send_some(state, &message);
            state.queued = state.queued.saturating_sub(sent);
            message.advance(sent);
            if !message.is_empty() && state.transport.is_some() {
                state.queue.push_front(message);
                return;
            }
        }
    }

    /// Sends what the socket takes of a message without waiting; returns how much. Without a peer it takes all.
    fn send_some(&self, state: &mut State, message: &[u8]) -> usize {
        let mut sent = 0;
        while let Some(transport) = &state.transport
            && sent < message.len()
        {
            match transport.send(&message[sent..], Wait::Not) {
                Ok(count) => {
                    sent += count;
                    // The handler does not write now, and the place is the request's as long as the transport is here.
                    self.requests.slot(self.index).bytes_out.add(count);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => {
                    // The peer has left: the handler sees it itself, at its next read or write.
                    state.transport = None;
                    state.queue.clear();
                    state.queued = 0;
                }
            }
        }
        sent
    }

    /// The request has ended: senders find it closed, and the socket is no longer held here.
    pub(crate) fn close(&self) {
        let mut state = lock(&self.state);
        state.transport = None;
        state.queue.clear();
        state.queued = 0;
        if state.armed {
            self.requests.wake.wake(); // The accept loop forgets it then.
        }
    }
}

impl Unsent for Outgoing {
    fn send_more(&self) -> bool {
        let mut state = lock(&self.state);
        if !state.handler_writes {
            self.send_queue(&mut state);
        }
        // A handler that writes takes the rest along.
        state.armed = state.transport.is_some() && !state.queue.is_empty() && !state.handler_writes;
        state.armed
    }

    fn is_open(&self) -> bool {
        lock(&self.state).transport.is_some()
    }

    fn with_fd(&self, with: &mut dyn FnMut(BorrowedFd<'_>)) {
        if let Some(fd) = lock(&self.state)
            .transport
            .as_ref()
            .and_then(|transport| transport.descriptor())
        {
            with(fd);
        }
    }
}
