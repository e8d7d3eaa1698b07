//! [`Network`]: an IP network as one writes it, and what is wrong with one that cannot be read.

use std::error::Error;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;
use std::{fmt, io};

use ipnet::{IpNet, Ipv4Net};

/// How many bits of a v4-mapped IPv6 address come before the IPv4 address: RFC 4291, section 2.5.5.2.
pub(super) const MAPPED: u8 = 96;

/// An IP network: what the options `allow` and `deny` name.
///
/// A plain address is the network of this one address. Bits behind the prefix do not matter: `10.1.2.3/8` is `10.0.0.0/8`.
/// A network of v4-mapped IPv6 addresses is the IPv4 network that it is, as peers are shown as IPv4 too; otherwise the two
/// families are apart: no IPv4 peer is in `::/0`.
///
/// # Examples
///
/// ```
/// use sockserv::Network;
///
/// let office: Network = "192.0.2.0/24".parse()?;
/// assert!(office.contains([192, 0, 2, 7]));
/// assert_eq!("192.0.2.7".parse::<Network>()?.to_string(), "192.0.2.7/32");
/// assert_eq!("::ffff:192.0.2.9/120".parse::<Network>()?, office);
/// # Ok::<(), sockserv::NetworkError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Network(IpNet);

impl Network {
    /// Returns whether an address is in this network.
    #[must_use]
    pub fn contains(&self, address: impl Into<IpAddr>) -> bool {
        self.0.contains(&address.into().to_canonical())
    }

    /// Returns how many bits of an address the network fixes: the longer, the better the match.
    #[must_use]
    pub fn prefix_len(&self) -> u8 {
        self.0.prefix_len()
    }

    /// Returns the first address of the network.
    #[must_use]
    pub fn addr(&self) -> IpAddr {
        self.0.network()
    }

    /// An address in the family of its network, or `None` if the prefix is too long for it.
    pub(super) fn new(address: IpAddr, prefix: u8) -> Option<Self> {
        let network = IpNet::new(address, prefix).ok()?.trunc();
        Some(Self(match network {
            IpNet::V6(mapped) if prefix >= MAPPED => match mapped.addr().to_ipv4_mapped() {
                Some(address) => Ipv4Net::new(address, prefix - MAPPED).ok()?.into(),
                None => network,
            },
            _ => network,
        }))
    }

    pub(super) fn is_ipv4(&self) -> bool {
        matches!(self.0, IpNet::V4(_))
    }

    /// The first address as 128 bits, an IPv4 address as its v4-mapped form.
    pub(super) fn bits(&self) -> u128 {
        bits(self.addr())
    }
}

/// An address as 128 bits.
pub(super) fn bits(address: IpAddr) -> u128 {
    let address: Ipv6Addr = match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    };
    address.to_bits()
}

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        Self(IpNet::from(address.to_canonical()))
    }
}

crate::options::one_network!(Network);

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let network = match text.split_once('/') {
            None => text.parse().ok().map(|address: IpAddr| address.into()),
            Some((address, prefix)) => parse(address, prefix),
        };
        network.ok_or_else(|| NetworkError(Wrong::Text(text.to_owned())))
    }
}

fn parse(address: &str, prefix: &str) -> Option<Network> {
    // `parse` would take a sign.
    let digits = prefix.bytes().all(|byte| byte.is_ascii_digit());
    let prefix = digits.then(|| prefix.parse().ok())?;
    Network::new(address.parse().ok()?, prefix?)
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What is wrong with the networks of `allow` or `deny`. As an [`io::Error`] it is `InvalidInput`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkError(Wrong);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Wrong {
    Text(String),
    TooMany(usize),
}

impl NetworkError {
    pub(super) fn too_many(count: usize) -> Self {
        Self(Wrong::TooMany(count))
    }
}

impl fmt::Display for NetworkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Wrong::Text(text) => write!(
                f,
                "`{text}` is no network; write `192.0.2.0/24`, `2001:db8::/32` or a plain address"
            ),
            Wrong::TooMany(count) => write!(
                f,
                "{count} networks in `allow` and `deny` are too many; write at most {}",
                super::access::MAX_NETWORKS
            ),
        }
    }
}

impl Error for NetworkError {}

impl From<NetworkError> for io::Error {
    fn from(error: NetworkError) -> Self {
        Self::new(io::ErrorKind::InvalidInput, error)
    }
}
