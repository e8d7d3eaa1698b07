//! Bound sockets: their options, Unix paths that are ours and stay ours, and sockets that somebody else opened.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::os::fd::{AsFd, RawFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{env, fmt, io, process};

use rustix::fs::FlockOperation;
use rustix::net::sockopt;
use socket2::{Domain, SockAddr, Socket, Type};

use crate::address::{Address, Endpoint, Kind};
use crate::options::Options;
use crate::sys::{datagrams, inherited};

/// The first descriptor that systemd hands over: sd_listen_fds(3).
const FIRST_INHERITED: RawFd = 3;

/// A bound socket, and what must be tidied up when it closes.
#[derive(Debug)]
pub struct Place {
    pub(crate) socket: Arc<Socket>,
    pub(crate) kind: Kind,
    pub(crate) address: Address,
    pub(crate) is_v6: bool,
    /// Removed when it is dropped.
    _path: Option<OwnPath>,
    inherited: bool,
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
            io::Error::new(
                error.kind(),
                BindError {
                    at: at.to_string(),
                    source: error,
                },
            )
        })
    }

    fn try_bind(
        kind: Kind,
        at: &Address,
        options: &Options,
        last_word: &dyn Fn(&Socket) -> io::Result<()>,
    ) -> io::Result<Self> {
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
            Some(path) => Some(bind_path(&socket, path, &address, options.mode)?),
            None => socket.bind(&address).map(|()| None)?,
        };
        Self::of(socket, kind, path, false)
    }

    /// Adopts a socket that somebody else opened. It keeps its own options, and its path is never removed.
    pub(crate) fn adopt(fd: RawFd) -> io::Result<Self> {
        let socket = Socket::from(inherited::take(fd)?);
        let kind = kind_of(&socket)?;
        Self::of(socket, kind, None, true)
    }

    fn of(socket: Socket, kind: Kind, path: Option<OwnPath>, inherited: bool) -> io::Result<Self> {
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
        Ok(Self {
            socket: Arc::new(socket),
            kind,
            address: Address::from_socket(&bound),
            is_v6: bound.is_ipv6(),
            _path: path,
            inherited,
        })
    }

    pub(crate) fn is_inherited(&self) -> bool {
        self.inherited
    }

    /// Whether the address stands for several, so that each request has its own local address.
    pub(crate) fn is_wildcard(&self) -> bool {
        self.address
            .as_inet()
            .is_some_and(|address| address.ip().is_unspecified())
    }

    /// Starts to listen, if this is a stream socket.
    pub(crate) fn activate(&self, options: &Options) -> io::Result<()> {
        match self.kind.is_stream() {
            true => self
                .socket
                .listen(i32::try_from(options.backlog).unwrap_or(i32::MAX)),
            false => Ok(()),
        }
    }

    /// The form that `run` announces.
    pub(crate) fn announced(&self) -> Endpoint {
        Endpoint::Only(self.kind, Box::new(Endpoint::from(&self.address)))
    }
}

/// What kept a server from listening, with the place in its text.
struct BindError {
    at: String,
    source: io::Error,
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot bind `{}`: {}", self.at, self.source)
    }
}

/// As `Display`: a `main` that returns the error prints this.
impl fmt::Debug for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for BindError {
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
        socket.set_tcp_nodelay(options.nodelay)?;
        socket.set_keepalive(options.keepalive)?;
        socket.set_read_timeout(options.timeout)?;
        socket.set_write_timeout(options.timeout)?;
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

/// A Unix path that this process made, removed when it closes: only if it is still the same file.
#[derive(Debug)]
struct OwnPath {
    path: PathBuf,
    device: u64,
    inode: u64,
    /// A child has a copy of this, and the path is not its to remove.
    owner: u32,
}

impl OwnPath {
    fn made(path: &Path) -> io::Result<Self> {
        let made = fs::symlink_metadata(path)?;
        // Absolute, so that a later change of the working folder does not matter.
        let path = std::path::absolute(path)?;
        Ok(Self {
            path,
            device: made.dev(),
            inode: made.ino(),
            owner: process::id(),
        })
    }

