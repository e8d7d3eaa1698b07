use sockserv::prelude::*;

#[derive(Clone)]
struct First;

#[server(tcp, lines, delimited(b"\0"))]
impl First {
    fn message(&mut self, line: Bytes, replies: &mut Replies) -> io::Result<()> {
        replies.send(line)
    }
}

#[derive(Clone)]
struct Second;

#[server(tcp, fixed(4), codec = Numbers)]
impl Second {
    fn message(&mut self, line: Bytes, replies: &mut Replies) -> io::Result<()> {
        replies.send(line)
    }
}

fn main() {}
