use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(unix, mode = 0o1777)]
impl Echo {
    fn handle(&mut self, _stream: &mut Stream) {}
}

fn main() {}
