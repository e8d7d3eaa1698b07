use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp)]
impl Echo {
    fn handel(&mut self, _stream: &mut Stream) {}
}

fn main() -> io::Result<()> {
    EchoServer::bind_to("127.0.0.1:0", Echo)?.run()
}
