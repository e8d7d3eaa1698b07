//! [`Bridge`] to tokio-util's codecs. The traits have the same shape; only their names differ.

use bytes::BytesMut;
use tokio_util::codec;

use crate::codec::{Decoder, Encoder};

/// A codec of tokio-util as one of these, and one of these as a codec of tokio-util.
///
/// A codec of tokio-util never [has ended](Decoder::has_ended); after an error at the end of the stream nothing is left of
/// it.
///
/// # Examples
///
/// ```
/// use sockserv::codec::Bridge;
/// use sockserv::prelude::*;
/// use tokio_util::codec::{LinesCodec, LinesCodecError};
///
/// #[derive(Clone)]
/// struct Shout;
///
/// #[server(tcp, threading, addr = "127.0.0.1:0")]
/// impl Shout {
///     fn handle(&mut self, stream: &mut Stream) -> Result<(), LinesCodecError> {
///         let mut lines = stream.framed(Bridge(LinesCodec::new_with_max_length(80)));
///         while let Some(line) = lines.next()? {
///             lines.send(line.to_uppercase())?;
///         }
///         Ok(())
///     }
/// }
///
/// let server = ShoutServer::bind(Shout)?.spawn()?;
/// let mut client = server.connect()?;
/// client.write_all(b"one\n")?;
/// let mut reply = [0; 4];
/// client.read_exact(&mut reply)?;
/// assert_eq!(&reply, b"ONE\n");
/// # Ok::<(), io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Bridge<C>(pub C);

impl<C: codec::Decoder> Decoder for Bridge<C> {
    type Item = C::Item;
    type Error = C::Error;

    fn decode(&mut self, src: &mut BytesMut) -> Result<Option<C::Item>, C::Error> {
        self.0.decode(src)
    }

    fn decode_eof(&mut self, src: &mut BytesMut) -> Result<Option<C::Item>, C::Error> {
        let item = self.0.decode_eof(src);
        item.inspect_err(|_| src.clear()) // Its default says the same error again and again.
    }
}

impl<C: codec::Encoder<M>, M> Encoder<M> for Bridge<C> {
    type Error = C::Error;

    fn encode(&mut self, message: M, dst: &mut BytesMut) -> Result<(), C::Error> {
        self.0.encode(message, dst)
    }
}

impl<C: Decoder> codec::Decoder for Bridge<C> {
    type Item = C::Item;
    type Error = C::Error;

    fn decode(&mut self, src: &mut BytesMut) -> Result<Option<C::Item>, C::Error> {
        self.0.decode(src)
    }

    fn decode_eof(&mut self, src: &mut BytesMut) -> Result<Option<C::Item>, C::Error> {
        self.0.decode_eof(src)
    }
}

impl<C: Encoder<M>, M> codec::Encoder<M> for Bridge<C> {
    type Error = C::Error;

    fn encode(&mut self, message: M, dst: &mut BytesMut) -> Result<(), C::Error> {
        self.0.encode(message, dst)
    }
}

#[cfg(test)]
mod tests {
    use bytes::{Bytes, BytesMut};
    use tokio_util::codec::LengthDelimitedCodec;

    use super::{Bridge, codec};
    use crate::codec::{Decoder, Encoder, Lines};

    #[test]
    fn theirs_as_ours() {
        let mut theirs = Bridge(LengthDelimitedCodec::new());
        let mut bytes = BytesMut::new();
        let frame = Bytes::from("frame");
        Encoder::encode(&mut theirs, frame.clone(), &mut bytes).expect("a frame");
        let decoded = Decoder::decode(&mut theirs, &mut bytes).expect("no error");
        assert_eq!(decoded.expect("a frame"), frame);
        bytes.extend_from_slice(b"\0");
        assert!(Decoder::decode_eof(&mut theirs, &mut bytes).is_err());
        let end = Decoder::decode_eof(&mut theirs, &mut bytes);
        assert!(matches!(end, Ok(None)));
    }

    #[test]
    fn ours_as_theirs() {
        let mut ours = Bridge(Lines::new(5));
        let mut bytes = BytesMut::new();
        codec::Encoder::encode(&mut ours, "line", &mut bytes).expect("a line");
        assert_eq!(bytes, "line\n");
        let line = codec::Decoder::decode(&mut ours, &mut bytes).expect("no error");
        assert_eq!(line.expect("a line"), "line");
        bytes.extend_from_slice(b"too long");
        assert!(codec::Decoder::decode(&mut ours, &mut bytes).is_err());
    }
}
