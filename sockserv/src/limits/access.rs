//! [`Access`]: who may come at all, as lists that all processes of a server read while one of them replaces them.
//!
//! The rules stand in shared memory, twice. A writer fills the half that is not read and then publishes it by one store,
//! so that a process that dies in the middle leaves the old rules in force. A reader that finds another version published
//! when it has read may have seen a third one being written, and reads again.

use std::cmp::Reverse;
use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::thread;
use std::time::{Duration, Instant};

use crate::limits::network::{MAPPED, Network, NetworkError, bits};
use crate::sys::shared::{Memory, Shared};

/// How many networks both lists may name together: they are compared one by one for each peer, which takes a microsecond
/// or two then. Who has more has a firewall.
pub(super) const MAX_NETWORKS: usize = 1024;

/// How long a writer waits for another: a thousand times as long as one takes. Then that process has died in the middle.
const WRITER_WAIT: Duration = Duration::from_secs(1);

/// One of the two lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum List {
    Allow,
    Deny,
}

/// The lists of one server.
pub(super) struct Access {
    head: Shared<Head>,
    rules: Shared<Cell>,
}

#[derive(Default)]
#[repr(C)]
struct Head {
    /// The version in the upper half, which also says which half of the rules is in force; their number in the lower half.
    published: AtomicU64,
    /// Not zero while somebody writes.
    writer: AtomicU64,
}

crate::sys::shared::shareable!(Head);

/// A rule as it stands in shared memory.
#[derive(Default)]
#[repr(C)]
struct Cell {
    high: AtomicU64,
    low: AtomicU64,
    /// The prefix, and the two bits below.
    kind: AtomicU64,
}

crate::sys::shared::shareable!(Cell);

const DENY: u64 = 1 << 8;
const IPV4: u64 = 1 << 9;

/// A network, and which list names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rule {
    bits: u128,
    /// Counted as in IPv6.
    prefix: u8,
    is_ipv4: bool,
    list: List,
}

impl Rule {
    fn new(network: Network, list: List) -> Self {
        Self {
            bits: network.bits(),
            prefix: network.prefix_len() + if network.is_ipv4() { MAPPED } else { 0 },
            is_ipv4: network.is_ipv4(),
            list,
        }
    }

    fn network(self) -> Option<Network> {
        let address = std::net::Ipv6Addr::from_bits(self.bits);
        Network::new(address.into(), self.prefix)
    }

    fn matches(self, bits: u128, is_ipv4: bool) -> bool {
        let differs = (self.bits ^ bits)
            .checked_shr(128 - u32::from(self.prefix))
            .unwrap_or(0);
        self.is_ipv4 == is_ipv4 && differs == 0
    }
}

/// Whether an address may come, by rules of which the better ones are first.
fn allows(rules: impl Iterator<Item = Rule>, address: IpAddr) -> bool {
    let (is_ipv4, bits) = (address.is_ipv4(), bits(address));
    let mut allowed = true;
    for rule in rules {
        if rule.matches(bits, is_ipv4) {
            return rule.list == List::Allow;
        }
        allowed &= rule.list == List::Deny; // Where somebody is named who may come, the others may not.
    }
    allowed
}

/// Puts a rule among others, the better ones first: the longer prefix, and of two equal networks the one that refuses.
fn insert(rules: &mut Vec<Rule>, new: Rule) {
    let order = |rule: &Rule| {
        let (allowed, family) = (rule.list == List::Allow, rule.is_ipv4);
        (Reverse(rule.prefix), rule.bits, family, allowed)
    };
    if let Err(place) = rules.binary_search_by_key(&order(&new), order) {
        rules.insert(place, new);
    }
}

impl Access {
    pub(super) fn new(memory: &mut Memory) -> io::Result<Self> {
        Ok(Self {
            head: memory.table(1)?,
            rules: memory.table(2 * MAX_NETWORKS)?,
        })
    }

