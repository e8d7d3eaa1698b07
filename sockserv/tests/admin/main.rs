//! The operator's endpoint, asked by plain clients.

use std::env;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

mod client;
mod health;
mod models;
mod numbers;
mod refusing;
mod served;

fn main() -> ExitCode {
    let mut words = env::args().skip(1);
    if words.next().as_deref() == Some("--serve") {
        served::serve(&words.next().expect("write: --serve MODEL"));
        return ExitCode::SUCCESS;
    }
    let tests = [
        health::tests(),
        models::tests(),
        numbers::tests(),
        refusing::tests(),
    ];
    let trials = tests.concat().into_iter().map(|(name, test)| {
        Trial::test(name, move || {
            test();
            Ok(())
        })
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
}

/// A test by its name.
type Test = (&'static str, fn());
