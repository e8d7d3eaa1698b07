//! [`Peer`]: an address in memory that processes share.

use std::ffi::OsStr;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::address::Address;

/// How many words of eight bytes a Unix name can have: `sun_path` has 108 bytes, unix(7).
const WORDS: usize = 14;

/// The address of a request's peer: what it is, and then its bytes.
#[derive(Debug, Default)]
#[repr(C)]
pub(super) struct Peer {
    /// One of the kinds below, the length or the port above it.
    head: AtomicU64,
    words: [AtomicU64; WORDS],
}

const UNNAMED: u64 = 0;
const INET: u64 = 1;
const PATH: u64 = 2;
const ABSTRACT: u64 = 3;

/// What makes an IPv4 address a mapped one: RFC 4291, section 2.5.5.2.
const MAPPED: u64 = 0xffff << 32;

/// What stands beside the kind begins at this bit.
const BESIDE: u32 = 8;

impl Peer {
    pub(super) fn set(&self, peer: &Address) {
        let (kind, beside) = match peer {
            Address::Inet(inet) => {
                self.set_ip(inet.ip());
                self.set_scope(inet);
                (INET, u64::from(inet.port()))
            }
            Address::Unix(path) => (PATH, self.set_name(path.as_os_str().as_bytes())),
            Address::Abstract(name) => (ABSTRACT, self.set_name(name)),
            Address::Unnamed => (UNNAMED, 0),
        };
        self.head.store(kind | beside << BESIDE, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> Address {
        let head = self.head.load(Ordering::Relaxed);
        let (kind, beside) = (head & ((1 << BESIDE) - 1), head >> BESIDE);
        match kind {
            INET => Address::from(self.inet(beside as u16)),
            PATH => Address::Unix(PathBuf::from(OsStr::from_bytes(&self.name(beside)))),
            ABSTRACT => Address::Abstract(self.name(beside)),
            _ => Address::Unnamed,
        }
    }

    fn set_ip(&self, ip: IpAddr) {
        let (high, low) = match ip {
            IpAddr::V4(ip) => (0, MAPPED | u64::from(ip.to_bits())),
            IpAddr::V6(ip) => ((ip.to_bits() >> 64) as u64, ip.to_bits() as u64),
        };
        self.words[0].store(high, Ordering::Relaxed);
        self.words[1].store(low, Ordering::Relaxed);
    }

    fn set_scope(&self, inet: &SocketAddr) {
        let scope = match inet {
            SocketAddr::V4(_) => 0,
            SocketAddr::V6(v6) => v6.scope_id(),
        };
        self.words[2].store(u64::from(scope), Ordering::Relaxed);
    }

    fn inet(&self, port: u16) -> SocketAddr {
        let [high, low, scope] = [0, 1, 2].map(|word| self.words[word].load(Ordering::Relaxed));
        let ip = Ipv6Addr::from_bits((u128::from(high) << 64) | u128::from(low));
        SocketAddrV6::new(ip, port, 0, scope as u32).into()
    }

    /// Returns the length. What no socket can have as its name is cut off.
    fn set_name(&self, name: &[u8]) -> u64 {
        let name = &name[..name.len().min(WORDS * 8)];
        for (word, bytes) in self.words.iter().zip(name.chunks(8)) {
            let mut padded = [0; 8];
            padded[..bytes.len()].copy_from_slice(bytes);
            word.store(u64::from_ne_bytes(padded), Ordering::Relaxed);
        }
        name.len() as u64
    }

    fn name(&self, length: u64) -> Vec<u8> {
        let words = self.words.iter().map(|word| word.load(Ordering::Relaxed));
        let mut name: Vec<u8> = words.flat_map(u64::to_ne_bytes).collect();
        name.truncate(length as usize);
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_address_is_remembered() {
        let inet = |text: &str| Address::from(text.parse::<SocketAddr>().expect("it is one"));
        let long = "/".repeat(108);
        let addresses = [
            inet("127.0.0.1:7007"),
            inet("[2001:db8::1]:65535"),
            inet("[fe80::1%3]:7007"),
            Address::Unix(PathBuf::from("/run/x.sock")),
            Address::Unix(PathBuf::from(long)),
            Address::Abstract(b"name\0with\xffbytes".to_vec()),
            Address::Abstract(Vec::new()),
            Address::Unnamed,
        ];
        let peer = Peer::default();
        for address in addresses {
            peer.set(&address);
            assert_eq!(peer.get(), address);
        }
    }
}
