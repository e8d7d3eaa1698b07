use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp, prefork(accept = "fair"), on_full = "drop")]
impl Echo {
    fn handle(&mut self, _stream: &mut Stream) {}
}

#[derive(Clone)]
struct Flag;

#[server(tcp, on_full = true)]
impl Flag {
    fn handle(&mut self, _stream: &mut Stream) {}
}

fn main() {}
