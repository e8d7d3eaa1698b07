use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(unix, prefork(accept = "reuse_port"))]
impl Echo {
    fn handle(&mut self, _stream: &mut Stream) {}
}

fn main() {}
