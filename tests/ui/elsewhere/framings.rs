use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(
    tcp,
    framing = Lines,
    decoder = MyCodec,
    encoder = MyCodec,
    LineReceiver,
    LinesCodec,
    LengthDelimitedCodec,
    Int16StringReceiver,
    delimiter = b"\0",
    case_insensitive,
)]
impl Echo {
    fn handle(&mut self, _stream: &mut Stream) {}
}

fn main() {}
