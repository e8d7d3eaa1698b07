//! What servers stand under load: slow clients by the hundred, churn, restarts while clients come, and a rest without one call.
//!
//! A test whose program is not installed shows as ignored, with the Debian package that has it.

use std::env;
use std::fs;
use std::io::{self, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use libtest_mimic::{Arguments, Failed, Trial};

use client::Program;

mod churn;
#[allow(dead_code, reason = "shared with the tests of the examples")]
#[path = "../examples/client.rs"]
mod client;
mod descriptors;
mod idle;
mod restart;
#[allow(dead_code, reason = "shared with the tests of the examples")]
#[path = "../examples/server.rs"]
mod server;
mod slow;
mod upgrade;

type Outcome = Result<(), Failed>;

fn main() {
    let mut arguments = Arguments::from_args();
    // One that rests beside one that works.
    arguments.test_threads = arguments.test_threads.or(Some(2));
    let trials = [
        idle::trials(),
        slow::trials(),
        churn::trials(),
        restart::trials(),
        upgrade::trials(),
        descriptors::trials(),
    ];
    libtest_mimic::run(&arguments, trials.into_iter().flatten().collect()).exit()
}

fn with_program(program: Program, name: &str, test: fn() -> Outcome) -> Trial {
    let trial = Trial::test(name, test);
    if program.is_usable() {
        return trial.with_kind(program.name);
    }
    let Program { name, package, .. } = program;
    let missing = format!("needs {name}, apt-get install {package}");
    trial.with_kind(missing).with_ignored_flag(true)
}

/// Two that both work would measure each other.
fn the_machine() -> MutexGuard<'static, ()> {
    static MACHINE: Mutex<()> = Mutex::new(());
    MACHINE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How long the long run is to take, if this is one.
fn soak_seconds() -> Option<u64> {
    let seconds = env::var("SOCKSERV_SOAK_SECONDS").ok()?;
    Some(seconds.parse().expect("SOCKSERV_SOAK_SECONDS is a number"))
}

/// How long the host ran others in place of this machine's processors, all together: proc_stat(5).
fn stolen() -> Duration {
    let stat = fs::read_to_string("/proc/stat").expect("proc(5) is mounted");
    let ticks = stat.split_whitespace().nth(8).expect("a column of it");
    let ticks: u64 = ticks.parse().expect("a number");
    let each_second = rustix::param::clock_ticks_per_second();
    Duration::from_millis(ticks * 1000 / each_second)
}

/// Says in a long run what was measured.
fn report(text: &str) {
    if soak_seconds().is_some() {
        // Nobody may be listening.
        let _ = io::stderr().write_all(text.as_bytes());
    }
}
