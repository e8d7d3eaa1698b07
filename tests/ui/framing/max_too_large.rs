use sockserv::prelude::*;

#[derive(Clone)]
struct First;

#[server(tcp, length_prefixed(u8, max = 256))]
impl First {
    fn message(&mut self, line: Bytes, replies: &mut Replies) -> io::Result<()> {
        replies.send(line)
    }
}

#[derive(Clone)]
struct Second;

#[server(tcp, length_prefixed(u16_le, max = "64 KiB"))]
impl Second {
    fn message(&mut self, line: Bytes, replies: &mut Replies) -> io::Result<()> {
        replies.send(line)
    }
}

#[derive(Clone)]
struct Third;

#[server(tcp, length_prefixed(u16_be, includes_itself, max = 65535))]
impl Third {
    fn message(&mut self, line: Bytes, replies: &mut Replies) -> io::Result<()> {
        replies.send(line)
    }
}

fn main() {}
