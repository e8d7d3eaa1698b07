//! [`Slot`]: one live request in the table, as atomics that its own unit writes and the accept loop reads.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use crate::address::{Address, Kind};
use crate::error::Phase;
use crate::observer::Reason;
use crate::sys::clock::Tick;

/// One live request.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct Slot {
    pub(super) next_free: AtomicU32,
    /// Whether it counts as active: from `take` until it is settled.
    pub(super) live: AtomicBool,
    phase: AtomicU8,
    /// The code of the [`Reason`] why it ended.
    pub(crate) ended: AtomicU8,
    /// What carries it: a [`Kind`] and one, or zero.
    transport: AtomicU8,
    /// Its number for observers, until its end was told; zero if there are none.
    pub(super) request: AtomicU64,
    /// Since when its read waits for the peer, or zero.
    pub(crate) waiting: AtomicU64,
    /// Whether the handler took something from `rfile` since it last wrote.
    pub(crate) taken: AtomicBool,
    /// Why the accept loop shut its socket down.
    told: AtomicU8,
    /// How many `busy` guards are alive.
    pub(crate) busy: AtomicU32,
    pub(super) started: AtomicU64,
    /// When `request_timeout` ends it, or zero.
    expires: AtomicU64,
    pub(crate) bytes_in: AtomicU64,
    pub(crate) bytes_out: AtomicU64,
    /// An Internet peer: two halves of its address, then the port, with a bit that says that they are one.
    peer: [AtomicU64; 3],
    /// Whether the accepting process knows more of it: a Unix peer, or a socket.
    sided: AtomicBool,
}

/// The bit beside the port.
const IS_INET: u64 = 1 << 32;

crate::sys::shared::shareable!(Slot);

/// Why a request's socket was shut down by the accept loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Told {
    /// It was not.
    No = 0,
    /// A shutdown: it sees end-of-file.
    Shutdown,
    /// Silence right after connecting.
    FirstByte,
    /// `request_timeout`.
    Request,
    /// A shutdown whose grace is over.
    Cut,
}

/// How a request ended, as far as the counters tell it apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Not by itself: its child process died, or it is still alive.
    Not,
    Finished,
    Failed,
}

/// A code of `ended` that counts as neither finished nor failed.
pub(super) const REFUSED: u8 = u8::MAX;

impl Slot {
    /// Whether its handler owes nothing and waits for the peer: such a request may end at any time.
    pub(crate) fn is_idle(&self) -> bool {
        // Pairs with the handler's own stores, which come before its `waiting`.
        self.waiting.load(Ordering::SeqCst) != 0 && self.owes_nothing()
    }

    pub(crate) fn owes_nothing(&self) -> bool {
        !self.taken.load(Ordering::Relaxed) && self.busy.load(Ordering::Acquire) == 0
    }

    pub(crate) fn told(&self) -> Told {
        match self.told.load(Ordering::Acquire) {
            1 => Told::Shutdown,
            2 => Told::FirstByte,
            3 => Told::Request,
            4 => Told::Cut,
            _ => Told::No,
        }
    }

    pub(crate) fn tell(&self, why: Told) {
        self.told.store(why as u8, Ordering::Release); // Before the socket is shut down, so whoever wakes finds it.
    }

    /// When `first_byte_timeout` ends it, if its peer has said nothing yet.
    pub(crate) fn silent_until(&self, now: Tick, timeout: Duration) -> Option<Tick> {
        if self.bytes_in.load(Ordering::Relaxed) > 0 {
            return None;
        }
        match self.waiting.load(Ordering::SeqCst) {
            0 => Some(now.after(timeout)), // Its handler does something else: look again.
            waiting => Some(Tick(waiting).after(timeout)),
        }
    }

    pub(super) fn ended(&self) -> Ended {
        match Reason::from_code(self.ended.load(Ordering::Acquire)) {
            Some(Reason::Finished) => Ended::Finished,
            Some(_) => Ended::Failed,
            None => Ended::Not,
        }
    }

