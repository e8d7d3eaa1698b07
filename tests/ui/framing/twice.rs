use sockserv::prelude::*;

#[derive(Clone)]
struct First;

#[server(tcp, lines, lines(max = 80))]
impl First {
    fn message(&mut self, line: Bytes, replies: &mut Replies) -> io::Result<()> {
        replies.send(line)
    }
}

#[derive(Clone)]
struct Second;

#[server(tcp, lines(max = 80, max = 90))]
impl Second {
    fn message(&mut self, line: Bytes, replies: &mut Replies) -> io::Result<()> {
        replies.send(line)
    }
}

fn main() {}
