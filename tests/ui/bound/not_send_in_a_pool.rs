use sockserv::prelude::*;

use std::rc::Rc;

#[derive(Clone)]
struct Echo(Rc<str>);

#[server(tcp, pool(workers = 8))]
impl Echo {
    fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
        stream.wfile.write_all(self.0.as_bytes())
    }
}

fn main() {}
