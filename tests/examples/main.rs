//! Each example is proved by the client that people use for its protocol.
//!
//! A test whose client is not installed shows as ignored, with the Debian package that has it.

use libtest_mimic::{Arguments, Failed, Trial};

use client::Program;

mod activated;
mod balanced;
mod calculator_rpc;
mod chat;
mod client;
mod daytime;
mod dns;
mod echo;
mod echo_cli;
mod finger;
mod forward;
mod http_hello;
mod isolation;
mod kv;
mod matrix;
mod memcached;
mod server;
mod smtp_sink;
mod supervised;
mod syslog;
mod tftp;

type Outcome = Result<(), Failed>;

fn main() {
    let trials = [
        echo::trials(),
        echo_cli::trials(),
        daytime::trials(),
        finger::trials(),
        dns::trials(),
        http_hello::trials(),
        syslog::trials(),
        chat::trials(),
        forward::trials(),
        kv::trials(),
        isolation::trials(),
        matrix::trials(),
        calculator_rpc::trials(),
        tftp::trials(),
        smtp_sink::trials(),
        memcached::trials(),
        activated::trials(),
        supervised::trials(),
        balanced::trials(),
    ];
    libtest_mimic::run(
        &Arguments::from_args(),
        trials.into_iter().flatten().collect(),
    )
    .exit()
}

/// A test that talks through the standard library alone.
fn plain(name: &str, test: fn() -> Outcome) -> Trial {
    Trial::test(name, test)
}

/// A test that needs `program`; its kind names the package of a missing one.
fn with_client(
    program: Program,
    name: &str,
    test: impl FnOnce() -> Outcome + Send + 'static,
) -> Trial {
    let trial = Trial::test(name, test);
    if program.is_usable() {
        return trial.with_kind(program.name);
    }
    let Program { name, package, .. } = program;
    let missing = format!("needs {name}, apt-get install {package}");
    trial.with_kind(missing).with_ignored_flag(true)
}
