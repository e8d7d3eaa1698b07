//! Connect, one line, its echo, close; some at once.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use super::{LENGTH, Meter, PATIENCE, Poller, line, silent, unlike};
use crate::figures::Sample;
use crate::process::Process;

pub(crate) fn run(process: &Process, seconds: Duration, at_once: usize) -> io::Result<Sample> {
    let addr: SocketAddr = process.addr.parse().map_err(io::Error::other)?;
    let line = line();
    let mut poller = Poller::new()?;
    let mut serial = 0;
    let mut next = |poller: &Poller, index| {
        serial += 1;
        let since = Instant::now();
        let mut stream = connect(addr, serial)?;
        stream.write_all(&line)?;
        poller.add(&stream, index)?;
        io::Result::Ok((stream, since))
    };
    let mut open = Vec::with_capacity(at_once);
    for index in 0..at_once {
        open.push(next(&poller, index)?);
    }
    let mut meter = Meter::new(process, seconds);
    let mut reply = [0; LENGTH];
    while meter.goes_on()? {
        let ready: Vec<usize> = poller.wait(PATIENCE)?.collect();
        if ready.is_empty() {
            return Err(silent());
        }
        for index in ready {
            let (stream, since) = &mut open[index];
            stream.read_exact(&mut reply)?; // It came in one piece, as it went.
            if reply != line {
                return Err(unlike());
            }
            meter.count(1, *since);
            open[index] = next(&poller, index)?; // Closes the old one.
        }
    }
    meter.sample()
}

/// Over loopback the handshake is complete at once. Many source addresses: one alone would run out of ports in TIME_WAIT.
fn connect(addr: SocketAddr, serial: usize) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None)?;
    let [low, high, ..] = serial.to_le_bytes();
    let source = Ipv4Addr::new(127, 1, high, low);
    socket.bind(&SocketAddr::from((source, 0)).into())?;
    socket.connect(&addr.into())?;
    socket.set_tcp_nodelay(true)?;
    Ok(socket.into())
}
