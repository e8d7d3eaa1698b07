//! Who counts as one peer, and how many requests each has: one word beside each slot of the table.

use std::io;
use std::net::IpAddr;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::address::Address;
use crate::sys::shared::{Memory, Shared};

/// One peer for the limits: an IPv4 address, or the /64 network of an IPv6 address, which is what one customer gets
/// (RFC 6177) and can fill with as many addresses as he likes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Peer(NonZeroU64);

/// IPv4 peers stand in a part of the IPv6 space that nobody routes: 0:ffff::/32 of the reserved ::/8, RFC 4291.
const IPV4: u64 = 0xffff << 32;

impl Peer {
    /// Unix peers have no address to tell them apart by, so they are under no limit of their own.
    pub(crate) fn of(peer: &Address) -> Option<Self> {
        Some(Self::new(peer.ip()?))
    }

    fn new(address: IpAddr) -> Self {
        let network = match address.to_canonical() {
            IpAddr::V4(address) => IPV4 | u64::from(address.to_bits()),
            IpAddr::V6(address) => (address.to_bits() >> 64) as u64,
        };
        Self(NonZeroU64::new(network).unwrap_or(NonZeroU64::MIN)) // The network of `::1` would be zero.
    }

    pub(super) fn get(self) -> u64 {
        self.0.get()
    }
}

crate::sys::shared::shareable!(AtomicU64);

/// Whose request is in which slot; zero where there is none.
pub(super) struct Peers(Shared<AtomicU64>);

impl Peers {
    pub(super) fn new(memory: &mut Memory, slots: usize) -> io::Result<Self> {
        Ok(Self(memory.table(slots)?))
    }

    pub(super) fn set(&self, slot: u32, peer: Option<Peer>) {
        let peer = peer.map_or(0, Peer::get);
        self.0[slot as usize].store(peer, Ordering::Relaxed);
    }

    pub(super) fn clear(&self, slot: u32) {
        self.0[slot as usize].store(0, Ordering::Relaxed);
    }

    /// How many of the first `used` slots are this peer's: a scan, which for a thousand takes a tenth of a microsecond.
    pub(super) fn count(&self, peer: Peer, used: u32) -> usize {
        let used = &self.0[..used as usize];
        let own = used
            .iter()
            .filter(|slot| slot.load(Ordering::Relaxed) == peer.get());
        own.count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(text: &str) -> Peer {
        Peer::new(text.parse().expect("an address"))
    }

    #[test]
    fn a_peer_is_an_ipv4_address_or_a_64() {
        assert_ne!(peer("192.0.2.1"), peer("192.0.2.2"));
        assert_eq!(peer("::ffff:192.0.2.1"), peer("192.0.2.1"));
        assert_eq!(peer("2001:db8::1"), peer("2001:db8::ffff:0:0:1"));
        assert_ne!(peer("2001:db8::1"), peer("2001:db8:0:1::1"));
        assert_eq!(peer("::1"), peer("::2"));
        assert_ne!(peer("::1"), peer("0.0.0.0"));
        assert_eq!(Peer::of(&Address::Unnamed), None);
    }

    #[test]
    fn only_live_slots_count() {
        let peers = Peers::new(&mut Memory::default(), 8).expect("memory");
        let (one, two) = (peer("192.0.2.1"), peer("192.0.2.2"));
        peers.set(0, Some(one));
        peers.set(1, Some(two));
        peers.set(2, None);
        peers.set(3, Some(one));
        assert_eq!((peers.count(one, 4), peers.count(two, 4)), (2, 1));
        peers.clear(3);
        assert_eq!(peers.count(one, 4), 1);
    }
}
