//! Connections that have said one line and then nothing: what they cost in memory.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::{LENGTH, PATIENCE, line, unlike};
use crate::figures::Sample;
use crate::process::Process;

pub(crate) fn run(process: &Process) -> io::Result<Sample> {
    let line = line();
    let before = process.memory();
    let began = Instant::now();
    let mut slowest = Duration::ZERO;
    let mut open = Vec::with_capacity(process.idle);
    for _ in 0..process.idle {
        let since = Instant::now();
        let mut stream = TcpStream::connect(&process.addr)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(&line)?;
        let mut reply = [0; LENGTH];
        stream.read_exact(&mut reply)?;
        if reply != line {
            return Err(unlike());
        }
        slowest = slowest.max(since.elapsed());
        open.push(stream);
    }
    let seconds = began.elapsed().as_secs_f64();
    let used = process.memory().saturating_sub(before);
    Ok(Sample {
        cost: used as f64 / open.len() as f64,
        per_second: open.len() as f64 / seconds,
        p99: slowest.as_secs_f64() * 1e6,
    })
}
