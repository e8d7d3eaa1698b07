//! Promises that are looked at from inside the server's own process: how it is made, addressed, run, ended and run again.
//!
//! A test that counts what belongs to the whole process, handles signals or forks runs alone, in a process of its own.

use std::env;
use std::process::{Command, ExitCode, Stdio};

use libtest_mimic::{Arguments, Trial};

mod addresses;
mod alone;
mod deadlines;
mod echo;
mod elsewhere;
mod endings;
mod faults;
mod faults_calls;
mod faults_forks;
mod faults_packets;
mod faults_starts;
mod framed;
mod inherited;
mod lame_duck;
mod limits;
mod lingering;
mod listeners;
mod messages;
mod models;
mod namespaced;
mod observer;
mod own_errors;
mod packets;
mod paths;
mod pool;
mod refused;
mod reports;
mod runs;
mod scripted;
mod senders;
mod served;
mod several;
mod supervised;
mod testing;
mod turns;
mod unix;
mod upgrade;
mod vouched;
mod zeros;

/// A test by its name.
type Test = (&'static str, fn());

fn main() -> ExitCode {
    let mut words = env::args().skip(1);
    if words.next().as_deref() == Some("--alone") {
        let name = words.next().expect("write: --alone TEST");
        let (_, test) = served()
            .into_iter()
            .find(|(known, _)| *known == name)
            .expect("a test of this name");
        test();
        return ExitCode::SUCCESS;
    }
    let mut arguments = Arguments::from_args();
    arguments.test_threads = arguments.test_threads.or(Some(8)); // Most of the time is waiting.
    let together = together().into_iter().map(|(name, test)| {
        Trial::test(name, move || {
            test();
            Ok(())
        })
    });
    let alone = alone()
        .into_iter()
        .map(|(name, _)| Trial::test(name, move || run_alone(Command::new(this()), name)));
    let conclusion = libtest_mimic::run(
        &arguments,
        together
            .chain(alone)
            .chain(inherited::trials())
            .chain(supervised::trials())
            .chain(faults::trials())
            .chain(faults_calls::trials())
            .chain(faults_forks::trials())
            .chain(faults_packets::trials())
            .chain(faults_starts::trials())
            .chain(lingering::trials())
            .chain(senders::trials())
            .chain(several::trials())
            .chain(packets::trials())
            .chain(alone::trials())
            .chain(reports::trials())
            .collect(),
    );
    conclusion.exit_code()
}

/// What runs in a process of its own.
fn served() -> Vec<Test> {
    [
        alone(),
        inherited::handed(),
        supervised::handed(),
        faults::served(),
        faults_calls::served(),
        faults_forks::served(),
        faults_packets::served(),
        faults_starts::served(),
        lingering::served(),
        senders::served(),
        several::served(),
        packets::served(),
        reports::served(),
        alone::served(),
        unix::accounts::handed(),
    ]
    .concat()
}

fn together() -> Vec<Test> {
    [
        addresses::tests(),
        deadlines::tests(),
        elsewhere::tests(),
        endings::tests(),
        faults::tests(),
        framed::tests(),
        lame_duck::tests(),
        limits::tests(),
        lingering::tests(),
        listeners::tests(),
        messages::tests(),
        models::tests(),
        turns::tests(),
        observer::tests(),
        own_errors::tests(),
        packets::tests(),
        paths::tests(),
        pool::tests(),
        refused::tests(),
        runs::tests(),
        scripted::tests(),
        senders::tests(),
        testing::tests(),
        unix::tests(),
        unix::accounts::tests(),
        zeros::tests(),
    ]
    .concat()
}

fn alone() -> Vec<Test> {
    [
        alone::tests(),
        elsewhere::alone(),
        inherited::alone(),
        limits::alone(),
        models::alone(),
        observer::alone(),
        paths::alone(),
        scripted::alone(),
        senders::alone(),
        several::alone(),
        unix::alone(),
        unix::accounts::alone(),
        upgrade::alone(),
        vouched::alone(),
    ]
    .concat()
}

fn this() -> std::path::PathBuf {
    env::current_exe().expect("a test knows its own path")
}

/// Runs one test in a process of its own, without any other thread.
fn run_alone(mut command: Command, name: &str) -> Result<(), libtest_mimic::Failed> {
    run(command.args(["--alone", name]).stdin(Stdio::null()))
}

/// Runs a program that must succeed.
fn run(command: &mut Command) -> Result<(), libtest_mimic::Failed> {
    let output = command.output()?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!(
            "{}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        )
        .into()),
    }
}
