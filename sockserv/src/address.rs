//! Where a peer is ([`Address`]) and where one may listen ([`Endpoint`]). Pure values: nothing here opens a socket.

use std::error::Error;
use std::ffi::{OsStr, OsString};
use std::fmt::{self, Write};
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::os::fd::RawFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use socket2::SockAddr;

use crate::named::{Named, named};

/// The longest Unix path that fits a socket address: `sun_path` less the terminating zero, unix(7).
const MAX_PATH: usize = 107;

/// The address of one end of a request.
///
/// # Examples
///
/// ```
/// use sockserv::Address;
///
/// let address = Address::from(std::net::SocketAddr::from(([127, 0, 0, 1], 7007)));
/// assert_eq!(address.to_string(), "127.0.0.1:7007");
/// assert!(address.ip().is_some_and(|ip| ip.is_loopback()));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Address {
    /// An Internet address and port. A v4-mapped IPv6 address is shown as the IPv4 address that it is.
    Inet(SocketAddr),
    /// A Unix socket's path.
    Unix(PathBuf),
    /// A Unix socket's name in Linux's abstract namespace, without the leading zero.
    Abstract(Vec<u8>),
    /// A Unix socket without a name, as most clients' are.
    Unnamed,
}

impl Address {
    /// Returns the Internet address, if it is one.
    #[must_use]
    pub fn as_inet(&self) -> Option<SocketAddr> {
        match self {
            Self::Inet(address) => Some(*address),
            _ => None,
        }
    }

    /// Returns the Unix path, if it is one.
    #[must_use]
    pub fn as_path(&self) -> Option<&Path> {
        match self {
            Self::Unix(path) => Some(path),
            _ => None,
        }
    }

    /// Returns the port of an Internet address.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.as_inet().map(|address| address.port())
    }

    /// Returns the Internet address without its port, if it is one: the same for all connections of a host.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        self.as_inet().map(|address| address.ip())
    }

    pub(crate) fn from_socket(address: &SockAddr) -> Self {
        if let Some(inet) = address.as_socket() {
            return Self::from(inet);
        }
        if let Some(path) = address.as_pathname() {
            return Self::Unix(path.to_owned());
        }
        match address.as_abstract_namespace() {
            Some(name) if !name.is_empty() => Self::Abstract(name.to_owned()),
            _ => Self::Unnamed,
        }
    }

    /// The form that system calls take; an unnamed address has none.
    pub(crate) fn to_socket(&self) -> io::Result<SockAddr> {
        match self {
            Self::Inet(address) => Ok(SockAddr::from(*address)),
            Self::Unix(path) => SockAddr::unix(path),
            Self::Abstract(name) => {
                let path = [&[0], name.as_slice()].concat();
                SockAddr::unix(OsStr::from_bytes(&path))
            }
            Self::Unnamed => Err(io::Error::new(
                io::ErrorKind::AddrNotAvailable,
                "an unnamed Unix socket has no address",
            )),
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        match address.ip().to_canonical() {
            ip @ IpAddr::V4(_) => Self::Inet(SocketAddr::new(ip, address.port())),
            IpAddr::V6(_) => Self::Inet(address),
        }
    }
}

impl From<&Self> for Address {
    fn from(address: &Self) -> Self {
        address.clone()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inet(address) => address.fmt(f),
            Self::Unix(path) => {
                let path = path.as_os_str().as_bytes();
                // Not one in the abstract namespace.
                let at = path.strip_prefix(b"@");
                f.write_str(if at.is_some() { r"unix:\x40" } else { "unix:" })?;
                escape(f, at.unwrap_or(path))
            }
            Self::Abstract(name) => {
                f.write_str("unix:@")?;
                escape(f, name)
            }
            Self::Unnamed => f.pad("unnamed"),
        }
    }
}