    fn is_ours(&self) -> bool {
        fs::symlink_metadata(&self.path)
            .is_ok_and(|now| (now.dev(), now.ino()) == (self.device, self.inode))
    }
}

impl Drop for OwnPath {
    fn drop(&mut self) {
        if self.owner != process::id() {
            return;
        }
        let _lock = lock_folder(&self.path);
        if self.is_ours() {
            // Somebody may have removed it meanwhile: then it is gone, as intended.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Binds to a path, replacing one that is left over from a server that nobody can reach any more.
fn bind_path(
    socket: &Socket,
    path: &Path,
    address: &SockAddr,
    mode: Option<u32>,
) -> io::Result<OwnPath> {
    let _lock = lock_folder(path);
    if let Some(mode) = mode {
        // The file gets it when it is made (less the umask's bits), so nobody can connect under another one.
        rustix::fs::fchmod(socket, mode.into())?;
    }
    match socket.bind(address) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            check_stale(path, address)?;
            fs::remove_file(path)?;
            socket.bind(address)?;
        }
        result => result?,
    }
    let own = OwnPath::made(path)?;
    if let Some(mode) = mode {
        rustix::fs::chmod(path, mode.into())?; // Before `listen`: gives the bits that the umask took.
    }
    Ok(own)
}

/// Locks the path's folder against other servers that find the same stale path, until the file is dropped.
fn lock_folder(path: &Path) -> Option<File> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    // A folder that cannot be opened or locked (no read permission, an odd file system) leaves only the small race.
    let folder = File::open(folder).ok()?;
    rustix::fs::flock(&folder, FlockOperation::LockExclusive).ok()?;
    Some(folder)
}

/// Returns an error unless a connect proves that nobody serves this path.
fn check_stale(path: &Path, address: &SockAddr) -> io::Result<()> {
    let in_use = |text: &str| Err(io::Error::new(io::ErrorKind::AddrInUse, text.to_owned()));
    if !fs::symlink_metadata(path)?.file_type().is_socket() {
        return in_use("a file that is no socket is in the way");
    }
    if is_bound(path) {
        return in_use("another server is alive there");
    }
    let probe = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    probe.set_nonblocking(true)?;
    match probe.connect(address) {
        // Refused: no socket is bound to the file. One of another type would answer EPROTOTYPE, a busy one EAGAIN.
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        _ => in_use("another server is alive there"),
    }
}

/// Whether a socket of this network namespace is bound to the path and not connected: one that does not listen yet refuses
/// a connect just like a stale one. proc_net_unix in proc(5): the state is the sixth field, the path as bound the eighth.
fn is_bound(path: &Path) -> bool {
    let Ok(table) = fs::read_to_string("/proc/net/unix") else {
        return false;
    };
    let absolute = std::path::absolute(path).unwrap_or_default();
    table.lines().any(|line| {
        let mut fields = line.split_ascii_whitespace().skip(5);
        let (state, bound) = (fields.next(), fields.nth(1).map(Path::new));
        state == Some("01") && (bound == Some(path) || bound == Some(&absolute))
    })
}

/// The sockets that systemd handed to this process and that nobody has taken yet, with their names: sd_listen_fds(3).
pub(crate) fn handed_over() -> Vec<(RawFd, String)> {
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
    fds.map(|fd| (fd, names.next().unwrap_or_default()))
        .collect()
}

/// What kind of server an inherited descriptor is for, if it is a socket that one can serve.
pub(crate) fn inherited_kind(fd: RawFd) -> Option<Kind> {
    let borrowed = inherited::peek(fd)?;
    let socket = socket2::SockRef::from(&borrowed);
    kind_of(&socket).ok()
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
