use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp)]
impl Echo {
    fn message(&mut self, _line: Bytes, _replies: &mut Replies) {}
}

fn main() {}
