use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp, udp)]
impl Echo {
    fn setup(&mut self, _stream: &mut Stream) {}

    fn handle<R: Request>(&mut self, _request: &mut R) {}
}

fn main() {}