    /// Whether this peer may come at all.
    pub(super) fn allows(&self, peer: IpAddr) -> bool {
        // Without rules, as nearly always, this is all.
        self.head[0].published.load(Ordering::Acquire) as u32 == 0 || self.rules_allow(peer)
    }

    #[inline(never)]
    fn rules_allow(&self, peer: IpAddr) -> bool {
        self.read(|rules| allows(rules.iter().map(Cell::load), peer.to_canonical()))
    }

    /// The networks of one list, the better ones first.
    pub(super) fn list(&self, list: List) -> Vec<Network> {
        let rules = self.read(|rules| rules.iter().map(Cell::load).collect::<Vec<_>>());
        let rules = rules.into_iter().filter(|rule| rule.list == list);
        rules.filter_map(Rule::network).collect()
    }

    /// Replaces one list; the other stays.
    pub(super) fn replace(&self, list: List, networks: &[Network]) -> Result<(), NetworkError> {
        let Head { published, writer } = &self.head[0];
        self.begin_writing();
        let head = published.load(Ordering::Acquire);
        let kept = self.half(head).iter().map(Cell::load);
        let kept = kept.filter(|rule| rule.list != list);
        let new = networks.iter().map(|network| Rule::new(*network, list));
        let mut rules = kept.collect();
        new.for_each(|rule| insert(&mut rules, rule));
        let result = self.publish(head, &rules);
        writer.store(0, Ordering::Release); // Pairs with the acquire of the next writer.
        result
    }

    fn publish(&self, head: u64, rules: &[Rule]) -> Result<(), NetworkError> {
        if rules.len() > MAX_NETWORKS {
            return Err(NetworkError::too_many(rules.len()));
        }
        let next = ((head >> 32).wrapping_add(1) << 32) | rules.len() as u64;
        // Pairs with the reader's fence: who sees one of the stores below sees `head`, which is no longer what he began with.
        fence(Ordering::Release);
        for (cell, rule) in self.half(next).iter().zip(rules) {
            cell.store(*rule);
        }
        self.head[0].published.store(next, Ordering::Release);
        Ok(())
    }

    fn begin_writing(&self) {
        let writer = &self.head[0].writer;
        let until = Instant::now() + WRITER_WAIT;
        loop {
            let free = writer.compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed);
            if free.is_ok() || Instant::now() > until {
                return;
            }
            thread::yield_now();
        }
    }

    /// The rules that a head names.
    fn half(&self, head: u64) -> &[Cell] {
        let (version, count) = ((head >> 32) as usize, head as u32 as usize);
        let begin = (version % 2) * MAX_NETWORKS;
        &self.rules[begin..begin + count.min(MAX_NETWORKS)]
    }

    /// Reads the rules in force as often as somebody replaces them meanwhile.
    fn read<T>(&self, read: impl Fn(&[Cell]) -> T) -> T {
        let published = &self.head[0].published;
        loop {
            let head = published.load(Ordering::Acquire);
            let value = read(self.half(head));
            fence(Ordering::Acquire); // Pairs with the writer's: what was read is looked at before the version is.
            if published.load(Ordering::Relaxed) == head {
                return value;
            }
        }
    }
}

impl Cell {
    fn load(&self) -> Rule {
        let [high, low, kind] =
            [&self.high, &self.low, &self.kind].map(|part| part.load(Ordering::Relaxed));
        Rule {
            bits: (u128::from(high) << 64) | u128::from(low),
            prefix: kind as u8,
            is_ipv4: kind & IPV4 != 0,
            list: if kind & DENY != 0 {
                List::Deny
            } else {
                List::Allow
            },
        }
    }

    fn store(&self, rule: Rule) {
        let deny = if rule.list == List::Deny { DENY } else { 0 };
        let ipv4 = if rule.is_ipv4 { IPV4 } else { 0 };
        self.high.store((rule.bits >> 64) as u64, Ordering::Relaxed);
        self.low.store(rule.bits as u64, Ordering::Relaxed);
        let kind = u64::from(rule.prefix) | deny | ipv4;
        self.kind.store(kind, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
