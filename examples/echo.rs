//! Line echo, the program of the README (in the spirit of RFC 862).
//! Run:  `cargo run --example echo`
//! Talk: `nc 127.0.0.1 7007`

use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp, threading, addr = "127.0.0.1:7007")]
impl Echo {
    fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
        let mut line = String::new();
        while stream.rfile.read_line(&mut line)? > 0 {
            stream.wfile.write_all(line.as_bytes())?;
            line.clear();
        }
        Ok(())
    }
}

fn main() -> io::Result<()> {
    EchoServer::builder(Echo)
        .addrs(std::env::args().skip(1))
        .bind()?
        .run()
}
