use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(unix, mode = 660)]
impl Echo {
    fn handle(&mut self, _stream: &mut Stream) {}
}

fn main() {}
