//! Bound sockets: their options, and sockets that somebody else opened.

#[cfg(feature = "upgrade")]
pub(crate) mod handover;

use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::{env, fmt, io, process};

use rustix::event::PollFlags;
use rustix::net::sockopt;
use socket2::{Domain, SockAddr, Socket, Type};

use crate::address::{Address, Endpoint, Kind};
use crate::listener::path::OwnPath;
use crate::options::Options;
use crate::sys::clock::at_least_a_micro;
use crate::sys::fork::ClosedInChildren;
use crate::sys::poller::ready_now;
use crate::sys::{datagrams, inherited};
use crate::upgrade::label::Label;

/// The first descriptor that systemd hands over: sd_listen_fds(3).
const FIRST_INHERITED: RawFd = 3;

/// A bound socket, and what must be tidied up when it closes.
#[derive(Debug)]
pub(crate) struct Place {
    /// Dropped before the socket is.
    _closed_in_children: ClosedInChildren,
    pub(crate) socket: Arc<Socket>,
    pub(crate) kind: Kind,
    pub(crate) address: Address,
    pub(crate) is_v6: bool,
    /// Removed when it is dropped.
    #[cfg_attr(
        not(feature = "upgrade"),
        expect(dead_code, reason = "only its drop matters")
    )]
    path: Option<OwnPath>,
    inherited: bool,
    taken_over: bool,
}

impl Place {
    /// Binds a new socket. `last_word` may change it before it has a name.
    pub(crate) fn bind(
        kind: Kind,
        at: &Address,
        options: &Options,
        last_word: &dyn Fn(&Socket) -> io::Result<()>,
    ) -> io::Result<Self> {
        Self::try_bind(kind, at, options, last_word).map_err(|error| {
            let at = Endpoint::Only(kind, Box::new(at.into()));
            PlaceError::wrap("bind", &at, error)
        })
    }

    fn try_bind(
        kind: Kind,
        at: &Address,
        options: &Options,
        last_word: &dyn Fn(&Socket) -> io::Result<()>,
    ) -> io::Result<Self> {
        #[cfg(feature = "upgrade")]
        if let Some(place) = Self::take_over(kind, at)? {
            return Ok(place);
        }
        let address = at.to_socket()?;
        let ty = if kind.is_stream() {
            Type::STREAM
        } else {
            Type::DGRAM
        };
        let socket = Socket::new(address.domain(), ty, None)?;
        prepare(&socket, kind, &address, options)?;
        last_word(&socket)?;
        let path = match at.as_path() {
            Some(path) => Some(OwnPath::bind(&socket, path, &address, options)?),
            None => socket.bind(&address).map(|()| None)?,
        };
        let file = path.as_ref().map(OwnPath::file);
        let port = at.port().unwrap_or_default();
        Self::of(socket, kind, path, &Label::Bound { port, file })
    }

    /// Adopts a socket that somebody else opened. It keeps its own options, and its path is never removed.
    pub(crate) fn adopt(fd: OwnedFd, label: &Label) -> io::Result<Self> {
        let socket = Socket::from(fd);
        let kind = kind_of(&socket)?;
        Self::of(socket, kind, None, label)
    }

    fn of(socket: Socket, kind: Kind, path: Option<OwnPath>, label: &Label) -> io::Result<Self> {
        if kind.is_stream() {
            socket.set_nonblocking(true)?; // So that a peer that left between poll and accept cannot block the loop: D28.
        }
        let bound = socket.local_addr()?;
        if kind == Kind::Udp
            && bound
                .as_socket()
                .is_some_and(|address| address.ip().to_canonical().is_unspecified())
        {
            datagrams::want_source(&socket, bound.is_ipv6())?;
        }
        let inherited = !matches!(label, Label::Bound { .. });
        let socket = Arc::new(socket);
        #[cfg(feature = "upgrade")]
        crate::upgrade::handover::remember(&socket, label.clone());
        Ok(Self {
            _closed_in_children: ClosedInChildren::new(&*socket),
            socket,
            kind,
            address: Address::from_socket(&bound),
            is_v6: bound.is_ipv6(),
            path,
            inherited,
            taken_over: false,
        })
    }

    pub(crate) fn is_inherited(&self) -> bool {
        self.inherited
    }

    /// Whether the process before this one had bound it.
    pub(crate) fn is_taken_over(&self) -> bool {
        self.taken_over
    }

    /// Whether the address stands for several, so that each request has its own local address.
    pub(crate) fn is_wildcard(&self) -> bool {
        self.address
            .as_inet()
            .is_some_and(|address| address.ip().is_unspecified())
    }

    /// Starts to listen, if this is a stream socket.
    pub(crate) fn activate(&self, options: &Options) -> io::Result<()> {
        if !self.kind.is_stream() {
            return Ok(());
        }
        let backlog = i32::try_from(options.backlog).unwrap_or(i32::MAX);
        let listens = self.socket.listen(backlog);
        listens.map_err(|error| PlaceError::wrap("listen at", &self.announced(), error))
    }

