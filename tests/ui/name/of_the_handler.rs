use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp, name = Echo)]
impl Echo {
    fn handle(&mut self, _stream: &mut Stream) {}
}

fn main() {
    let _ = EchoServer::bind_to("127.0.0.1:0", Echo);
}
