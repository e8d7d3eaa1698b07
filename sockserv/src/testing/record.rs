//! [`Record`]: what became of a request that ran in memory.

use std::sync::{Arc, Mutex};

use crate::error::RequestError;
use crate::observer::{Event, Observer, Reason};
use crate::requests::lock;

/// What became of a request that ran in memory.
#[derive(Debug)]
pub struct Record {
    written: Vec<u8>,
    seen: Seen,
}

impl Record {
    pub(super) fn new(written: Vec<u8>, witness: &Witness) -> Self {
        Self {
            written,
            seen: std::mem::take(&mut lock(&witness.0)),
        }
    }

    /// Returns all that the handler sent.
    #[must_use]
    pub fn written(&self) -> &[u8] {
        &self.written
    }

    /// Returns all that the handler sent, as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.written).into_owned()
    }

    /// Returns the first thing that went wrong, with its phase: what `handle_error` was told.
    #[must_use]
    pub fn error(&self) -> Option<&RequestError> {
        self.seen.error.as_ref()
    }

    /// Returns why the request ended.
    ///
    /// # Panics
    ///
    /// Never: every request has an end.
    #[must_use]
    pub fn reason(&self) -> Reason {
        self.seen.reason.expect("every request has an end")
    }
}

/// What an observer of the request was told.
#[derive(Debug, Default)]
struct Seen {
    error: Option<RequestError>,
    reason: Option<Reason>,
}

/// The observer.
#[derive(Clone, Default)]
pub(super) struct Witness(Arc<Mutex<Seen>>);

impl Observer for Witness {
    fn observe(&self, event: &Event<'_>) {
        let mut seen = lock(&self.0);
        match event {
            Event::Failed { error, .. } if seen.error.is_none() => {
                seen.error = Some((*error).clone());
            }
            Event::Stopped(stop) => seen.reason = Some(stop.reason),
            _ => {}
        }
    }
}
