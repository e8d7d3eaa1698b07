use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp)]
impl Echo {
    fn handle(&mut self, _stream: &mut Stream) {}
}

#[server(unix, name = LocalServer)]
impl Echo {
    fn handle(&mut self, _stream: &mut Stream) {}
}

fn main() {}
