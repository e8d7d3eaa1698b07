//! Opcodes in every right form, in a crate that allows no warning.

#![deny(missing_docs, warnings, unreachable_pub, missing_debug_implementations, unused_qualifications)]
#![forbid(unsafe_code)]

use sockserv::command::{Close, CommandError};
use sockserv::prelude::*;

const STATE: u8 = 0x07;
const RESET: u32 = 0xffff;

/// Answers numbers.
#[derive(Clone, Debug)]
pub struct Device<T>(pub T);

#[server(tcp, pool, length_prefixed(u16_be), opcode(u16_le, at = 2), vis = pub)]
impl<T: AsRef<[u8]>> Device<T> {
    #[opcode(0x01, 0x02)]
    fn get(&mut self, payload: Bytes) -> Bytes {
        payload
    }

    #[opcode(b'x', STATE)]
    fn state(&mut self, _payload: &[u8], head: &[u8], replies: &mut Replies) -> io::Result<()> {
        replies.send(head)
    }

    #[opcode(3)]
    fn data(&mut self, _payload: Bytes, _head: Bytes, stream: &mut Stream) -> Result<Option<Vec<u8>>, io::Error> {
        stream.rfile.read_bytes(2).map(|bytes| Some(bytes.to_vec()))
    }

    #[cfg(unix)]
    #[opcode(4)]
    fn name(&self) -> &T {
        &self.0
    }

    #[cfg(not(unix))]
    #[opcode(4)]
    fn name(&self) -> NoSuchType {}

    #[opcode(RESET)]
    fn reset(&mut self) -> Close {
        Close(())
    }

    fn command_error(&mut self, error: &CommandError, replies: &mut Replies) -> Outcome {
        Ok(replies.send(error.to_string())?)
    }
}

macro_rules! opcodes {
    ($name:ident, $framing:ident($($first:tt)*), $width:ident, $number:literal, $payload:ty) => {
        #[derive(Clone)]
        struct $name;

        #[server(tcp, udp, $framing($($first)*), opcode($width))]
        impl $name {
            #[opcode($number)]
            fn get(&mut self, _payload: $payload) -> &'static [u8] {
                b"got"
            }
        }
    };
}

opcodes!(First, lines(max = 80), u8, 0xff, &[u8]);
opcodes!(Second, fixed(9), u32_be, 70_000, Bytes);
opcodes!(Third, delimited(b"\0"), u32_le, 1, &[u8]);
opcodes!(Fourth, record_marking(), u16_be, 0, Bytes);

fn main() {
    let _names = (FirstServer::run, SecondServer::run, ThirdServer::run, FourthServer::run);
    let _bound = DeviceServer::bind_to("127.0.0.1:0", Device("name"));
}
