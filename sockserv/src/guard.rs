//! The one place where a panic of the user's code is caught.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use crate::error::{Outcome, Phase, RequestError};

/// What unwinds a child from the middle of `handle`, once it has finished the rest of the request. Not a panic.
pub(crate) struct ChildIsDone;

/// Runs user's code and returns what it failed with, a panic included.
///
/// `AssertUnwindSafe`: after a panic only `finish` and `handle_error` see the handler again, and their documentation says
/// that its state may be half-changed.
pub(crate) fn guard(phase: Phase, call: impl FnOnce() -> Outcome) -> Result<(), RequestError> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(outcome) => outcome.map_err(|error| RequestError::new(phase, error)),
        Err(payload) if payload.is::<ChildIsDone>() => Ok(()),
        Err(payload) => {
            let error = RequestError::panic(phase, &*payload);
            discard(payload);
            Err(error)
        }
    }
}

/// Runs user's code whose value is wanted.
pub(crate) fn guard_value<T>(phase: Phase, call: impl FnOnce() -> T) -> Result<T, RequestError> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|payload| {
        let error = RequestError::panic(phase, &*payload);
        discard(payload);
        error
    })
}

/// A panic of the user's code that goes on when somebody has been told.
#[cfg(feature = "rpc")]
pub(crate) struct Panic(Box<dyn std::any::Any + Send>);

#[cfg(feature = "rpc")]
impl Panic {
    /// Runs user's code that somebody waits for. [`guard`] catches the panic when it goes on.
    pub(crate) fn caught<T>(call: impl FnOnce() -> T) -> Result<T, Self> {
        catch_unwind(AssertUnwindSafe(call)).map_err(Self)
    }

    pub(crate) fn go_on(self) -> ! {
        resume_unwind(self.0)
    }
}

/// Leaves the user's frames in a child whose request is finished.
pub(crate) fn leave_handler() -> ! {
    resume_unwind(Box::new(ChildIsDone))
}

/// Drops what somebody panicked with; should even that panic, it is forgotten.
fn discard(payload: Box<dyn std::any::Any + Send>) {
    if let Err(second) = catch_unwind(AssertUnwindSafe(move || drop(payload))) {
        std::mem::forget(second);
    }
}
