//! The time of day, over tcp and udp from one handler (RFC 867).
//! Run:  `cargo run --example daytime`
//! Talk: `nc 127.0.0.1 1313`, or `echo | nc -u -W 1 127.0.0.1 1313`
//! See:  `Sat, 21 Nov 2026 15:30:00 GMT`

use std::time::SystemTime;

use httpdate::HttpDate;
use sockserv::prelude::*;

#[derive(Clone)]
struct Daytime;

#[server(tcp, udp, threading, addr = "127.0.0.1:1313")]
impl Daytime {
    /// What the peer sends does not matter: connecting, or sending any packet, is the question.
    fn handle<R: Request>(&mut self, request: &mut R) -> io::Result<()> {
        write!(request.wfile(), "{}\r\n", HttpDate::from(SystemTime::now()))
    }
}

fn main() -> io::Result<()> {
    DaytimeServer::builder(Daytime)
        .addrs(std::env::args().skip(1))
        .bind()?
        .run()
}
