use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp, prefork(workers = 4))]
impl Echo {
    fn handle(&mut self, _stream: &mut Stream) {}
}

fn main() -> io::Result<()> {
    let running = EchoServer::bind_to("127.0.0.1:0", Echo)?.spawn()?;
    drop(running);
    Ok(())
}
