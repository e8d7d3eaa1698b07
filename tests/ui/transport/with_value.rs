use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp = "127.0.0.1:7007")]
impl Echo {
    fn handle(&mut self, _stream: &mut Stream) {}
}

fn main() {}
