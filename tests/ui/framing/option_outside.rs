use sockserv::prelude::*;

#[derive(Clone)]
struct First;

#[server(tcp, delimited(b"\0"), max = "8 KiB")]
impl First {
    fn message(&mut self, line: Bytes, replies: &mut Replies) -> io::Result<()> {
        replies.send(line)
    }
}

#[derive(Clone)]
struct Second;

#[server(tcp, lines, ending = any)]
impl Second {
    fn message(&mut self, line: Bytes, replies: &mut Replies) -> io::Result<()> {
        replies.send(line)
    }
}

#[derive(Clone)]
struct Third;

#[server(tcp, length_prefixed(u8), includes_itself)]
impl Third {
    fn message(&mut self, line: Bytes, replies: &mut Replies) -> io::Result<()> {
        replies.send(line)
    }
}

fn main() {}
