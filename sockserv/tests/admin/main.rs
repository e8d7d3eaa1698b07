//! The operator's endpoint, asked by plain clients.

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

mod client;
mod health;

fn main() -> ExitCode {
    let tests = health::tests().into_iter().map(|(name, test)| {
        Trial::test(name, move || {
            test();
            Ok(())
        })
    });
    libtest_mimic::run(&Arguments::from_args(), tests.collect()).exit_code()
}

/// A test by its name.
type Test = (&'static str, fn());
