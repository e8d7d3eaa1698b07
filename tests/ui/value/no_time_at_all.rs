use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp, timeout = "0s", upgrade_timeout = "0s")]
impl Echo {
    fn handle(&mut self, _stream: &mut Stream) {}
}

fn main() {}
