//! Address literals, judged without asking anybody: what fits which transport, and what can never work.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::options::Transport;

/// Which transports an address can belong to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Family {
    /// `127.0.0.1:7007`, `localhost:80`
    Inet,
    /// `unix:/run/x.sock`, `/run/x.sock`, `unix:@name`
    Unix,
    /// `tcp://...`, `udp://...`, `unix-datagram:...`
    Only(Transport),
    /// `fd:3`, `systemd:name`, `inetd`: known when the server starts.
    Inherited,
}

impl Family {
    pub(crate) fn fits(self, transport: Transport) -> bool {
        match self {
            Self::Inet => !transport.is_unix(),
            Self::Unix => transport.is_unix(),
            Self::Only(only) => only == transport,
            Self::Inherited => true,
        }
    }
}

/// The longest path that fits into a `sockaddr_un` with its final zero; an abstract name is as long, with a zero before it.
const LONGEST_PATH: usize = 107;

/// Reads an address; the error says what is wrong and what to write.
pub(crate) fn read(text: &str) -> Result<Family, String> {
    if let Some(rest) = text.strip_prefix("tcp://") {
        return inet(rest).map(|()| Family::Only(Transport::Tcp));
    }
    if let Some(rest) = text.strip_prefix("udp://") {
        return inet(rest).map(|()| Family::Only(Transport::Udp));
    }
    if let Some(path) = text.strip_prefix("unix:") {
        return unix(path).map(|()| Family::Unix);
    }
    if let Some(path) = text.strip_prefix("unix-datagram:") {
        return unix(path).map(|()| Family::Only(Transport::UnixDatagram));
    }
    if let Some(number) = text.strip_prefix("fd:") {
        return fd(number).map(|()| Family::Inherited);
    }
    if let Some(name) = text.strip_prefix("systemd:") {
        return systemd(name).map(|()| Family::Inherited);
    }
    if text == "inetd" {
        return Ok(Family::Inherited);
    }
    if ["/", "@", "./", "../"]
        .iter()
        .any(|start| text.starts_with(start))
    {
        return unix(text).map(|()| Family::Unix);
    }
    if let Some((scheme, _)) = text.split_once("://") {
        return Err(format!(
            "`{scheme}://` is no kind of address; write `tcp://127.0.0.1:7007` or `127.0.0.1:7007`"
        ));
    }
    inet(text).map(|()| Family::Inet)
}

fn inet(text: &str) -> Result<(), String> {
    if text.parse::<Ipv6Addr>().is_ok() {
        return Err(format!("`{text}` has no port; write `[{text}]:7007`"));
    }
    if text.starts_with('[') && text.ends_with(']') {
        return Err(format!("`{text}` has no port; write `{text}:7007`"));
    }
    let Some((host, port)) = text.rsplit_once(':') else {
        return Err(format!("`{text}` has no port; write `{text}:7007`"));
    };
    if host.is_empty() {
        return Err(format!(
            "`{text}` has no host; write `127.0.0.1:{port}`, or `[::]:{port}` for every address"
        ));
    }
    if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) {
        if port.parse::<u16>().is_err() {
            return Err(format!(
                "port `{port}` is over 65535; write a smaller one, or `0` for any free port"
            ));
        }
    } else {
        return Err(format!(
            "`{port}` is no port; write a number up to 65535, as in `{host}:7007`"
        ));
    }
    self::host(host, port)
}

fn host(host: &str, port: &str) -> Result<(), String> {
    if let Some(inner) = host.strip_prefix('[') {
        let address = inner.strip_suffix(']').unwrap_or_default();
        let address = address
            .split_once('%')
            .map_or(address, |(address, _zone)| address);
        return match address.parse::<Ipv6Addr>() {
            Ok(_) => Ok(()),
            Err(_) => Err(format!(
                "`{host}` is no IPv6 address; write one as in `[::1]:{port}`"
            )),
        };
    }
    if host.contains(':') {
        return Err(format!(
            "an IPv6 address stands in brackets; write `[{host}]:{port}`"
        ));
    }
    if host == "*" {
        return Err(format!(
            "`*` is no host; write `0.0.0.0:{port}`, or `[::]:{port}` for every address"
        ));
    }
    let digits = host
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    if digits && host.parse::<Ipv4Addr>().is_err() {
        return Err(format!(
            "`{host}` is no IPv4 address; write four numbers up to 255, as in `127.0.0.1:{port}`"
        ));
    }
    let label = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if host.len() > 253 || !host.bytes().all(label) {
        return Err(format!(
            "`{host}` is no host name; write one as in `localhost:{port}`"
        ));
    }
    Ok(())
}

