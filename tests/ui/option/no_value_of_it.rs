use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp, name = "Parrot", vis = public, backlog = let, addr = :7007, observer = 5)]
impl Echo {
    fn handle(&mut self, _stream: &mut Stream) {}
}

fn main() -> io::Result<()> {
    Parrot::bind(Echo)?.run()
}
