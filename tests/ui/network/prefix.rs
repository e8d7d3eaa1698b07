use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp, deny = ["10.0.0.0/33", "2001:db8::/x"])]
impl Echo {
    fn handle(&mut self, _stream: &mut Stream) {}
}

fn main() {}
