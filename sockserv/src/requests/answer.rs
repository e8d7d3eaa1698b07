//! Answers SIGUSR1 under `sync`, while a request occupies the only thread.

use std::fmt;
use std::sync::OnceLock;

use crate::requests::Requests;
use crate::signals::Signals;

/// Nothing until [`run`](crate::Server::run) serves.
#[derive(Default)]
pub(super) struct Answer(OnceLock<Box<dyn Fn() + Send + Sync>>);

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").finish_non_exhaustive()
    }
}

impl Requests {
    /// Sets what [`answer`](Self::answer) calls, once and for all.
    pub(crate) fn set_answer(&self, answer: impl Fn() + Send + Sync + 'static) {
        // A server runs once: `run` takes it.
        let _ = self.answer.0.set(Box::new(answer));
    }

    /// Answers SIGUSR1, if it came.
    pub(crate) fn answer(&self) {
        if let Some(answer) = self.answer.0.get()
            && self.is_main()
            && Signals::take_question()
        {
            answer();
        }
    }
}
