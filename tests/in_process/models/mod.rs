//! Own models of two methods, and of more: what holds under ours holds under them. F37.

mod held;
mod listeners;
mod more_methods;
mod panics;
mod refuses;
mod two_methods;

use crate::Test;

pub(crate) fn tests() -> Vec<Test> {
    [
        held::tests(),
        two_methods::tests(),
        more_methods::tests(),
        listeners::tests(),
        panics::tests(),
        refuses::tests(),
    ]
    .concat()
}

pub(crate) fn alone() -> Vec<Test> {
    [two_methods::alone(), more_methods::alone()].concat()
}
