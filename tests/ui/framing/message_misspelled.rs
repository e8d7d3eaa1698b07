use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp, lines)]
impl Echo {
    fn mesage(&mut self, _line: Bytes, _replies: &mut Replies) {}
}

fn main() {}
