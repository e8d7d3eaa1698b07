//! Processes that take over from one another while a thousand clients a second come: none is refused, none reset. A19.

use libtest_mimic::Trial;
use sockserv_tests::{Cell, Model, Scenario, Transport};

use crate::restart::thousand_a_second;
use crate::{Outcome, the_machine};

pub(crate) fn trials() -> Vec<Trial> {
    let tcp = Cell::all().filter(|cell| cell.transport == Transport::Tcp);
    let mut all: Vec<_> = tcp.map(|cell| (cell, "shared")).collect();
    let preforked = |&(cell, _): &(Cell, _)| cell.model == Model::Prefork;
    all.extend(
        all.clone()
            .into_iter()
            .filter(preforked)
            .map(|(cell, _)| (cell, "reuse-port")),
    );
    let name = |cell, accept| format!("an_upgrade_is_not_noticed [{cell} {accept}]");
    let trial = |(cell, accept)| Trial::test(name(cell, accept), move || upgrade(cell, accept));
    all.into_iter().map(trial).collect()
}

/// How often another process takes over meanwhile.
const UPGRADES: u32 = 5;

fn upgrade(cell: Cell, accept: &str) -> Outcome {
    let _machine = the_machine();
    let scenario = Scenario::new(cell)
        .with("quiet", "on")
        .with("upgrade", "on");
    let server = scenario.with("accept", accept).start();
    let at = server.addr().parse()?;
    let count = thousand_a_second(at, "echo a word\n", UPGRADES, || server.upgrade());
    let summaries = server.stop().events("ended");
    let sum = |name| {
        summaries
            .iter()
            .map(|summary| summary.number(name))
            .sum::<u64>()
    };
    assert_eq!(summaries.len(), UPGRADES as usize + 1);
    assert_eq!(
        [sum("finished"), sum("failed"), sum("cut")],
        [count.into(), 0, 0]
    );
    Ok(())
}
