//! Packets: each socket keeps a window of them under way.

use std::io::{self, ErrorKind};
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use super::{LENGTH, Meter, Poller, unlike};
use crate::figures::Sample;
use crate::process::Process;

/// A packet that is not back by then is lost.
const LOST: Duration = Duration::from_millis(200);

struct Window {
    socket: UdpSocket,
    heard: Instant,
}

pub(crate) fn run(
    process: &Process,
    seconds: Duration,
    sockets: usize,
    window: usize,
) -> io::Result<Sample> {
    let epoch = Instant::now();
    let mut poller = Poller::new()?;
    let mut windows = Vec::with_capacity(sockets);
    for index in 0..sockets {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.connect(&process.addr)?;
        socket.set_nonblocking(true)?;
        poller.add(&socket, index)?;
        let heard = Instant::now() - LOST; // So it is filled at once.
        windows.push(Window { socket, heard });
    }
    let mut meter = Meter::new(process, seconds);
    while meter.goes_on()? {
        for silent in windows.iter_mut().filter(|one| one.heard.elapsed() >= LOST) {
            (0..window).try_for_each(|_| silent.send(epoch))?;
            silent.heard = Instant::now();
        }
        for index in poller.wait(LOST)? {
            while let Some(sent) = windows[index].receive(epoch)? {
                meter.count(1, sent);
                windows[index].send(epoch)?;
            }
        }
    }
    meter.sample()
}

impl Window {
    /// A packet says when it left.
    fn send(&self, epoch: Instant) -> io::Result<()> {
        let mut packet = [b'x'; LENGTH];
        let nanos = epoch.elapsed().as_nanos() as u64;
        packet[..8].copy_from_slice(&nanos.to_le_bytes());
        self.socket.send(&packet).map(drop)
    }

    /// Returns when the packet left that comes back now, if one does.
    fn receive(&mut self, epoch: Instant) -> io::Result<Option<Instant>> {
        let mut packet = [0; LENGTH + 1];
        match self.socket.recv(&mut packet) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
            Ok(LENGTH) if packet[8..LENGTH].iter().all(|&byte| byte == b'x') => {
                self.heard = Instant::now();
                let nanos = packet[..8].try_into().map(u64::from_le_bytes);
                let nanos = nanos.map_err(io::Error::other)?;
                Ok(Some(epoch + Duration::from_nanos(nanos)))
            }
            Ok(_) => Err(unlike()),
        }
    }
}
