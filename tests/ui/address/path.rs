use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(unix, addr = ["unix:", "unix:@", "unix:echo\0sock"])]
impl Echo {
    fn handle(&mut self, _stream: &mut Stream) {}
}

fn main() {}
