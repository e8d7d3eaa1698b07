use sockserv::prelude::*;

#[derive(Clone)]
struct Echo<'a>(&'a str);

#[server(tcp)]
impl Echo<'_> {
    fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
        stream.wfile.write_all(self.0.as_bytes())
    }
}

fn main() {}
