//! The operator's endpoint, asked by plain clients.

use std::env;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

mod browser;
mod client;
mod health;
mod models;
mod numbers;
mod page;
mod refusing;
mod served;
#[cfg(feature = "upgrade")]
mod upgrade;

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
        #[cfg(feature = "upgrade")]
        upgrade::tests(),
    ];
    let trials = tests.concat().into_iter().map(trial);
    let seen = page::tests()
        .into_iter()
        .map(|test| match is_installed("chromium") {
            true => trial(test),
            false => trial(test)
                .with_kind("needs chromium, apt-get install chromium")
                .with_ignored_flag(true),
        });
    libtest_mimic::run(&Arguments::from_args(), trials.chain(seen).collect()).exit_code()
}

fn trial((name, test): Test) -> Trial {
    Trial::test(name, move || {
        test();
        Ok(())
    })
}

fn is_installed(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// A test by its name.
type Test = (&'static str, fn());
