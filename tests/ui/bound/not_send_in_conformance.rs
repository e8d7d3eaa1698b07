use std::rc::Rc;

use sockserv::prelude::*;

#[derive(Clone)]
struct Counter {
    total: Rc<u64>,
}

#[server(tcp)]
impl Counter {
    fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
        writeln!(stream, "{}", self.total)
    }
}

fn main() {
    sockserv::conformance!(Counter { total: Rc::new(0) }, |peer| peer.expect_line("0"));
}
