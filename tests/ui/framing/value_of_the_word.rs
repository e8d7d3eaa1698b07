use sockserv::prelude::*;

#[derive(Clone)]
struct First;

#[server(tcp, lines = "8 KiB")]
impl First {
    fn message(&mut self, line: Bytes, replies: &mut Replies) -> io::Result<()> {
        replies.send(line)
    }
}

#[derive(Clone)]
struct Second;

#[server(tcp, fixed = 16)]
impl Second {
    fn message(&mut self, line: Bytes, replies: &mut Replies) -> io::Result<()> {
        replies.send(line)
    }
}

fn main() {}
