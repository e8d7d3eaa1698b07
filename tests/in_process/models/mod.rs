//! Own models of two methods, and of more: what holds under ours holds under them. F37.

mod listeners;
mod more_methods;
mod two_methods;

use crate::Test;

pub(crate) fn tests() -> Vec<Test> {
    [
        two_methods::tests(),
        more_methods::tests(),
        listeners::tests(),
    ]
    .concat()
}

pub(crate) fn alone() -> Vec<Test> {
    [two_methods::alone(), more_methods::alone()].concat()
}
