use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp, lines(ending = all))]
impl Echo {
    fn message(&mut self, line: Bytes, replies: &mut Replies) -> io::Result<()> {
        replies.send(line)
    }
}

fn main() {}
