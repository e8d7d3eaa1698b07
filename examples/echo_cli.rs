//! Echo again, with every option as a flag and as an environment variable.
//! Run:  `cargo run --features cli --example echo_cli -- 127.0.0.1:7007 --timeout 10s`; try `-- --help` and `-- --check`, too
//! Talk: `nc 127.0.0.1 7007`
//! See:  every line that you type comes back, until you are silent for ten seconds

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
