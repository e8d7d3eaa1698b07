use sockserv::prelude::*;
use sockserv::testing;

#[derive(Clone)]
struct Upper;

#[server(udp)]
impl Upper {
    fn handle(&mut self, datagram: &mut Datagram) -> io::Result<()> {
        let reply = datagram.packet().to_ascii_uppercase();
        datagram.wfile.write_all(&reply)
    }
}

fn main() {
    testing::stream(Upper).sends("hello").run();
}
