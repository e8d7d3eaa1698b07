use sockserv::prelude::*;

struct Echo;

#[server(tcp)]
impl Echo {
    fn handle(&mut self, _stream: &mut Stream) {}
}

fn main() {}
