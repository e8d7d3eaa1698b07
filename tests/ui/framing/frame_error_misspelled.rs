use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp, lines)]
impl Echo {
    fn message(&mut self, line: Bytes, replies: &mut Replies) -> io::Result<()> {
        replies.send(line)
    }

    fn frame_errors(&mut self, _error: sockserv::codec::FrameError, _replies: &mut Replies) {}
}

fn main() {}
