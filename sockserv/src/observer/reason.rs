//! [`Reason`]: why a request ended; and [`Refusal`]: why it never began.

use std::fmt;

use crate::error::{RequestError, Timeout};
use crate::named::{Named, named};

/// Why a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// All methods of its handler returned without an error, and all that they wrote was sent.
    Finished,
    /// One of them returned an error, the reply could not be sent, or the request could not be dispatched.
    Failed,
    /// One of them panicked.
    Panicked,
    /// Its peer left in the middle.
    Disconnected,
    /// A deadline passed.
    TimedOut(Timeout),
    /// A shutdown cut it, or left it behind.
    Cut,
    /// Its process ended by itself: a crash, an `exit`, a signal from elsewhere.
    Exited,
}

impl Reason {
    pub(crate) fn of(error: &RequestError) -> Self {
        match error.timeout() {
            _ if error.is_panic() => Self::Panicked,
            _ if error.is_cut() => Self::Cut,
            Some(timeout) => Self::TimedOut(timeout),
            None if error.is_disconnect() => Self::Disconnected,
            None => Self::Failed,
        }
    }

    /// Returns its name, which does not change: a label for metrics, a word in the access log.
    ///
    /// `finished`, `failed`, `panicked`, `disconnected`, `cut`, `exited`, or the name of the option that timed out with
    /// what waited: `first_byte_timeout`, `read_timeout`, `write_timeout`, `request_timeout`, `min_rate`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::Failed => "failed",
            Self::Panicked => "panicked",
            Self::Disconnected => "disconnected",
            Self::TimedOut(timeout) => timeout.word(),
            Self::Cut => "cut",
            Self::Exited => "exited",
        }
    }

    /// A number for the table of requests, where zero is none at all.
    #[inline]
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Finished => 1,
            Self::Failed => 2,
            Self::Panicked => 3,
            Self::Disconnected => 4,
            Self::Cut => 5,
            Self::Exited => 6,
            Self::TimedOut(timeout) => TIMEOUTS + timeout as u8,
        }
    }

    pub(crate) fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            1 => Self::Finished,
            2 => Self::Failed,
            3 => Self::Panicked,
            4 => Self::Disconnected,
            5 => Self::Cut,
            6 => Self::Exited,
            _ => Self::TimedOut(Timeout::from_number(code.checked_sub(TIMEOUTS)?)?),
        })
    }
}

/// Codes of deadlines begin here.
const TIMEOUTS: u8 = 16;

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

named! {
    /// Why a peer was turned away.
    ///
    /// The order is the one in which they are asked: what costs less comes first.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum Refusal {
        /// The lists `allow` and `deny` say that it may not come at all. Closed without a word.
        Access = "access",
        /// It comes more often than `accept_rate` allows. Told so by the `banner`, if there is one.
        Rate = "rate",
        /// It has `max_connections_per_peer` requests already. Told so by the `banner`.
        PerPeer = "per_peer",
        /// `max_connections` requests are alive, and `on_full` is [`Refuse`](crate::OnFull::Refuse). Told so by the `banner`.
        Full = "full",
        /// [`verify_request`](crate::Hooks::verify_request) said no, or panicked. Closed without a word.
        Verify = "verify",
    }
}

impl Refusal {
    /// Whether the peer may know why: one that may not come at all is told nothing.
    pub(crate) fn is_told(self) -> bool {
        match self {
            Self::Rate | Self::PerPeer | Self::Full => true,
            Self::Access | Self::Verify => false,
        }
    }

    /// Returns its name, which does not change: `access`, `rate`, `per_peer`, `full` or `verify`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.word()
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_code() {
        let plain = [
            Reason::Finished,
            Reason::Failed,
            Reason::Panicked,
            Reason::Disconnected,
            Reason::Cut,
            Reason::Exited,
        ];
        let timeouts = Timeout::ALL.iter().copied().map(Reason::TimedOut);
        for reason in plain.into_iter().chain(timeouts) {
            assert_eq!(Reason::from_code(reason.code()), Some(reason));
        }
        assert_eq!(Reason::from_code(0), None);
        assert_eq!(Reason::from_code(u8::MAX), None);
    }
}
