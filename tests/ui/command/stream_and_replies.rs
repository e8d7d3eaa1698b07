use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp, lines)]
impl Echo {
    #[command("DATA")]
    fn data(&mut self, _stream: &mut Stream, _replies: &mut Replies) {}
}

fn main() {}
