//! What one would write over std: an accept loop, a thread for each connection; one loop for packets.

use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::thread;

/// A write for each line.
pub(super) fn lines(stream: &TcpStream) -> io::Result<()> {
    let (mut reader, mut writer) = (BufReader::new(stream), stream);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line)? > 0 {
        writer.write_all(&line)?;
        line.clear();
    }
    Ok(())
}

/// The same, for those who know that replies may leave together: a flush before each read that may wait.
pub(super) fn coalesced_lines(stream: &TcpStream) -> io::Result<()> {
    let (mut reader, mut writer) = (BufReader::new(stream), BufWriter::new(stream));
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line)? > 0 {
        writer.write_all(&line)?;
        line.clear();
        if reader.buffer().is_empty() {
            writer.flush()?;
        }
    }
    Ok(())
}

pub(super) fn threads(addr: &str, echo: fn(&TcpStream) -> io::Result<()>) -> io::Result<()> {
    for stream in TcpListener::bind(addr)?.incoming() {
        let stream = stream?;
        stream.set_nodelay(true)?;
        thread::Builder::new()
            .name("echo".to_owned())
            .spawn(move || echo(&stream))?;
    }
    Ok(())
}

pub(super) fn udp(addr: &str) -> io::Result<()> {
    let socket = UdpSocket::bind(addr)?;
    let mut packet = [0; 65535];
    loop {
        let (length, peer) = socket.recv_from(&mut packet)?;
        socket.send_to(&packet[..length], peer)?;
    }
}
