//! Of two methods that a `#[cfg]` chooses between, only the one that exists must fit: the transport, its hook, its name.

use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp, rbufsize = 0, wbufsize = 0)]
impl Echo {
    #[cfg(unix)]
    fn handle(&mut self, _stream: &mut Stream) {}

    #[cfg(not(unix))]
    fn handle(&mut self, _datagram: &mut Datagram) {}

    #[cfg(unix)]
    fn verify_request(&self, _peer: &Address) -> bool {
        true
    }

    #[cfg(not(unix))]
    fn handle_error(&self) {}

    #[cfg(not(unix))]
    fn handle_timeot(&self) {}

    #[cfg(not(unix))]
    fn worker_start(&self) {}
}

fn main() {
    let _ = EchoServer::bind_to("127.0.0.1:0", Echo);
}
