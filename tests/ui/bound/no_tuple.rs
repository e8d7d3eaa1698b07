use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp, threading, addr = "127.0.0.1:0")]
impl Echo {
    fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
        io::copy(&mut stream.rfile, &mut stream.wfile).map(drop)
    }
}

fn main() -> io::Result<()> {
    sockserv::run(vec![EchoServer::bind(Echo)?])
}
