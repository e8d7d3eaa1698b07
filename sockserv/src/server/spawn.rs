//! A server in a background thread, and a plain client for it: what every test suite writes for itself otherwise.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use socket2::{SockAddr, Socket, Type};

use crate::address::{Address, Endpoint, Kind};
use crate::drain::DrainReport;
use crate::error::Phase;
use crate::guard::guard_value;
use crate::requests::ServerHandle;
use crate::server::Server;
use crate::server::declare::Declaration;
use crate::sys::clock::at_least_a_micro;

impl<H: Declaration> Server<H> {
    /// Serves in a background thread.
    ///
    /// # Errors
    ///
    /// What kept it from listening, or the thread from starting.
    pub fn spawn(mut self) -> io::Result<Running>
    where
        H: Send + 'static,
        H::Model: Send + 'static,
    {
        self.activate()?;
        let (handle, addrs, announced) =
            (self.handle(), self.addrs.clone(), self.announced.clone());
        let thread = thread::Builder::new()
            .name("sockserv".into())
            .spawn(move || {
                let result = self.serve_forever();
                // The prototype is the user's, and a panic in its `drop` must not hide how the server ended. The panic
                // hook has told of it.
                let _ = guard_value(Phase::Close, || drop(self));
                result
            })?;
        Ok(Running {
            handle,
            addrs,
            announced,
            thread: Some(thread),
        })
    }
}

/// A server that serves in a background thread. Dropping it shuts the server down and waits for its end.
///
/// # Examples
///
/// ```
/// use sockserv::prelude::*;
///
/// #[derive(Clone)]
/// struct Echo;
///
/// #[server(tcp, threading, addr = "127.0.0.1:0")]
/// impl Echo {
///     fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
///         io::copy(&mut stream.rfile, &mut stream.wfile).map(drop)
///     }
/// }
///
/// let running = EchoServer::bind(Echo)?.spawn()?;
/// let mut client = running.connect()?;
/// client.write_all(b"hello")?;
/// let mut reply = [0; 5];
/// client.read_exact(&mut reply)?;
/// assert_eq!(&reply, b"hello");
///
/// let report = running.shutdown()?; // The client is idle, so it is told and the server ends at once.
/// assert_eq!((report.finished(), report.cut()), (1, 0));
/// # Ok::<(), io::Error>(())
/// ```
pub struct Running {
    handle: ServerHandle,
    addrs: Vec<Address>,
    announced: Vec<Endpoint>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Running {
    /// Returns the first address it listens at.
    ///
    /// # Panics
    ///
    /// Never: a server has at least one listener.
    #[must_use]
    pub fn local_addr(&self) -> &Address {
        &self.addrs[0]
    }

    /// Returns all addresses it listens at.
    #[must_use]
    pub fn local_addrs(&self) -> &[Address] {
        &self.addrs
    }

    /// Returns a way to reach the server from anywhere.
    #[must_use]
    pub fn handle(&self) -> ServerHandle {
        self.handle.clone()
    }

    /// Connects a client to the first address.
    ///
    /// # Errors
    ///
    /// What the operating system says; `Unsupported` for an own listener.
    pub fn connect(&self) -> io::Result<Client> {
        Client::connect(&self.announced[0])
    }

    /// Shuts the server down, waits for its end, and returns what became of its requests.
    ///
    /// # Errors
    ///
    /// What ended the server, if it was not the shutdown.
    pub fn shutdown(mut self) -> io::Result<DrainReport> {
        self.end()?;
        Ok(self.handle.report().unwrap_or_default())
    }

    /// Waits until the server has ended by itself: by its own handler's [`ServerHandle::shutdown`], or an error.
    ///
    /// # Errors
    ///
    /// What ended the server.
    pub fn join(mut self) -> io::Result<DrainReport> {
        self.wait()?;
        Ok(self.handle.report().unwrap_or_default())
    }

    fn end(&mut self) -> io::Result<()> {
        self.handle.shutdown();
        self.wait()
    }

    fn wait(&mut self) -> io::Result<()> {
        match self.thread.take().map(JoinHandle::join) {
            None => Ok(()),
            Some(Ok(result)) => result,
            Some(Err(_)) => Err(io::Error::other("the server's thread panicked")),
        }
    }
}

/// Where it listens first, for a client: `Client::connect(&running)`.
impl From<&Running> for Endpoint {
    fn from(running: &Running) -> Self {
        running.announced[0].clone()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Who wants to know how it ended calls `shutdown`.
        let _ = self.end();
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running")
            .field("addrs", &self.addrs)
            .finish_non_exhaustive()
    }
}

/// A plain blocking client of any of the four kinds. Made by [`Running::connect`].
///
/// On datagrams each write is a packet, and each read takes one. A read that waits longer than ten seconds fails, so that a
/// test does not hang.
#[derive(Debug)]
pub struct Client {
    socket: Socket,
}

/// How long a client waits for its server.
const CLIENT_WAIT: Duration = Duration::from_secs(10);

impl Client {
    /// Connects to an endpoint, as `run` announces it.
    ///
    /// # Errors
    ///
    /// What the operating system says; `Unsupported` for an endpoint that is no address.
    pub fn connect(to: &Endpoint) -> io::Result<Self> {
        let (kind, Endpoint::Address(address)) = to.kind() else {
            return Err(io::ErrorKind::Unsupported.into());
        };
        let kind = kind.unwrap_or(if address.as_inet().is_some() {
            Kind::Tcp
        } else {
            Kind::Unix
        });
        let address = reachable(address).to_socket()?;
        let ty = if kind.is_stream() {
            Type::STREAM
        } else {
            Type::DGRAM
        };
        let socket = Socket::new(address.domain(), ty, None)?;
        if kind == Kind::UnixDatagram {
            socket.bind(&crate::sys::datagrams::autobind())?; // Without a name nobody can answer.
        }
        socket.connect(&address)?;
        if kind == Kind::Tcp {
            socket.set_tcp_nodelay(true)?;
        }
        socket.set_read_timeout(Some(CLIENT_WAIT))?;
        Ok(Self { socket })
    }

    /// Ends one direction, or both.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.socket.shutdown(how)
    }

    /// Bounds how long a read waits (10 s), or `None` for ever.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn set_timeout(&self, timeout: impl Into<Option<Duration>>) -> io::Result<()> {
        let timeout = timeout.into().map(at_least_a_micro);
        self.socket.set_read_timeout(timeout)
    }

    /// Makes a second client of the same connection, to read in one thread and write in another.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn try_clone(&self) -> io::Result<Self> {
        self.socket.try_clone().map(|socket| Self { socket })
    }

    /// Returns the client's own address.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn local_addr(&self) -> io::Result<Address> {
        let address: SockAddr = self.socket.local_addr()?;
        Ok(Address::from_socket(&address))
    }
}

/// A wildcard is reached by the loopback address.
fn reachable(address: &Address) -> Address {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
    match address.as_inet() {
        Some(inet) if inet.ip().is_unspecified() => {
            let ip = if inet.is_ipv4() {
                IpAddr::from(Ipv4Addr::LOCALHOST)
            } else {
                IpAddr::from(Ipv6Addr::LOCALHOST)
            };
            Address::Inet(SocketAddr::new(ip, inet.port()))
        }
        _ => address.clone(),
    }
}

impl Read for Client {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&self.socket).read(buffer)
    }
}

impl Write for Client {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&self.socket).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
