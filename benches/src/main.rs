//! Echo servers side by side: ours, a loop by hand over std, tokio, and Python's `socketserver`.
//!
//! `cargo run --release -p sockserv-benches` starts each server on one core and loads it from another, in turns, and
//! prints tables. `benches/results/` then holds the one for the README and its plot. It takes about four minutes, stays
//! on the loopback interface, and ends what it started.
//!
//! `cargo run --release -p sockserv-benches -- --rounds 1 --seconds 0.3 NAME...` is quicker: fewer and shorter turns, and
//! only the tests whose names contain one of the words; it leaves the results alone.

mod figures;
mod load;
mod plot;
mod process;
mod serve;
mod servers;
mod tests;

use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;
use std::{env, fs};

use figures::Figures;
use process::Process;
use servers::SERVERS;
use tests::TESTS;

fn main() -> io::Result<()> {
    let mut words = env::args().skip(1).peekable();
    if words.next_if(|word| word == "serve").is_some() {
        let (name, addr) = words.next().zip(words.next()).ok_or_else(usage)?;
        return serve::serve(&name, &addr);
    }
    let plan = Plan::parse(words)?;
    process::prepare()?;
    let figures = measure(&plan)?;
    let mut out = io::stdout();
    writeln!(out, "\n{}", figures.details())?;
    if plan.is_whole() {
        let results = Path::new(env!("CARGO_MANIFEST_DIR")).join("results");
        fs::create_dir_all(&results)?;
        fs::write(results.join("figures.md"), figures.table())?;
        fs::write(results.join("details.md"), figures.details())?;
        plot::draw(&figures, &results.join("figures.svg"))?;
        writeln!(out, "written to {}", results.display())?;
    }
    Ok(())
}

/// Every server in turn, within each round of each test: what slows the machine down for a while slows all of them.
fn measure(plan: &Plan) -> io::Result<Figures> {
    let mut figures = Figures::default();
    for test in TESTS.iter().filter(|test| plan.wants(test.name)) {
        for round in 1..=plan.rounds {
            for server in SERVERS.iter().filter(|server| server.takes(test)) {
                let process = Process::start(server)?;
                let sample = (test.run)(&process, plan.seconds);
                process.stop();
                match sample {
                    Ok(sample) => {
                        writeln!(
                            io::stderr(),
                            "{}, round {round}: {}: {sample}",
                            test.name,
                            server.name
                        )?;
                        figures.add(test, server, sample);
                    }
                    Err(error) => {
                        let (test, server) = (test.name, server.name);
                        writeln!(io::stderr(), "{test}, round {round}: {server}: {error}")?;
                    }
                }
            }
        }
    }
    Ok(figures)
}

/// What the command line asks for.
struct Plan {
    rounds: usize,
    seconds: Duration,
    names: Vec<String>,
    shortened: bool,
}

impl Plan {
    fn parse(mut words: impl Iterator<Item = String>) -> io::Result<Self> {
        let mut plan = Self {
            rounds: 5,
            seconds: Duration::from_secs(1),
            names: Vec::new(),
            shortened: false,
        };
        while let Some(word) = words.next() {
            match word.as_str() {
                "--rounds" => plan.rounds = value(&mut words)?,
                "--seconds" => plan.seconds = Duration::from_secs_f64(value(&mut words)?),
                _ if word.starts_with('-') => return Err(usage()),
                _ => plan.names.push(word),
            }
            plan.shortened = true;
        }
        Ok(plan)
    }

    fn wants(&self, name: &str) -> bool {
        self.names.is_empty() || self.names.iter().any(|word| name.contains(word.as_str()))
    }

    /// Whether the results are worth keeping.
    fn is_whole(&self) -> bool {
        !self.shortened
    }
}

fn value<T: std::str::FromStr>(words: &mut impl Iterator<Item = String>) -> io::Result<T> {
    words
        .next()
        .and_then(|word| word.parse().ok())
        .ok_or_else(usage)
}

fn usage() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidInput,
        "write: sockserv-benches [--rounds N] [--seconds S] [NAME...]",
    )
}
