//! A plain blocking client of any transport, under a name that the server's events show.

use std::fmt::Debug;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::unix::ffi::OsStrExt;
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use socket2::{Domain, SockAddr, Socket, Type};

use crate::{DEADLINE, Transport};

/// One end of a connection, or a datagram socket that is connected to the server.
#[derive(Debug)]
pub struct Client {
    socket: Socket,
    stream: bool,
    name: String,
    received: Vec<u8>,
}

impl Client {
    /// Connects to where `at` is: `127.0.0.1:80` or a path.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn connect(transport: Transport, at: &str) -> io::Result<Self> {
        let address = match transport.is_unix() {
            true => SockAddr::unix(at)?,
            false => at.parse::<SocketAddr>().map_err(io::Error::other)?.into(),
        };
        Self::connect_to(transport, &address, None)
    }

    /// Connects from this address of the machine, where addresses are not paths.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn connect_from(ip: &str, transport: Transport, at: &str) -> io::Result<Self> {
        let own = SocketAddr::new(ip.parse().map_err(io::Error::other)?, 0);
        let address = at.parse::<SocketAddr>().map_err(io::Error::other)?;
        Self::connect_to(transport, &address.into(), Some(own))
    }

    fn connect_to(
        transport: Transport,
        address: &SockAddr,
        from: Option<SocketAddr>,
    ) -> io::Result<Self> {
        let ty = if transport.is_stream() {
            Type::STREAM
        } else {
            Type::DGRAM
        };
        let socket = Socket::new(address.domain(), ty, None)?;
        let mut name = None;
        if address.domain() == Domain::UNIX {
            let own = unique();
            socket.bind(&SockAddr::unix(std::ffi::OsStr::from_bytes(
                format!("\0{own}").as_bytes(),
            ))?)?;
            name = Some(format!("unix:@{own}"));
        }
        if let Some(from) = from {
            socket.bind(&from.into())?;
        }
        socket.connect(address)?;
        if transport == Transport::Tcp {
            socket.set_tcp_nodelay(true)?;
        }
        socket.set_read_timeout(Some(DEADLINE))?;
        socket.set_write_timeout(Some(DEADLINE))?;
        let name = name.map_or_else(|| Ok::<_, io::Error>(inet_name(&socket.local_addr()?)), Ok)?;
        Ok(Self {
            socket,
            stream: transport.is_stream(),
            name,
            received: Vec::new(),
        })
    }

    /// What the server calls this client.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The socket itself.
    #[must_use]
    pub fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Sends a command: a line, or a packet.
    pub fn send(&mut self, command: &str) {
        self.try_send(command)
            .unwrap_or_else(|error| panic!("cannot send `{command}`: {error}"));
    }

    /// Sends a command, which the server may not want.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn try_send(&mut self, command: &str) -> io::Result<()> {
        match self.stream {
            true => (&self.socket).write_all(format!("{command}\n").as_bytes()),
            false => self.socket.send(command.as_bytes()).map(drop),
        }
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn send_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        (&self.socket).write_all(bytes)
    }

    /// The next reply: a line without its end, or a packet.
    pub fn reply(&mut self) -> String {
        self.try_reply()
            .unwrap_or_else(|error| panic!("{} got no reply: {error}", self.name))
    }

    /// The next reply, if there is one.
    ///
    /// # Errors
    ///
    /// `UnexpectedEof` at the end of the stream, or what the operating system says.
    pub fn try_reply(&mut self) -> io::Result<String> {
        let mut buffer = vec![0; 1 << 16];
        if !self.stream {
            let count = self.receive(&mut buffer)?;
            return Ok(String::from_utf8_lossy(&buffer[..count]).into_owned());
        }
        loop {
            if let Some(end) = self.received.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.received.drain(..=end).collect();
                return Ok(String::from_utf8_lossy(&line[..end]).into_owned());
            }
            match self.receive(&mut buffer)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => self.received.extend_from_slice(&buffer[..count]),
            }
        }
    }

    /// Sends a command and returns the reply.
    pub fn ask(&mut self, command: &str) -> String {
        self.send(command);
        self.reply()
    }

    /// Sends `echo` and insists on its reply.
    pub fn echo(&mut self, text: &str) {
        assert_eq!(
            self.ask(&format!("echo {text}")),
            text,
            "the echo for {}",
            self.name
        );
    }

    /// Some bytes, or none at the end.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        assert!(self.received.is_empty(), "part of a reply was read already");
        self.receive(into)
    }

    /// A machine that is stopped for a moment interrupts each read that has a timeout: signal(7).
    fn receive(&self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            match (&self.socket).read(into) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }

    /// Everything up to end-of-file.
    ///
    /// # Errors
    ///
    /// What the operating system says, a reset for instance.
    pub fn rest(&mut self) -> io::Result<Vec<u8>> {
        let mut rest = std::mem::take(&mut self.received);
        (&self.socket).read_to_end(&mut rest)?;
        Ok(rest)
    }

    /// Insists on end-of-file with nothing before it.
    pub fn expect_end(&mut self) {
        self.expect_rest("");
    }

    /// Insists on this text and then end-of-file.
    pub fn expect_rest(&mut self, text: &str) {
        let rest = self
            .rest()
            .unwrap_or_else(|error| panic!("{} got no end of file: {error}", self.name));
        assert_eq!(
            String::from_utf8_lossy(&rest),
            text,
            "what {} got before the end",
            self.name
        );
    }

    /// Insists that nothing comes until the server has answered somebody else meanwhile.
    pub fn expect_silence(&mut self) {
        assert!(
            self.received.is_empty(),
            "{} got {:?}",
            self.name,
            self.received
        );
        self.socket.set_nonblocking(true).expect("an own socket");
        let got = (&self.socket).read(&mut [0; 64]);
        self.socket.set_nonblocking(false).expect("an own socket");
        self.check_silence(&got);
    }

    /// Insists that nothing comes for so long.
    pub fn expect_silence_for(&mut self, time: Duration) {
        self.set_patience(time);
        let got = self.try_reply();
        self.set_patience(DEADLINE);
        self.check_silence(&got);
    }

    fn check_silence<T: Debug>(&self, got: &io::Result<T>) {
        let kind = got.as_ref().map_err(io::Error::kind);
        assert_eq!(
            kind.err(),
            Some(io::ErrorKind::WouldBlock),
            "{} got {got:?}",
            self.name
        );
    }

    /// Sends end-of-file.
    pub fn finish(&mut self) {
        self.socket
            .shutdown(Shutdown::Write)
            .expect("the connection is open");
    }

    /// Leaves with a reset: what was sent and not yet read is lost.
    pub fn reset(self) {
        self.socket
            .set_linger(Some(Duration::ZERO))
            .expect("an own socket");
        drop(self.socket);
    }

    /// Bounds how long a read waits, in place of the deadline.
    pub fn set_patience(&mut self, patience: Duration) {
        self.socket
            .set_read_timeout(Some(patience))
            .expect("an own socket");
    }
}

fn inet_name(address: &SockAddr) -> String {
    address
        .as_socket()
        .map_or_else(|| "unnamed".to_owned(), |address| address.to_string())
}

/// A name that no other client on this machine has.
fn unique() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!(
        "client-{}-{}",
        process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    )
}
