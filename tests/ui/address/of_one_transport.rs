use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(unix, udp, addr = "unix:@echo")]
impl Echo {
    fn handle<R: Request>(&mut self, _request: &mut R) {}
}

fn main() {}
