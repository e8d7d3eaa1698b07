//! Echo, the program of the README (in the spirit of RFC 862).
//! Run:  `cargo run --example echo`
//! Talk: `nc 127.0.0.1 7007`
//! See:  every line that you type comes back

use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp, threading, addr = "127.0.0.1:7007")]
impl Echo {
    fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
        io::copy(&mut stream.rfile, &mut stream.wfile).map(drop)
    }
}

fn main() -> io::Result<()> {
    EchoServer::builder(Echo)
        .addrs(std::env::args().skip(1))
        .bind()?
        .run()
}
