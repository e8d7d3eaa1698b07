use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp)]
impl Echo {
    fn handle(&mut self, _stream: &mut Stream) {}
}

fn main() {
    sockserv::conformance!(Echo, [sync, threads], |peer| peer.eof());
}