/// Writes a name; what is no text in it, or would not stay on its line, as `\xff`. A `\` that would be read so, too.
fn escape(f: &mut fmt::Formatter<'_>, name: &[u8]) -> fmt::Result {
    let code = |byte: u8, f: &mut fmt::Formatter<'_>| write!(f, "\\x{byte:02x}");
    for chunk in name.utf8_chunks() {
        let text = chunk.valid();
        for (at, char) in text.char_indices() {
            let is_read = char == '\\' && escaped(&text.as_bytes()[at..]).is_some();
            if char.is_control() || is_read {
                let mut bytes = [0; 4];
                let bytes = char.encode_utf8(&mut bytes).bytes();
                bytes.into_iter().try_for_each(|byte| code(byte, f))?;
            } else {
                f.write_char(char)?;
            }
        }
        chunk.invalid().iter().try_for_each(|byte| code(*byte, f))?;
    }
    Ok(())
}

/// Reads what [`escape`] writes.
fn unescape(text: &str) -> Vec<u8> {
    let (mut name, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((first, behind)) = rest.split_first() {
        let code = escaped(rest);
        name.push(code.unwrap_or(*first));
        rest = if code.is_some() { &rest[4..] } else { behind };
    }
    name
}

/// The byte that a text begins with, if that is written as `\xff`.
fn escaped(text: &[u8]) -> Option<u8> {
    let digits = text.strip_prefix(b"\\x")?.get(..2)?;
    let digits = digits.iter().all(u8::is_ascii_hexdigit).then_some(digits)?;
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

named! {
    /// The four kinds of socket that a server can listen on.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum Kind {
        /// TCP: a byte stream over IP.
        Tcp = "tcp",
        /// UDP: datagrams over IP.
        Udp = "udp",
        /// A Unix stream.
        Unix = "unix",
        /// Unix datagrams.
        UnixDatagram = "unix-datagram",
    }
}

impl Kind {
    pub(crate) fn is_unix(self) -> bool {
        match self {
            Self::Unix | Self::UnixDatagram => true,
            Self::Tcp | Self::Udp => false,
        }
    }

    pub(crate) fn is_stream(self) -> bool {
        match self {
            Self::Tcp | Self::Unix => true,
            Self::Udp | Self::UnixDatagram => false,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// Where a server may listen.
///
/// | written | meaning |
/// |---|---|
/// | `127.0.0.1:7007`, `[::1]:7007` | an Internet address; port 0 takes a free one |
/// | `localhost:7007` | every address that the name resolves to |
/// | `[fe80::1%eth0]:7007` | an address of one link |
/// | `unix:/run/x.sock`, `/run/x.sock`, `./x.sock` | a Unix path |
/// | `unix:@name`, `@name` | a name in Linux's abstract namespace |
/// | `\xff` in one of these | this byte |
/// | `fd:3` | a socket that this process inherited |
/// | `inetd` | the one connection, or the socket, that inetd(8) or a unit with `StandardInput=socket` put on stdin |
/// | `systemd:NAME`, `systemd:NAME:INDEX` | a socket that systemd handed over: sd_listen_fds(3) |
/// | `tcp://…`, `udp://…`, `unix-datagram:…` | one of the above for that transport alone, as `run` announces it |
///
/// # Examples
///
/// ```
/// use sockserv::Endpoint;
///
/// let endpoint: Endpoint = "tcp://[::1]:7007".parse()?;
/// assert_eq!(endpoint.to_string(), "tcp://[::1]:7007");
/// assert!("127.0.0.1".parse::<Endpoint>().unwrap_err().to_string().contains("no port"));
/// # Ok::<(), sockserv::EndpointError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Endpoint {
    /// This very address.
    Address(Address),
    /// All that the host's name resolves to, and a port.
    Host(String, u16),
    /// An inherited descriptor.
    Fd(RawFd),
    /// A socket handed over by systemd: its name, and which of those that share it.
    Systemd(String, Option<usize>),
    /// What stands on stdin: one connection, or a socket.
    Inetd,
    /// An endpoint for one transport alone.
    Only(Kind, Box<Endpoint>),
}

impl Endpoint {
    /// Splits off the transport that this endpoint is meant for, if it names one.
    pub(crate) fn kind(&self) -> (Option<Kind>, &Self) {
        match self {
            Self::Only(kind, endpoint) => (Some(*kind), endpoint.kind().1),
            _ => (None, self),
        }
    }

    /// Whether a listener of this kind can be made from it. An inherited socket is asked what it is only when it is opened.
    pub(crate) fn fits(&self, kind: Kind) -> bool {
        match self {
            Self::Address(Address::Inet(_)) | Self::Host(..) => !kind.is_unix(),
            Self::Address(_) => kind.is_unix(),
            Self::Fd(_) | Self::Systemd(..) | Self::Inetd => true,
            Self::Only(only, endpoint) => *only == kind && endpoint.fits(kind),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Host(host, port) if host.contains('%') => write!(f, "[{host}]:{port}"),
            Self::Host(host, port) => write!(f, "{host}:{port}"),
            Self::Fd(fd) => write!(f, "fd:{fd}"),
            Self::Systemd(name, None) => write!(f, "systemd:{name}"),
            Self::Systemd(name, Some(index)) => write!(f, "systemd:{name}:{index}"),
            Self::Inetd => f.pad("inetd"),
            Self::Only(kind, endpoint) => announce(*kind, endpoint, f),
        }
    }
}

fn announce(kind: Kind, endpoint: &Endpoint, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let text = endpoint.to_string();
    match text.strip_prefix("unix:") {
        Some(place) => write!(f, "{kind}:{place}"),
        None => write!(f, "{kind}://{text}"),
    }
}

/// A text that is no [`Endpoint`]; its `Display` says why, and what to write.
#[derive(Clone, PartialEq, Eq)]
pub struct EndpointError {
    text: String,
    reason: &'static str,
}

impl fmt::Display for EndpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` {}", self.text, self.reason)
    }
}

/// As `Display`: a `main` that returns the error prints this.
impl fmt::Debug for EndpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for EndpointError {}

impl From<EndpointError> for io::Error {
    fn from(error: EndpointError) -> Self {
        Self::new(io::ErrorKind::InvalidInput, error)
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        parse(text).map_err(|reason| EndpointError {
            text: text.to_owned(),
            reason,
        })
    }
}

fn parse(text: &str) -> Result<Endpoint, &'static str> {
    let only = |kind, rest| Ok(Endpoint::Only(kind, Box::new(parse_inet(rest)?)));
    if let Some(rest) = text.strip_prefix("tcp://") {
        return only(Kind::Tcp, rest);
    }
    if let Some(rest) = text.strip_prefix("udp://") {
        return only(Kind::Udp, rest);
    }
    if let Some(rest) = text.strip_prefix("unix-datagram:") {
        return Ok(Endpoint::Only(
            Kind::UnixDatagram,
            Box::new(parse_unix(rest)?),
        ));
    }
    if let Some(rest) = text.strip_prefix("unix:") {
        return parse_unix(rest);
    }
    if let Some(number) = text.strip_prefix("fd:") {
        return parse_fd(number);
    }
    if let Some(name) = text.strip_prefix("systemd:") {
        return parse_systemd(name);
    }
    if text == "inetd" {
        return Ok(Endpoint::Inetd);
    }
    if text.starts_with(['/', '@']) || text.starts_with("./") || text.starts_with("../") {
        return parse_unix(text);
    }
    parse_inet(text)
}

fn parse_unix(text: &str) -> Result<Endpoint, &'static str> {
    if let Some(name) = text.strip_prefix('@') {
        let name = unescape(name);
        return match name.len() {
            0 => Err("names no abstract socket; write `unix:@name`"),
            1..=MAX_PATH => Ok(Endpoint::Address(Address::Abstract(name))),
            _ => Err("is longer than the 107 bytes that a Unix socket's name may have"),
        };
    }
    let path = unescape(text);
    match path.len() {
        0 => Err("names no path; write `unix:/run/name.sock`"),
        _ if path.contains(&0) => {
            Err("has a zero byte, as no path has; write `unix:@name` for an abstract name")
        }
        1..=MAX_PATH => Ok(Endpoint::Address(Address::Unix(
            OsString::from_vec(path).into(),
        ))),
        _ => Err("is longer than the 107 bytes that a Unix socket's path may have"),
    }
}

fn parse_fd(number: &str) -> Result<Endpoint, &'static str> {
    match number.parse() {
        Ok(fd @ 0..) => Ok(Endpoint::Fd(fd)),
        _ => Err("names no descriptor; write a number, as in `fd:3`"),
    }
}

fn parse_systemd(text: &str) -> Result<Endpoint, &'static str> {
    let (name, index) = match text.split_once(':') {
        None => (text, None),
        Some((name, index)) => (
            name,
            Some(
                index
                    .parse()
                    .map_err(|_| "has no number as its index; write `systemd:name:0`")?,
            ),
        ),
    };
    match name {
        "" => Err(
            "names no socket; write the `FileDescriptorName=` of the unit, as in `systemd:name`",
        ),
        _ => Ok(Endpoint::Systemd(name.into(), index)),
    }
}

fn parse_inet(text: &str) -> Result<Endpoint, &'static str> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok(Endpoint::Address(Address::from(address)));
    }
    if text.parse::<IpAddr>().is_ok() {
        return Err("has no port; write `address:port`, and an IPv6 address in brackets");
    }
    let (host, port) = text
        .rsplit_once(':')
        .ok_or("has no port; write `host:port`, or `unix:/path`")?;
    let port = Some(port)
        .filter(|port| !port.starts_with('+'))
        .and_then(|port| port.parse().ok())
        .ok_or("has no port between 0 and 65535 behind its last colon")?;
    if host.is_empty() || host == "*" {
        return Err(
            "has no host; write `0.0.0.0:port` for every IPv4 address, `[::]:port` for all",
        );
    }
    if let Some(host) = of_link(host) {
        return Ok(Endpoint::Host(host.into(), port));
    }
    if host.bytes().all(|byte| b"0123456789.".contains(&byte)) {
        return Err("is no IPv4 address; write four numbers up to 255, as in `127.0.0.1:port`");
    }
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if host.len() > 253 || !host.bytes().all(fits) {
        return Err(
            "is no address; write `127.0.0.1:port`, `[::1]:port`, `host:port` or `unix:/path`",
        );
    }
    Ok(Endpoint::Host(host.into(), port))
}

/// Takes a link's address out of its brackets, with the link's name, which only the resolver can make a number of.
fn of_link(host: &str) -> Option<&str> {
    let host = host.strip_prefix('[')?.strip_suffix(']')?;
    let (ip, link) = host.split_once('%')?;
    (ip.parse::<Ipv6Addr>().is_ok() && !link.is_empty()).then_some(host)
}

impl TryFrom<&str> for Endpoint {
    type Error = EndpointError;

    fn try_from(text: &str) -> Result<Self, EndpointError> {
        text.parse()
    }
}

impl TryFrom<String> for Endpoint {
    type Error = EndpointError;

    fn try_from(text: String) -> Result<Self, EndpointError> {
        text.parse()
    }
}

impl TryFrom<&String> for Endpoint {
    type Error = EndpointError;

    fn try_from(text: &String) -> Result<Self, EndpointError> {
        text.parse()
    }
}

impl From<SocketAddr> for Endpoint {
    fn from(address: SocketAddr) -> Self {
        Self::Address(Address::Inet(address))
    }
}

impl<I: Into<IpAddr>> From<(I, u16)> for Endpoint {
    fn from((ip, port): (I, u16)) -> Self {
        Self::from(SocketAddr::new(ip.into(), port))
    }
}

impl From<Address> for Endpoint {
    fn from(address: Address) -> Self {
        Self::Address(address)
    }
}

impl From<&Address> for Endpoint {
    fn from(address: &Address) -> Self {
        Self::Address(address.clone())
    }
}

impl From<&Endpoint> for Endpoint {
    fn from(endpoint: &Endpoint) -> Self {
        endpoint.clone()
    }
}

impl From<PathBuf> for Endpoint {
    fn from(path: PathBuf) -> Self {
        Self::Address(Address::Unix(path))
    }
}

impl From<&Path> for Endpoint {
    fn from(path: &Path) -> Self {
        Self::Address(Address::Unix(path.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_announced_reads_back() {
        for text in [
            "127.0.0.1:80",
            "[::1]:80",
            "[fe80::1%2]:80",
            "[fe80::1%eth0]:80",
            "localhost:80",
            "unix:/run/x.sock",
            "unix:@name",
            "fd:3",
            "systemd:web",
            "systemd:web:1",
            "tcp://127.0.0.1:80",
            "udp://[::]:53",
            "unix-datagram:/run/log",
            "unix-datagram:@log",
        ] {
            assert_eq!(
                text.parse::<Endpoint>()
                    .map(|endpoint| endpoint.to_string())
                    .as_deref(),
                Ok(text)
            );
        }
    }

    #[test]
    fn a_name_that_is_no_text_reads_back() {
        for (name, text) in [
            (&b"/tmp/\xff.sock"[..], r"unix:/tmp/\xff.sock"),
            (b"/tmp/x\nlistening", r"unix:/tmp/x\x0alistening"),
            (b"/tmp/\xc3\xa9 \\n\\x", "unix:/tmp/\u{e9} \\n\\x"),
            (br"/tmp/\xff", r"unix:/tmp/\x5cxff"),
            (b"@home", r"unix:\x40home"),
        ] {
            let path = PathBuf::from(OsStr::from_bytes(name));
            let address = Address::Unix(path.clone());
            assert_eq!(address.to_string(), text);
            assert_eq!(text.parse(), Ok(Endpoint::Address(address)));
            let log = Endpoint::Only(
                Kind::UnixDatagram,
                Box::new(Endpoint::Address(Address::Unix(path))),
            );
            assert_eq!(log.to_string().parse(), Ok(log));
        }
        let name = Address::Abstract(b"a\0\xff".to_vec());
        assert_eq!(name.to_string(), r"unix:@a\x00\xff");
        assert_eq!(name.to_string().parse(), Ok(Endpoint::Address(name)));
    }

    #[test]
    fn what_cannot_be_says_why() {
        for text in [
            "",
            "127.0.0.1",
            "::1",
            "localhost",
            ":80",
            "a:65536",
            "a:+80",
            "*:80",
            "1.2.3:80",
            "300.1.1.1:80",
            "host name:80",
            "tcp://unix:/x",
            "[::1]",
            "[::1%]:80",
            "[x%eth0]:80",
            "unix:",
            "@",
            "fd:x",
            "fd:-1",
            "systemd:",
            "http://x:1",
            r"unix:\x00name",
        ] {
            let error = text.parse::<Endpoint>().expect_err(text);
            assert!(
                error.to_string().starts_with(&format!("`{text}` ")),
                "{error}"
            );
        }
        assert!(format!("/{}", "x".repeat(107)).parse::<Endpoint>().is_err());
    }

    #[test]
    fn a_mapped_address_is_shown_as_ipv4() {
        let mapped: SocketAddr = "[::ffff:192.0.2.1]:9".parse().expect("an address");
        assert_eq!(Address::from(mapped).to_string(), "192.0.2.1:9");
    }
}
