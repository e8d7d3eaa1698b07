use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp)]
impl StreamHandler for Echo {
    fn handle(&mut self, _stream: &mut Stream) -> Outcome {
        Ok(())
    }
}

fn main() -> io::Result<()> {
    EchoServer::bind_to("127.0.0.1:0", Echo)?.run()
}