    /// An observer is about to be told of the request's start.
    pub(super) fn start(&self, request: u64, now: Tick, transport: Option<Kind>) {
        let transport = transport.map_or(0, |kind| kind as u8 + 1);
        self.transport.store(transport, Ordering::Relaxed);
        self.started.store(now.0, Ordering::Relaxed);
        self.request.store(request, Ordering::Release);
    }

    pub(super) fn transport(&self) -> Option<Kind> {
        let all = [Kind::Tcp, Kind::Udp, Kind::Unix, Kind::UnixDatagram];
        let transport = self.transport.load(Ordering::Relaxed).checked_sub(1)?;
        all.get(usize::from(transport)).copied()
    }

    pub(crate) fn set_phase(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    pub(super) fn phase(&self) -> Phase {
        const ALL: [Phase; 6] = [
            Phase::Verify,
            Phase::Dispatch,
            Phase::Setup,
            Phase::Handle,
            Phase::Finish,
            Phase::Reply,
        ];
        ALL.get(usize::from(self.phase.load(Ordering::Relaxed)))
            .copied()
            .unwrap_or(Phase::Close)
    }

    pub(crate) fn expires(&self) -> Option<Tick> {
        Some(self.expires.load(Ordering::Relaxed))
            .filter(|&at| at != 0)
            .map(Tick)
    }

    pub(crate) fn add(counter: &AtomicU64, bytes: usize) {
        // Each counter has one writer, so no atomic addition is needed; two halves of a split stream write different ones.
        counter.store(
            counter.load(Ordering::Relaxed) + bytes as u64,
            Ordering::Relaxed,
        );
    }

    /// Makes the slot ready for a request; returns whether it could remember the peer.
    pub(super) fn reset(&self, timeout: Option<Duration>, peer: &Address) -> bool {
        let now = Tick::coarse();
        let expires = timeout.map_or(0, |timeout| now.after(timeout).0);
        self.phase.store(Phase::Verify as u8, Ordering::Relaxed);
        self.ended.store(0, Ordering::Relaxed);
        self.request.store(0, Ordering::Relaxed);
        self.waiting.store(0, Ordering::Relaxed);
        self.taken.store(false, Ordering::Relaxed);
        self.told.store(Told::No as u8, Ordering::Relaxed);
        self.busy.store(0, Ordering::Relaxed);
        self.started.store(now.0, Ordering::Relaxed);
        self.expires.store(expires, Ordering::Relaxed);
        self.bytes_in.store(0, Ordering::Relaxed);
        self.bytes_out.store(0, Ordering::Relaxed);
        let remembered = self.set_peer(peer);
        self.live.store(true, Ordering::Release); // Publishes the stores above to who scans the table.
        remembered
    }

    fn set_peer(&self, peer: &Address) -> bool {
        let Some(inet) = peer.as_inet() else {
            self.peer[2].store(0, Ordering::Relaxed);
            return false;
        };
        let ip = match inet.ip() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        let bits = ip.to_bits();
        self.peer[0].store((bits >> 64) as u64, Ordering::Relaxed);
        self.peer[1].store(bits as u64, Ordering::Relaxed);
        self.peer[2].store(u64::from(inet.port()) | IS_INET, Ordering::Relaxed);
        true
    }

    /// The peer, if it is an Internet one.
    pub(super) fn peer(&self) -> Option<Address> {
        let [high, low, port] = [0, 1, 2].map(|part| self.peer[part].load(Ordering::Relaxed));
        let ip = Ipv6Addr::from_bits((u128::from(high) << 64) | u128::from(low));
        (port & IS_INET != 0).then(|| Address::from(SocketAddr::new(ip.into(), port as u16)))
    }

    pub(super) fn set_side(&self, sided: bool) {
        self.sided.store(sided, Ordering::Relaxed);
    }

    pub(super) fn has_side(&self) -> bool {
        self.sided.load(Ordering::Relaxed)
    }
}
