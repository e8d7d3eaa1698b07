use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp)]
impl Echo {
    fn handle(&mut self, _stream: &mut Stream) {}

    fn verify_requst(&self, _peer: &Address) -> bool {
        true
    }

    fn finnish(&mut self, _stream: &mut Stream) {}
}

fn main() {}
