//! [`Inbox`]: what requests leave to the accept loop, which they wake for it.

use std::sync::Mutex;

use crate::requests::lock;

/// Filled by any thread, and emptied by one.
#[derive(Debug)]
pub(crate) struct Inbox<T>(Mutex<Vec<T>>);

impl<T> Default for Inbox<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Inbox<T> {
    pub(crate) fn push(&self, item: T) {
        lock(&self.0).push(item);
    }

    /// Takes all that is there; the lock is free when this returns.
    pub(crate) fn take(&self) -> Vec<T> {
        std::mem::take(&mut *lock(&self.0))
    }

    /// In a child: it is the parent's. If another thread held the lock at the fork it is locked for ever: only a server with
    /// workers uses it afterwards, and there no thread but the accepting one fills its parent's.
    pub(super) fn forget(&self) {
        if let Ok(mut items) = self.0.try_lock() {
            items.clear();
        }
    }
}
