//! `min_rate`: how long a peer may keep a handler waiting for the bytes that it sends, or takes.
//!
//! Only waiting counts. The time in which a handler does something else is not its peer's fault.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::sys::clock::Tick;

/// What each exchange, and each write, may wait before its rate counts: enough for a handshake over the worst of links.
const GRACE: Duration = Duration::from_secs(5);

/// What a peer sent, or took, and how long it was waited for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pace {
    pub(super) waited: Duration,
    pub(super) bytes: u64,
    /// Since when a peer is waited for that no thread waits for.
    pub(super) unattended: Option<Tick>,
}

impl Pace {
    /// How much longer the peer may be waited for.
    pub(super) fn left(self, min_rate: u64) -> Duration {
        let nanos = (u128::from(self.bytes) * 1_000_000_000).checked_div(u128::from(min_rate));
        let earned = nanos
            .and_then(|nanos| u64::try_from(nanos).ok())
            .map_or(Duration::MAX, Duration::from_nanos);
        GRACE.saturating_add(earned).saturating_sub(self.waited)
    }
}

/// What the peer has sent since the handler last wrote.
///
/// Two halves of a split stream may come here at once; no more than one exchange is then measured inexactly.
#[derive(Debug)]
pub(super) struct Exchange {
    /// Zero is none.
    min_rate: u64,
    waited: AtomicU64,
    bytes: AtomicU64,
}

impl Exchange {
    pub(super) fn new(min_rate: Option<u64>) -> Self {
        Self {
            min_rate: min_rate.unwrap_or(0),
            waited: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        }
    }

    pub(super) fn min_rate(&self) -> Option<u64> {
        Some(self.min_rate).filter(|&rate| rate != 0)
    }

    /// A read begins; returns when, and when it will be late, if it is in the middle of an exchange. An idle one is not.
    pub(super) fn begin(&self, taken: bool) -> Option<(Tick, Tick)> {
        let min_rate = self.min_rate()?;
        let pace = Pace {
            waited: Duration::from_nanos(self.waited.load(Ordering::Relaxed)),
            bytes: self.bytes.load(Ordering::Relaxed),
            unattended: None,
        };
        // The beginning may have come together with the request before, and is then in the buffer already.
        (taken || pace.bytes > 0).then(|| {
            let now = Tick::now();
            (now, now.after(pace.left(min_rate)))
        })
    }

    /// The read that began then has ended.
    pub(super) fn waited(&self, began: Tick) {
        let waited = self.waited.load(Ordering::Relaxed);
        self.waited.store(
            waited + Tick::now().since(began).as_nanos() as u64,
            Ordering::Relaxed,
        );
    }

    pub(super) fn received(&self, count: usize) {
        if self.min_rate != 0 {
            let bytes = self.bytes.load(Ordering::Relaxed);
            self.bytes.store(bytes + count as u64, Ordering::Relaxed);
        }
    }

    /// The handler answers: what comes next belongs to another exchange.
    pub(super) fn end(&self) {
        if self.min_rate != 0 {
            self.waited.store(0, Ordering::Relaxed);
            self.bytes.store(0, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn bytes_earn_time_and_waiting_takes_it() {
        let left = |waited, bytes, rate| {
            Pace {
                waited,
                bytes,
                unattended: None,
            }
            .left(rate)
        };
        assert_eq!(left(Duration::ZERO, 0, 1024), GRACE);
        assert_eq!(left(2 * SECOND, 0, 1024), 3 * SECOND);
        assert_eq!(left(2 * SECOND, 4096, 1024), 7 * SECOND);
        assert_eq!(left(9 * SECOND, 4096, 1024), Duration::ZERO);
        assert_eq!(left(10 * SECOND, 4096, 1024), Duration::ZERO);
        assert_eq!(left(6 * SECOND, 1, u64::MAX), Duration::ZERO);
        // No sum overflows.
        assert_eq!(left(Duration::ZERO, u64::MAX, 1), Duration::MAX);
    }

    #[test]
    fn an_idle_peer_is_in_no_exchange() {
        let exchange = Exchange::new(Some(10));
        assert_eq!(exchange.begin(false), None);
        exchange.received(20);
        let (began, late) = exchange.begin(false).expect("something came");
        assert_eq!(late.since(began), 7 * SECOND);
        exchange.end();
        assert_eq!(exchange.begin(false), None, "it was answered");
        let (began, late) = exchange.begin(true).expect("its beginning came before");
        assert_eq!(late.since(began), GRACE);
        let unlimited = Exchange::new(None);
        unlimited.received(20);
        assert_eq!(unlimited.begin(true), None);
    }
}
