use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp)]
impl Echo {
    fn handle(self, _stream: &mut Stream) {}
}

fn main() {}
