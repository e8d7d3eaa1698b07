use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp, rbufsize = "64 KB", max_line = 1.5)]
impl Echo {
    fn handle(&mut self, _stream: &mut Stream) {}
}

fn main() {}
