use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp, allow = "::ffff:10.0.0.0/104")]
impl Echo {
    fn handle(&mut self, _stream: &mut Stream) {}
}

fn main() {}
