//! Ours, in six cells.

use sockserv::prelude::*;

#[derive(Clone)]
struct Threaded;

#[server(tcp, threading)]
impl Threaded {
    fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
        echo(stream)
    }
}

#[derive(Clone)]
struct Messages;

#[server(tcp, pool(workers = 2), lines)]
impl Messages {
    fn message(&mut self, line: Bytes, replies: &mut Replies) -> io::Result<()> {
        replies.send(line)
    }
}

#[derive(Clone)]
struct Forked;

#[server(tcp, forking(max_children = 1000))]
impl Forked {
    fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
        echo(stream)
    }
}

#[derive(Clone)]
struct Preforked;

#[server(tcp, prefork(workers = 4))]
impl Preforked {
    fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
        echo(stream)
    }
}

#[derive(Clone)]
struct Serial;

#[server(tcp)]
impl Serial {
    fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
        echo(stream)
    }
}

#[derive(Clone)]
struct Packets;

#[server(udp)]
impl Packets {
    fn handle(&mut self, datagram: &mut Datagram) -> io::Result<()> {
        datagram.wfile.write_all(datagram.rfile.fill_buf()?)
    }
}

fn echo(stream: &mut Stream) -> io::Result<()> {
    let mut line = Vec::new();
    while stream.rfile.read_until(b'\n', &mut line)? > 0 {
        stream.wfile.write_all(&line)?;
        line.clear();
    }
    Ok(())
}

pub(super) fn threading(addr: &str) -> io::Result<()> {
    ThreadedServer::bind_to(addr, Threaded)?.run()
}

pub(super) fn messages(addr: &str) -> io::Result<()> {
    MessagesServer::bind_to(addr, Messages)?.run()
}

pub(super) fn forking(addr: &str) -> io::Result<()> {
    ForkedServer::bind_to(addr, Forked)?.run()
}

pub(super) fn prefork(addr: &str) -> io::Result<()> {
    PreforkedServer::bind_to(addr, Preforked)?.run()
}

pub(super) fn sync(addr: &str) -> io::Result<()> {
    SerialServer::bind_to(addr, Serial)?.run()
}

pub(super) fn udp(addr: &str) -> io::Result<()> {
    PacketsServer::bind_to(addr, Packets)?.run()
}
