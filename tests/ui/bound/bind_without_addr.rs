use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp)]
impl Echo {
    fn handle(&mut self, _stream: &mut Stream) {}
}

fn main() -> io::Result<()> {
    EchoServer::bind(Echo)?.run()
}
