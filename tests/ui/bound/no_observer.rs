use sockserv::prelude::*;

#[derive(Default)]
struct Counts;

#[derive(Clone)]
struct Echo;

#[server(tcp, observer = Counts)]
impl Echo {
    fn handle(&mut self, _stream: &mut Stream) {}
}

fn main() {}
