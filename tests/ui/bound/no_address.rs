use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp)]
impl Echo {
    fn handle(&mut self, _stream: &mut Stream) {}
}

fn main() -> io::Result<()> {
    EchoServer::builder(Echo).addr(7007).bind()?.run()
}
