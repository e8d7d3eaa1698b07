use sockserv::prelude::*;
use sockserv::command::CommandError;
use sockserv::bytes::BytesMut;
use sockserv::codec::{Decoder, Encoder, FrameError};

#[derive(Default)]
struct Numbers(u8);

impl Decoder for Numbers {
    type Item = Vec<Bytes>;
    type Error = FrameError;

    fn decode(&mut self, _src: &mut BytesMut) -> Result<Option<Vec<Bytes>>, FrameError> {
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
    #[command("GET")]
    fn get(&mut self) -> String {
        String::new()
    }

    fn command_error(&mut self, _error: &CommandError, _replies: &mut Replies<Numbers>) {}
}

fn main() {}
