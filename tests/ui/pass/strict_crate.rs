//! A crate that wants everything documented, nothing unsafe and no warning.

#![deny(missing_docs, warnings, unreachable_pub, missing_debug_implementations, unused_qualifications)]
#![forbid(unsafe_code)]

use sockserv::prelude::*;

/// Says what it hears.
#[derive(Clone, Debug)]
pub struct Echo;

#[server(tcp, threading(max = 10, stack_size = "64 KiB"), addr = "127.0.0.1:7007", vis = pub, backlog = 12, timeout = none, keepalive)]
impl Echo {
    fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
        stream.wfile.write_all(b"hello")
    }

    fn verify_request(&self, _peer: &Address) -> bool {
        true
    }
}

/// Hears.
#[derive(Clone, Debug)]
#[server(udp)]
pub struct Sink;

impl DatagramHandler for Sink {
    fn handle(&mut self, _datagram: &mut Datagram) -> Outcome {
        Ok(())
    }
}

fn main() {
    let _run = (EchoServer::bind, EchoServer::run, SinkServer::run);
}
