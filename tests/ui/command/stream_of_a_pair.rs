use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp, udp, lines)]
impl Echo {
    #[command("DATA")]
    fn data(&mut self, _stream: &mut Stream) {}
}

fn main() {}
