use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp, fixed(4, max = 8))]
impl Echo {
    fn message(&mut self, line: Bytes, replies: &mut Replies) -> io::Result<()> {
        replies.send(line)
    }
}

fn main() {}