fn unix(path: &str) -> Result<(), String> {
    let (path, sort) = match path.strip_prefix('@') {
        Some(name) => (name, "name"),
        None => (path, "path"),
    };
    if path.is_empty() {
        let example = if sort == "name" {
            "unix:@name"
        } else {
            "unix:/run/name.sock"
        };
        return Err(format!("the {sort} is empty; write one as in `{example}`"));
    }
    if path.len() > LONGEST_PATH {
        let length = path.len();
        return Err(format!(
            "the {sort} has {length} bytes; a Unix socket takes {LONGEST_PATH}, write a shorter one"
        ));
    }
    if sort == "path" && path.contains('\0') {
        return Err("a path has no zero byte; write `unix:@name` for an abstract name".to_owned());
    }
    Ok(())
}

fn fd(number: &str) -> Result<(), String> {
    match number.parse::<i32>() {
        Ok(0..) => Ok(()),
        _ => Err(format!(
            "`{number}` is no descriptor; write a number as in `fd:3`"
        )),
    }
}

fn systemd(name: &str) -> Result<(), String> {
    let (name, index) = name.split_once(':').unwrap_or((name, "0"));
    if name.is_empty() {
        return Err("the name is empty; write the FileDescriptorName of the socket unit, as in `systemd:http`".to_owned());
    }
    match index.parse::<u16>() {
        Ok(_) => Ok(()),
        Err(_) => Err(format!(
            "`{index}` is no index; write a number as in `systemd:{name}:0`"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_an_endpoint_is_read() {
        for (text, family) in [
            ("127.0.0.1:7007", Family::Inet),
            ("0.0.0.0:0", Family::Inet),
            ("[::1]:80", Family::Inet),
            ("[fe80::1%eth0]:80", Family::Inet),
            ("localhost:80", Family::Inet),
            ("tcp://127.0.0.1:7007", Family::Only(Transport::Tcp)),
            ("udp://[::]:53", Family::Only(Transport::Udp)),
            ("unix:/run/x.sock", Family::Unix),
            ("unix:x.sock", Family::Unix),
            ("unix:@name", Family::Unix),
            ("/run/x.sock", Family::Unix),
            ("./x.sock", Family::Unix),
            ("@name", Family::Unix),
            (
                "unix-datagram:/run/x.sock",
                Family::Only(Transport::UnixDatagram),
            ),
            ("unix-datagram:@name", Family::Only(Transport::UnixDatagram)),
            ("fd:3", Family::Inherited),
            ("systemd:http", Family::Inherited),
            ("systemd:http:1", Family::Inherited),
            ("inetd", Family::Inherited),
        ] {
            assert_eq!(read(text), Ok(family), "{text}");
        }
    }

    #[test]
    fn what_can_never_work_is_refused() {
        let long = format!("unix:/{}", "x".repeat(107));
        for text in [
            "",
            ":80",
            "localhost",
            "127.0.0.1",
            "127.0.0.1:",
            "127.0.0.1:65536",
            "127.0.0.1:-1",
            "localhost:http",
            "::1",
            "::1:80x",
            "[::1]",
            "[::1:80",
            "[::g]:80",
            "256.0.0.1:80",
            "1.2.3:80",
            "a b:80",
            "*:80",
            "http://localhost:80",
            "unix:",
            "unix:@",
            "unix:a\0b",
            "fd:",
            "fd:-1",
            "fd:x",
            "systemd:",
            "systemd::1",
            "systemd:a:b",
            long.as_str(),
        ] {
            assert!(read(text).is_err(), "{text}");
        }
        assert!(read(&long[..long.len() - 1]).is_ok());
    }
}
