use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(udp, unix_datagram)]
impl Echo {
    fn handle(&mut self, _datagram: &mut Datagram) {}
}

fn main() {}
