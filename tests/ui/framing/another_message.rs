use sockserv::prelude::*;

#[derive(Clone)]
struct First;

#[server(tcp, lines)]
impl First {
    fn message(&mut self, line: u64, replies: &mut Replies) -> io::Result<()> {
        replies.send(line.to_string())
    }
}

#[derive(Clone)]
struct Second;

#[server(tcp, lines)]
impl Second {
    fn message(&mut self, line: Bytes, replies: &mut Stream) -> io::Result<()> {
        replies.wfile.write_all(&line)
    }
}

#[derive(Clone)]
struct Third;

#[server(tcp, lines)]
impl Third {
    fn message(&mut self, line: Bytes) -> usize {
        line.len()
    }
}

fn main() {}
