//! One client of the operator's endpoint, which never makes the accept loop wait.

use std::io;
use std::net::Shutdown;
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::time::Duration;

use crate::admin::http::{self, Ask, Reply};
use crate::sys::clock::Tick;
use crate::sys::fork::ClosedInChildren;
use crate::sys::poller::{Interest, Poller};
use crate::transport::{Transport, Wait, drain};

/// How long a question may take to arrive, and how long its answer to be taken.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long, and how much, a client may go on talking after its answer: closing at once could cost it the answer.
const LAST_WORDS: Duration = Duration::from_secs(1);
const LAST_BYTES: usize = 64 << 10;

/// What a page from elsewhere is told that asks through somebody's browser.
const ELSEWHERE: &str = "ask for `localhost` or an IP address: another name could be anybody's\n";

/// A connection, and how far it has come.
#[derive(Debug)]
pub(crate) struct Connection {
    /// A child would keep it open.
    _closed_in_children: ClosedInChildren,
    transport: Arc<dyn Transport>,
    token: u64,
    /// Whether only this machine can reach it.
    is_local: bool,
    until: Tick,
    state: State,
}

#[derive(Debug)]
enum State {
    /// The question comes.
    Asking(Vec<u8>),
    /// The answer leaves: its bytes, and how many have left.
    Answering(Vec<u8>, usize),
    /// The answer has left, and so many bytes are still read and forgotten.
    Closing(usize),
}

impl Connection {
    /// Waits for a question, or returns `None` if the connection cannot be watched.
    pub(crate) fn new(
        transport: Arc<dyn Transport>,
        token: u64,
        is_local: bool,
        poller: &Poller,
    ) -> Option<Self> {
        let fd = transport.descriptor()?;
        poller.add(fd, token, Interest::IN).ok()?; // Without memory for it the client sees its end.
        Some(Self {
            _closed_in_children: ClosedInChildren::new(fd),
            token,
            is_local,
            until: Tick::now().after(EXCHANGE_TIMEOUT),
            state: State::Asking(Vec::new()),
            transport,
        })
    }

    pub(crate) fn token(&self) -> u64 {
        self.token
    }

    /// When its patience ends.
    pub(crate) fn until(&self) -> Tick {
        self.until
    }

    /// Goes as far as it can without waiting; returns whether it goes on.
    pub(crate) fn go_on(&mut self, poller: &Poller, answer: impl FnOnce(&Ask) -> Reply) -> bool {
        if let State::Asking(bytes) = &mut self.state {
            let (reply, wants_body) = match receive(&*self.transport, bytes) {
                Ok(None) => return true,
                Ok(Some(ask)) if self.is_local && !ask.is_for_this_machine() => {
                    (Reply::text(421, ELSEWHERE), ask.wants_body)
                }
                Ok(Some(ask)) => (answer(&ask), ask.wants_body),
                Err(Some(reply)) => (reply, true),
                Err(None) => return false,
            };
            self.state = State::Answering(reply.into_bytes(wants_body), 0);
            self.until = Tick::now().after(EXCHANGE_TIMEOUT);
        }
        if let State::Answering(bytes, sent) = &mut self.state {
            match send(&*self.transport, bytes, sent) {
                Ok(true) => {}
                Ok(false) => return self.wait_for(poller, Interest::OUT),
                Err(_) => return false, // The client has left.
            }
            self.state = State::Closing(LAST_BYTES);
            self.until = Tick::now().after(LAST_WORDS);
            let is_open = self.transport.shutdown(Shutdown::Write).is_ok();
            if !is_open || !self.wait_for(poller, Interest::IN) {
                return false;
            }
        }
        match &mut self.state {
            State::Closing(left) => drain(&*self.transport, left),
            _ => true,
        }
    }

    fn wait_for(&self, poller: &Poller, interest: Interest) -> bool {
        poller
            .modify(&*self.transport, self.token, interest)
            .is_ok()
    }

    /// Takes it out of the poll set: a child that is being made may hold the socket a moment longer.
    pub(crate) fn leave(&self, poller: &Poller) {
        let _ = poller.remove((*self.transport).as_fd()); // It is there until now.
    }
}

/// Reads what has come; an error is the answer to it, or the client has left.
fn receive(transport: &dyn Transport, bytes: &mut Vec<u8>) -> Result<Option<Ask>, Option<Reply>> {
    let mut buffer = [0; 1 << 10];
    while bytes.len() < http::MAX_QUESTION {
        match transport.recv(&mut buffer, Wait::Not) {
            Ok(0) => return Err(None),
            Ok(count) => bytes.extend(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(_) => return Err(None),
        }
        if let Some(ask) = Ask::read(bytes).map_err(Some)? {
            return Ok(Some(ask));
        }
    }
    Ok(None)
}

/// Sends what is taken; returns whether that was the rest.
fn send(transport: &dyn Transport, bytes: &[u8], sent: &mut usize) -> io::Result<bool> {
    while *sent < bytes.len() {
        match transport.send(&bytes[*sent..], Wait::Not) {
            Ok(count) => *sent += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::os::unix::net::UnixStream;

    use socket2::Socket;

    use super::*;

    #[test]
    fn a_slow_reader_is_waited_for_by_the_poll_set() {
        let poller = Poller::new().expect("descriptors");
        let (near, mut far) = UnixStream::pair().expect("descriptors");
        let near = Socket::from(near);
        near.set_send_buffer_size(4096).expect("a socket");
        io::Write::write_all(&mut far, b"GET / HTTP/1.0\r\n\r\n").expect("room");
        let body = "x".repeat(1 << 20);
        let answer = |_: &Ask| Reply::text(200, body.clone());
        let mut connection =
            Connection::new(Arc::new(near), 7, false, &poller).expect("it is watched");
        let mut go_on = || {
            let mut ready = Vec::new();
            poller.wait(&mut ready, None).expect("a poll set");
            assert_eq!(ready, [7]);
            connection.go_on(&poller, answer)
        };
        assert!(go_on(), "nobody reads yet, and it need not wait");
        let reader = std::thread::spawn(move || {
            let mut text = String::new();
            far.read_to_string(&mut text).map(|_| text)
        });
        while go_on() {}
        connection.leave(&poller);
        let text = reader.join().expect("no panic").expect("text");
        assert!(text.ends_with(&body));
    }
}
