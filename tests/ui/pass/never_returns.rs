//! What never returns has no outcome, and is none to explain.
#![deny(warnings)]

use sockserv::prelude::*;

#[derive(Clone)]
struct Ends;

#[server(tcp, forking)]
impl Ends {
    fn handle(&mut self, stream: &mut Stream) -> ! {
        let _ = stream.wfile.write_all(b"bye");
        std::process::exit(0)
    }
}

#[derive(Clone)]
struct Rests;

#[server(tcp)]
impl Rests {
    fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
        match stream.rfile.read_bytes(1)?.first() {
            Some(0) => stream.finish_in_child(|_| std::process::exit(3)),
            _ => stream.finish_in_thread(|_| panic!("as the peer wished")),
        }
    }
}

fn main() {
    let _builders = (EndsServer::builder(Ends), RestsServer::builder(Rests));
}
