//! Message handlers in every right form, in a crate that allows no warning.

#![deny(missing_docs, warnings, unreachable_pub, missing_debug_implementations, unused_qualifications)]
#![forbid(unsafe_code)]

use std::fmt::Debug;

use sockserv::bytes::BytesMut;
use sockserv::codec::{Decoder, Encoder, FrameError};
use sockserv::prelude::*;

const MAX: usize = 80;
const END: &[u8] = b"\r\n.\r\n";

const fn length() -> usize {
    12
}

/// Declares an echo server of this framing under every transport and model that are named.
macro_rules! echoes {
    ($($name:ident: $transport:ident, $model:ident, $framing:ident($($options:tt)*);)*) => {$(
        #[derive(Clone)]
        struct $name;

        #[server($transport, $model, $framing($($options)*))]
        impl $name {
            fn message(&mut self, message: Bytes, replies: &mut Replies) -> io::Result<()> {
                replies.send(message)
            }
        }
    )*};
}

echoes! {
    Lines0: tcp, sync, lines();
    Lines1: udp, threading, lines(max = "8 KiB", ending = "\n", on_overflow = "error");
    Lines2: unix, pool, lines(max = MAX, ending = "\r\n", on_overflow = "discard");
    Lines3: unix_datagram, forking, lines(ending = any, on_overflow = "close", max = 2 * MAX);
    Lines4: tcp, prefork, lines(ending = "any");
    Delimited0: tcp, sync, delimited(b"\0");
    Delimited1: tcp, sync, delimited(END, max = 80, on_overflow = "close");
    Length0: tcp, sync, length_prefixed(u8);
    Length1: tcp, sync, length_prefixed(u16_be, max = 65535);
    Length2: udp, sync, length_prefixed(u16_le, max = 65533, includes_itself);
    Length3: tcp, sync, length_prefixed(u32_be, max = "1 GiB", includes_itself = false);
    Length4: tcp, sync, length_prefixed(u32_le, on_overflow = "discard");
    Length5: tcp, sync, length_prefixed(varint, max = MAX, includes_itself = true);
    Fixed0: tcp, sync, fixed(16);
    Fixed1: tcp, sync, fixed("1 KiB");
    Fixed2: udp, sync, fixed(length());
    Records0: tcp, sync, record_marking();
    Records1: tcp, sync, record_marking(max = "64 KiB", on_overflow = "error");
}

macro_rules! framed {
    ($name:ident, $framing:expr, $max:literal, $message:ty, $replies:ty) => {
        #[derive(Clone)]
        struct $name;

        #[server(tcp, udp, length_prefixed($framing, max = $max))]
        impl $name {
            fn message(&mut self, _message: $message, _replies: $replies) {}
        }
    };
}

framed!(ByMacro, u8, 200, Bytes, &mut Replies<'_>);

/// Numbers of one byte.
#[derive(Debug, Default)]
pub struct Numbers;

impl Decoder for Numbers {
    type Item = u8;
    type Error = FrameError;

    fn decode(&mut self, src: &mut BytesMut) -> Result<Option<u8>, FrameError> {
        Ok(match src.is_empty() {
            true => None,
            false => src.split_to(1).first().copied(),
        })
    }
}

impl Encoder<u8> for Numbers {
    type Error = FrameError;

    fn encode(&mut self, item: u8, dst: &mut BytesMut) -> Result<(), FrameError> {
        dst.extend_from_slice(&[item]);
        Ok(())
    }
}

/// Doubles.
#[derive(Clone, Debug)]
pub struct Double<T>(pub T);

#[server(tcp, threading, codec = Numbers, addr = "127.0.0.1:0", vis = pub)]
impl<T: Debug> Double<T>
where
    T: Copy + Into<u8>,
{
    fn setup(&mut self, _stream: &mut Stream) {}

    #[cfg(unix)]
    fn message(&mut self, number: u8, replies: &mut Replies<Numbers>) -> io::Result<()> {
        replies.send(number.wrapping_mul(self.0.into()))
    }

    #[cfg(not(unix))]
    fn message(&mut self, number: u16) {}

    fn frame_error(&mut self, error: FrameError, replies: &mut Replies<Numbers>) -> Outcome {
        replies.send(0)?;
        Err(error.into())
    }

    fn finish(&mut self, _stream: &mut Stream) {}

    fn handle_error(&mut self, _error: &RequestError, _peer: &Address) {}
}

/// Counts, and says nothing.
#[derive(Clone, Debug, Default)]
pub struct Count {
    seen: usize,
}

#[server(tcp, udp, pool(workers = 2), lines)]
impl Count {
    fn message(&mut self, line: Bytes) -> Result<(), String> {
        self.seen += line.len();
        Ok(())
    }

    fn frame_error(&mut self, _error: FrameError, replies: &mut Replies) {
        replies.close();
    }
}

fn main() {
    let _names = (Lines0Server::run, Lines1Server::run, Lines2Server::run, Lines3Server::run, Lines4Server::run);
    let _names = (Delimited0Server::run, Delimited1Server::run, Length0Server::run, Length1Server::run);
    let _names = (Length2Server::run, Length3Server::run, Length4Server::run, Length5Server::run);
    let _names = (Fixed0Server::run, Fixed1Server::run, Fixed2Server::run, Records0Server::run, Records1Server::run);
    let _names = (ByMacroServer::run, CountServer::run, DoubleServer::bind(Double(2_u8)));
}