    /// The form that `run` announces.
    pub(crate) fn announced(&self) -> Endpoint {
        Endpoint::Only(self.kind, Box::new(Endpoint::from(&self.address)))
    }
}

/// What kept a server from listening, with the place in its text.
struct PlaceError {
    step: &'static str,
    at: String,
    source: io::Error,
}

impl PlaceError {
    fn wrap(step: &'static str, at: &Endpoint, source: io::Error) -> io::Error {
        let (at, kind) = (at.to_string(), source.kind());
        io::Error::new(kind, Self { step, at, source })
    }
}

impl fmt::Display for PlaceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { step, at, source } = self;
        write!(f, "cannot {step} `{at}`: {source}")
    }
}

/// As `Display`: a `main` that returns the error prints this.
impl fmt::Debug for PlaceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for PlaceError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// Sets what must be set before the socket has a name. On Linux accepted sockets inherit the listener's options.
fn prepare(socket: &Socket, kind: Kind, address: &SockAddr, options: &Options) -> io::Result<()> {
    if address.is_ipv6() {
        socket.set_only_v6(options.only_v6)?;
    }
    if options.reuse_port && !kind.is_unix() {
        socket.set_reuse_port(true)?;
    }
    if kind == Kind::Tcp {
        socket.set_reuse_address(options.reuse_address)?;
    }
    tune(socket, kind, options)
}

/// Sets what accepted sockets inherit.
fn tune(socket: &Socket, kind: Kind, options: &Options) -> io::Result<()> {
    if kind == Kind::Tcp {
        socket.set_tcp_nodelay(options.nodelay)?;
        socket.set_keepalive(options.keepalive)?;
        let timeout = options.timeout.map(at_least_a_micro);
        socket.set_read_timeout(timeout)?;
        socket.set_write_timeout(timeout)?;
    }
    Ok(())
}

fn kind_of(socket: &Socket) -> io::Result<Kind> {
    let is_stream = socket.r#type()? == Type::STREAM;
    match (socket.domain()?, is_stream) {
        (Domain::IPV4 | Domain::IPV6, true) => Ok(Kind::Tcp),
        (Domain::IPV4 | Domain::IPV6, false) => Ok(Kind::Udp),
        (Domain::UNIX, true) => Ok(Kind::Unix),
        (Domain::UNIX, false) => Ok(Kind::UnixDatagram),
        _ => Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "this inherited socket is neither Internet nor Unix",
        )),
    }
}

/// The sockets that systemd handed to this process, or to the one that it takes over from: sd_listen_fds(3).
pub(crate) fn handed_over() -> Vec<(RawFd, Label)> {
    #[cfg(feature = "upgrade")]
    if let Some(sockets) = handover::by_systemd() {
        return sockets;
    }
    let number = |name| {
        env::var(name)
            .ok()
            .and_then(|text| text.parse::<u32>().ok())
    };
    if number("LISTEN_PID") != Some(process::id()) {
        return Vec::new();
    }
    let count = number("LISTEN_FDS").unwrap_or(0);
    let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':').map(str::to_owned);
    let fds = FIRST_INHERITED..FIRST_INHERITED.saturating_add(count.cast_signed());
    let label = |(index, fd)| {
        let name = names.next().unwrap_or_default();
        (fd, Label::Systemd { index, name })
    };
    fds.enumerate().map(label).collect()
}

/// What kind of server an inherited descriptor is for, if it is a socket that one can serve.
pub(crate) fn inherited_kind(fd: RawFd) -> Option<Kind> {
    let borrowed = inherited::peek(fd)?;
    let socket = socket2::SockRef::from(&borrowed);
    kind_of(&socket).ok()
}

/// Whether an inherited descriptor is one end of a connection, and no listener.
pub(crate) fn is_connection(fd: RawFd) -> bool {
    inherited::peek(fd).is_some_and(|borrowed| {
        let socket = socket2::SockRef::from(&borrowed);
        kind_of(&socket).is_ok_and(Kind::is_stream)
            && !is_listening(borrowed)
            && (socket.peer_addr().is_ok() || has_ended(borrowed))
    })
}

/// Whether a stream socket has seen its peer's end. One that was never connected has not.
fn has_ended(socket: BorrowedFd<'_>) -> bool {
    ready_now(socket, PollFlags::RDHUP).is_ok_and(|ready| ready.contains(PollFlags::RDHUP))
}

/// Whether a stream socket listens already.
pub(crate) fn is_listening(socket: impl AsFd) -> bool {
    sockopt::socket_acceptconn(socket).unwrap_or(false)
}

/// The address at which a second kind of socket joins the first: the same port, even when port 0 was asked for.
pub(crate) fn same_port(at: SocketAddr, first: &Address) -> SocketAddr {
    match (at.port(), first.as_inet()) {
        (0, Some(first)) => SocketAddr::new(at.ip(), first.port()),
        _ => at,
    }
}
