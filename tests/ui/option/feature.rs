use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp, access_log, admin = "127.0.0.1:9100")]
impl Echo {
    fn handle(&mut self, _stream: &mut Stream) {}
}

fn main() {}
