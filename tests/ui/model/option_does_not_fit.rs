use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(udp, pool(speaks_first))]
impl Echo {
    fn handle(&mut self, _datagram: &mut Datagram) {}
}

fn main() {}
