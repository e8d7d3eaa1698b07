use sockserv::prelude::*;

use std::rc::Rc;

#[derive(Clone)]
struct Echo(Rc<str>);

#[server(tcp)]
impl Echo {
    fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
        stream.wfile.write_all(self.0.as_bytes())
    }
}

fn main() -> io::Result<()> {
    let running = EchoServer::bind_to("127.0.0.1:0", Echo("hello".into()))?.spawn()?;
    drop(running);
    Ok(())
}
