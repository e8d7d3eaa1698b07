//! What is measured.

use std::io;
use std::time::Duration;

use crate::figures::Sample;
use crate::load::{connect, idle, lines, packets};
use crate::process::Process;
use crate::servers::Kind;

#[derive(Debug)]
pub(crate) struct Test {
    /// Short, as in a command.
    pub(crate) name: &'static str,
    /// For the head of a column.
    pub(crate) title: &'static str,
    pub(crate) unit: Unit,
    pub(crate) kind: Kind,
    /// Whether it needs no more than few connections at a time.
    pub(crate) in_turns: bool,
    pub(crate) run: fn(&Process, Duration) -> io::Result<Sample>,
}

/// What the main figure of a test counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// The server's CPU time for one operation, in microseconds.
    Micros,
    /// The server's memory for one connection.
    Kibibytes,
}

impl Unit {
    pub(crate) fn symbol(self) -> &'static str {
        match self {
            Unit::Micros => "µs",
            Unit::Kibibytes => "KiB",
        }
    }
}

pub(crate) const TESTS: [Test; 5] = [
    Test {
        name: "line",
        title: "a line",
        unit: Unit::Micros,
        kind: Kind::Lines,
        in_turns: false,
        run: |process, seconds| lines::run(process, seconds, 50, 1),
    },
    Test {
        name: "pipelined",
        title: "a line, 16 pipelined",
        unit: Unit::Micros,
        kind: Kind::Lines,
        in_turns: false,
        run: |process, seconds| lines::run(process, seconds, 50, 16),
    },
    Test {
        name: "connection",
        title: "a connection",
        unit: Unit::Micros,
        kind: Kind::Lines,
        in_turns: true,
        run: |process, seconds| connect::run(process, seconds, 16),
    },
    Test {
        name: "idle",
        title: "an idle connection",
        unit: Unit::Kibibytes,
        kind: Kind::Lines,
        in_turns: false,
        run: |process, _| idle::run(process),
    },
    Test {
        name: "packet",
        title: "a packet",
        unit: Unit::Micros,
        kind: Kind::Packets,
        in_turns: false,
        run: |process, seconds| packets::run(process, seconds, 8, 16),
    },
];
