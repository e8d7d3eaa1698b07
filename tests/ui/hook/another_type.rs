use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp)]
impl Echo {
    fn handle(&mut self, _stream: &mut Stream) {}

    fn verify_request(&self, _peer: &std::net::SocketAddr) -> bool {
        true
    }

    fn server_bind(&self, _socket: &sockserv::socket2::Socket) {}
}

fn main() {}
