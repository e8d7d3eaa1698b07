use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(unix, unix_datagram)]
impl Echo {
    fn handle<R: Request>(&mut self, _request: &mut R) {}
}

fn main() {}
