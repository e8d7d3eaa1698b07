//! Lines over connections that stay: a bundle of lines in one write, and the next when all are back.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::{Meter, PATIENCE, Poller, line, silent, unlike};
use crate::figures::Sample;
use crate::process::Process;

struct Connection {
    stream: TcpStream,
    since: Instant,
    missing: usize,
}

pub(crate) fn run(
    process: &Process,
    seconds: Duration,
    connections: usize,
    pipelined: usize,
) -> io::Result<Sample> {
    let bundle = line().repeat(pipelined);
    let mut poller = Poller::new()?;
    let mut open = Vec::with_capacity(connections);
    for index in 0..connections {
        let stream = TcpStream::connect(&process.addr)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        poller.add(&stream, index)?;
        open.push(Connection::new(stream, &bundle)?);
    }
    let mut meter = Meter::new(process, seconds);
    let mut room = vec![0; bundle.len()];
    while meter.goes_on()? {
        let mut ready = poller.wait(PATIENCE)?.peekable();
        ready.peek().ok_or_else(silent)?;
        for index in ready {
            let connection = &mut open[index];
            if connection.receive(&bundle, &mut room)? {
                meter.count(pipelined, connection.since);
                connection.send(&bundle)?;
            }
        }
    }
    meter.sample()
}

impl Connection {
    fn new(stream: TcpStream, bundle: &[u8]) -> io::Result<Self> {
        let mut connection = Self {
            stream,
            since: Instant::now(),
            missing: 0,
        };
        connection.send(bundle)?;
        Ok(connection)
    }

    fn send(&mut self, bundle: &[u8]) -> io::Result<()> {
        self.since = Instant::now();
        self.missing = bundle.len();
        self.stream.write_all(bundle) // Far below what a socket takes at once.
    }

    /// Reads what is there; returns whether the whole bundle is back.
    fn receive(&mut self, bundle: &[u8], room: &mut [u8]) -> io::Result<bool> {
        let count = match self.stream.read(&mut room[..self.missing]) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        };
        let start = bundle.len() - self.missing;
        if room[..count] != bundle[start..start + count] {
            return Err(unlike());
        }
        self.missing -= count;

        Ok(self.missing == 0)
    }
}
