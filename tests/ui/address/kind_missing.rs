use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(unix, addr = "/run/echo.sock")]
impl Echo {
    fn handle(&mut self, _stream: &mut Stream) {}
}

fn main() {}
