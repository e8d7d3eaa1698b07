use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp, timeout = 30, request_timeout = "5m")]
impl Echo {
    fn handle(&mut self, _stream: &mut Stream) {}
}

fn main() {}
