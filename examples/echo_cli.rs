//! Echo with every option on its command line and in its environment.
//! Run:  `cargo run --features cli --example echo_cli -- --help`, or `-- --check`, or `-- 127.0.0.1:7007 --timeout 10s`
//! Talk: `nc 127.0.0.1 7007`

use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp, threading, addr = "127.0.0.1:7007", timeout = "1 min")]
impl Echo {
    fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
        io::copy(&mut stream.rfile, &mut stream.wfile).map(drop)
    }
}

fn main() -> io::Result<()> {
    EchoServer::from_args(Echo)?.run()
}
