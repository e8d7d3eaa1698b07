use sockserv::prelude::*;
use sockserv::bytes::BytesMut;
use sockserv::codec::{Decoder, Encoder, FrameError};

struct Numbers(u8);

impl Decoder for Numbers {
    type Item = u64;
    type Error = FrameError;

    fn decode(&mut self, _src: &mut BytesMut) -> Result<Option<u64>, FrameError> {
        Ok(None)
    }
}

impl Encoder<u64> for Numbers {
    type Error = FrameError;

    fn encode(&mut self, _item: u64, _dst: &mut BytesMut) -> Result<(), FrameError> {
        Ok(())
    }
}

#[derive(Clone)]
struct Echo;

#[server(tcp, codec = Numbers)]
impl Echo {
    fn message(&mut self, number: u64, replies: &mut Replies<Numbers>) -> io::Result<()> {
        replies.send(number)
    }
}

fn main() {}
