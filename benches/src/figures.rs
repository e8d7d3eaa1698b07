//! Samples, their medians, and the tables.

use std::fmt::{self, Write};

use crate::servers::{SERVERS, Server};
use crate::tests::{TESTS, Test, Unit};

/// One measurement of one server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// Microseconds of the server's CPU, or KiB of its memory.
    pub(crate) cost: f64,
    pub(crate) per_second: f64,
    /// Microseconds that 99 of 100 operations needed at most.
    pub(crate) p99: f64,
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            cost,
            per_second,
            p99,
        } = self;
        write!(f, "{cost:.2}, {per_second:.0}/s, p99 {p99:.0} µs")
    }
}

/// All samples of a run.
#[derive(Debug, Default)]
pub(crate) struct Figures(Vec<(&'static str, &'static str, Sample)>);

impl Figures {
    pub(crate) fn add(&mut self, test: &Test, server: &Server, sample: Sample) {
        self.0.push((test.name, server.name, sample));
    }

    /// The median of each figure over the rounds.
    pub(crate) fn median(&self, test: &Test, server: &Server) -> Option<Sample> {
        if !server.takes(test) {
            return None; // Another server may have its name.
        }
        let samples = || {
            let ours = |&&(t, s, _): &&(&str, &str, Sample)| (t, s) == (test.name, server.name);
            self.0.iter().filter(ours).map(|&(_, _, sample)| sample)
        };
        samples().next()?;
        Some(Sample {
            cost: median(samples().map(|sample| sample.cost)),
            per_second: median(samples().map(|sample| sample.per_second)),
            p99: median(samples().map(|sample| sample.p99)),
        })
    }

    /// The tables for the README: what an operation costs the server.
    pub(crate) fn table(&self) -> String {
        let mut text = String::from(
            "What one operation costs the server: CPU time, and memory where nothing moves. Medians of alternating rounds over\n\
             the loopback interface, the server on one core, the load on another; compare within a column.\n",
        );
        for kind in [crate::servers::Kind::Lines, crate::servers::Kind::Packets] {
            let tests = || TESTS.iter().filter(move |test| test.kind == kind);
            text.push_str("\n| |");
            for test in tests() {
                _ = write!(text, " {} |", test.title);
            }
            text.push_str("\n|---|");
            text.extend(tests().map(|_| "---:|"));
            text.push('\n');
            for server in SERVERS.iter().filter(|server| server.table() == kind) {
                _ = write!(text, "| {server} |");
                for test in tests() {
                    _ = write!(text, " {} |", self.cell(test, server));
                }
                text.push('\n');
            }
        }
        text.push_str("\n![What one operation costs the server](benches/results/figures.svg)\n");
        text
    }

    fn cell(&self, test: &Test, server: &Server) -> String {
        let Some(Sample { cost, .. }) = self.median(test, server) else {
            return "-".to_owned();
        };
        format!("{} {}", rounded(cost), test.unit.symbol())
    }

    /// A table for each test, with rates and waits.
    pub(crate) fn details(&self) -> String {
        let mut text = format!("Measured on {}.\n", machine());
        for test in &TESTS {
            let rows = SERVERS.iter().filter_map(|server| {
                let sample = self.median(test, server)?;
                Some((server, sample))
            });
            let cost = match test.unit {
                Unit::Micros => "server µs",
                Unit::Kibibytes => "server KiB",
            };
            _ = write!(
                text,
                "\n## {}\n\n| | {cost} | per second | p99 µs |\n|---|---:|---:|---:|\n",
                test.title
            );
            for (server, sample) in rows {
                _ = writeln!(
                    text,
                    "| {server} | {} | {:.0} | {:.0} |",
                    rounded(sample.cost),
                    sample.per_second,
                    sample.p99
                );
            }
        }
        text
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Three digits: more would promise too much.
pub(crate) fn rounded(value: f64) -> String {
    match value {
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    }
}

fn machine() -> String {
    let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("an unknown processor", |(_, model)| model);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{model}, Linux {}", kernel.trim())
}
