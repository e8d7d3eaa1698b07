use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp, allow = ["10.0.0.1/8", "192.0.2.0/24"], deny = "2001:db8::1/32")]
impl Echo {
    fn handle(&mut self, _stream: &mut Stream) {}
}

fn main() {}
