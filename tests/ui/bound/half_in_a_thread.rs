use std::thread;

use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp, threading)]
impl Echo {
    fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
        let (rfile, wfile) = (&mut stream.rfile, &mut stream.wfile);
        thread::scope(|scope| {
            scope.spawn(|| wfile.write_all(b"hello\n"));
            io::copy(rfile, &mut io::sink()).map(drop)
        })
    }
}

fn main() {}
