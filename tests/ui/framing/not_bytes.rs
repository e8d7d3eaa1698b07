use sockserv::prelude::*;

#[derive(Clone)]
struct Shout;

#[server(tcp, lines)]
impl Shout {
    fn message(&mut self, line: String, replies: &mut Replies) -> io::Result<()> {
        replies.send(line)
    }
}

#[derive(Clone)]
struct Whisper;

#[server(tcp, length_prefixed(u16_be))]
impl Whisper {
    fn message(&mut self, packet: &[u8], replies: &mut Replies) -> io::Result<()> {
        replies.send(packet)
    }
}

fn main() {}
