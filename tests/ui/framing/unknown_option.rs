use sockserv::prelude::*;

#[derive(Clone)]
struct First;

#[server(tcp, lines(maximum = "8 KiB"))]
impl First {
    fn message(&mut self, line: Bytes, replies: &mut Replies) -> io::Result<()> {
        replies.send(line)
    }
}

#[derive(Clone)]
struct Second;

#[server(tcp, delimited(b"\0", ending = any))]
impl Second {
    fn message(&mut self, line: Bytes, replies: &mut Replies) -> io::Result<()> {
        replies.send(line)
    }
}

#[derive(Clone)]
struct Third;

#[server(tcp, record_marking(max_length = "8 KiB"))]
impl Third {
    fn message(&mut self, line: Bytes, replies: &mut Replies) -> io::Result<()> {
        replies.send(line)
    }
}

#[derive(Clone)]
struct Fourth;

#[server(tcp, length_prefixed(u16_be, including))]
impl Fourth {
    fn message(&mut self, line: Bytes, replies: &mut Replies) -> io::Result<()> {
        replies.send(line)
    }
}

fn main() {}
