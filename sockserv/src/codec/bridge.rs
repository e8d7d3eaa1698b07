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
    use tokio_util::codec::{Decoder as _, Encoder as _, LengthDelimitedCodec};

    use crate::codec::{Bridge, Decoder, Encoder, Lines};

    #[test]
    fn theirs_as_ours_and_ours_as_theirs() {
        let mut theirs = Bridge(LengthDelimitedCodec::new());
        let mut bytes = super::BytesMut::new();
        Encoder::encode(&mut theirs, "frame".into(), &mut bytes).expect("a frame");
        let frame = Decoder::decode(&mut theirs, &mut bytes).expect("no error");
        assert_eq!(frame.expect("a frame"), "frame");
        bytes.extend_from_slice(b"\0");
        assert!(Decoder::decode_eof(&mut theirs, &mut bytes).is_err());
        assert!(matches!(
            Decoder::decode_eof(&mut theirs, &mut bytes),
            Ok(None)
        ));

        let mut ours = codec(Bridge(Lines::new(5)));
        ours.encode("line", &mut bytes).expect("a line");
        let line = ours.decode(&mut bytes).expect("no error");
        assert_eq!(line.expect("a line"), "line");
    }

    fn codec<C: for<'a> tokio_util::codec::Encoder<&'a str> + tokio_util::codec::Decoder>(
        codec: C,
    ) -> C {
        codec
    }
}
