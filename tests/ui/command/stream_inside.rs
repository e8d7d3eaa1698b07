use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp, lines)]
impl Echo {
    #[command("DATA")]
    fn data(&mut self, _stream: Option<&mut Stream>) {}

    #[command("LIST")]
    fn list(&mut self, _replies: Vec<&mut Replies<'_>>) {}
}

fn main() {}
