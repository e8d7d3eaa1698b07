use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp, tls, proxy)]
impl Echo {
    fn handle(&mut self, _stream: &mut Stream) {}
}

#[derive(Clone)]
struct Multiplexing;

#[server(tcp, unsafe(multiplexing))]
impl Multiplexing {
    fn handle(&mut self, _stream: &mut Stream) {}
}

fn main() {}
