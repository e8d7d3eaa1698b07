//! The promises of the contract, each against every cell of transport x model where it applies.
//!
//! A trial is named by its promise and its cell. Numbers in names: T and F of Python's `socketserver`, D of its defects, P of
//! our own promises, A of the peers' bugs that became acceptance tests.

use libtest_mimic::{Arguments, Trial};
use sockserv_tests::Cell;

mod calls;
mod closing;
mod conversations;
mod datagrams;
mod deadlines;
mod hooks;
mod life;
mod limits;
mod messages;
mod peers;
mod pool;
mod prefork;
mod renewal;
mod shutdown;
mod streams;
mod telemetry;
mod upgrade;

/// One promise against one cell; panics if it is broken.
type Promise = fn(Cell);

fn main() {
    let mut arguments = Arguments::from_args();
    // Most of the time is waiting, so more of them run at once than there are processors.
    arguments.test_threads = arguments.test_threads.or(Some(8));
    let trials = [
        limits::trials(), // The long ones first.
        life::trials(),
        telemetry::trials(),
        peers::trials(),
        pool::trials(),
        prefork::trials(),
        renewal::trials(),
        upgrade::trials(),
        hooks::trials(),
        closing::trials(),
        conversations::trials(),
        messages::trials(),
        calls::trials(),
        deadlines::trials(),
        shutdown::trials(),
        streams::trials(),
        datagrams::trials(),
    ];
    libtest_mimic::run(&arguments, trials.into_iter().flatten().collect()).exit()
}

/// The promise against each cell that `applies`.
fn for_each(applies: fn(&Cell) -> bool, name: &str, promise: Promise) -> Vec<Trial> {
    Cell::all()
        .filter(applies)
        .map(|cell| {
            Trial::test(format!("{name} [{cell}]"), move || {
                promise(cell);
                Ok(())
            })
        })
        .collect()
}

fn for_each_cell(name: &str, promise: Promise) -> Vec<Trial> {
    for_each(|_| true, name, promise)
}

fn for_each_stream_cell(name: &str, promise: Promise) -> Vec<Trial> {
    for_each(|cell| cell.is_stream(), name, promise)
}

fn for_each_datagram_cell(name: &str, promise: Promise) -> Vec<Trial> {
    for_each(|cell| !cell.is_stream(), name, promise)
}
