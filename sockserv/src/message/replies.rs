//! [`Replies`]: what a message is answered with.

use std::fmt;
use std::io::{self, Write};

use bytes::BytesMut;

use super::Frames;
use crate::address::Address;
use crate::codec::Encoder;
use crate::request::{Datagram, Received, Request, Sender, Stream};
use crate::requests::ServerHandle;

/// Answers a message: none, one or several times.
///
/// [`send`](Self::send) frames what it is given; [`Write`] sends bytes as they are. Both are buffered, and leave when no
/// further message has come, so that the replies to pipelined messages leave together; what is more than `wbufsize` is sent
/// at once, and a peer that does not read its replies is not read from. On a datagram server all of it is the one packet of
/// the reply, an empty one if an empty message was sent.
///
/// With an own codec in the attribute the type says so: `replies: &mut Replies<MyCodec>`.
pub struct Replies<'a, C: ?Sized = dyn Frames> {
    to: To<'a>,
    codec: &'a mut C,
    closes: &'a mut bool,
}

enum To<'a> {
    Stream(&'a mut Stream, &'a mut Received),
    Datagram(&'a mut Datagram),
}

impl<'a, C: ?Sized> Replies<'a, C> {
    pub(super) fn of_stream(
        stream: &'a mut Stream,
        received: &'a mut Received,
        codec: &'a mut C,
        closes: &'a mut bool,
    ) -> Self {
        let to = To::Stream(stream, received);
        Self { to, codec, closes }
    }

    pub(super) fn of_packet(
        datagram: &'a mut Datagram,
        codec: &'a mut C,
        closes: &'a mut bool,
    ) -> Self {
        let to = To::Datagram(datagram);
        Self { to, codec, closes }
    }

    /// Sends one message.
    ///
    /// # Errors
    ///
    /// If the codec cannot encode it, and nothing of it is sent then; or what the transport says.
    pub fn send<M>(&mut self, message: M) -> io::Result<()>
    where
        C: Encoder<M>,
        io::Error: From<C::Error>,
    {
        match &mut self.to {
            To::Stream(stream, _) => stream.append(|unsent| self.codec.encode(message, unsent))?,
            To::Datagram(datagram) => {
                let mut packet = BytesMut::new();
                self.codec.encode_packet(message, &mut packet)?;
                datagram.wfile.write_all(&packet)?;
            }
        }
        Ok(())
    }

    /// Whether the message was a packet.
    #[cfg(feature = "rpc")]
    pub(crate) fn is_packet(&self) -> bool {
        matches!(self.to, To::Datagram(_))
    }

    /// Sends a packet at once, if the message was one: a failed request has no reply packet.
    #[cfg(feature = "rpc")]
    pub(crate) fn send_packet(&self, packet: &[u8]) -> bool {
        let To::Datagram(datagram) = &self.to else {
            return false;
        };
        // There is nobody left to tell that it could not be sent.
        let _ = datagram.send_to(datagram.peer_addr().clone(), packet);
        true
    }

    /// Ends the connection behind this message: what was sent still leaves, and what the peer has sent behind it is not
    /// looked at. On a datagram server there is nothing to end.
    pub fn close(&mut self) {
        *self.closes = true;
    }

    /// Returns who sent the message.
    #[must_use]
    pub fn peer_addr(&self) -> &Address {
        match &self.to {
            To::Stream(stream, _) => stream.peer_addr(),
            To::Datagram(datagram) => datagram.peer_addr(),
        }
    }

    /// Returns the address that it came to.
    #[must_use]
    pub fn local_addr(&self) -> &Address {
        match &self.to {
            To::Stream(stream, _) => Request::local_addr(*stream),
            To::Datagram(datagram) => Request::local_addr(*datagram),
        }
    }

    /// Returns the server that it came to.
    #[must_use]
    pub fn server(&self) -> &ServerHandle {
        match &self.to {
            To::Stream(stream, _) => stream.server(),
            To::Datagram(datagram) => datagram.server(),
        }
    }

    /// Returns a way to send to this peer from anywhere in the process; nothing on a datagram server. It sends bytes as they
    /// are: their framing is the sender's to write, or that of [`codec`](Self::codec).
    ///
    /// # Examples
    ///
    /// ```
    /// use sockserv::bytes::BytesMut;
    /// use sockserv::codec::Encoder;
    /// use sockserv::prelude::*;
    /// # use sockserv::testing::Client;
    ///
    /// #[derive(Clone)]
    /// struct Twice;
    ///
    /// #[server(tcp, threading, length_prefixed(u8))]
    /// impl Twice {
    ///     fn message(&mut self, message: Bytes, replies: &mut Replies) -> io::Result<()> {
    ///         let mut framed = BytesMut::new();
    ///         replies.codec().encode(&message, &mut framed)?;
    ///         if let Some(sender) = replies.sender() {
    ///             std::thread::spawn(move || sender.send(framed)).join().unwrap()?;
    ///         }
    ///         replies.send(message)
    ///     }
    /// }
    ///
    /// let server = TwiceServer::bind_to("127.0.0.1:0", Twice)?.spawn()?;
    /// Client::connect(&server).send("\x02hi").expect("\x02hi\x02hi");
    /// # Ok::<(), io::Error>(())
    /// ```
    #[must_use]
    pub fn sender(&self) -> Option<Sender> {
        match &self.to {
            To::Stream(stream, _) => Some(stream.sender()),
            To::Datagram(_) => None,
        }
    }

    /// Returns the codec, as it stands between this message and the next.
    pub fn codec(&mut self) -> &mut C {
        self.codec
    }

    /// Lends the stream itself, for what is no message: `rfile` begins behind this message, and what is left in it when
    /// `talk` returns is decoded as the next messages. `None` on a datagram server.
    ///
    /// Other messages may have come together with this one. A change of the protocol that a third party must not be able to
    /// forge, such as STARTTLS, is to be refused while `stream.rfile.buffer()` is not empty.
    pub fn with_stream<T>(&mut self, talk: impl FnOnce(&mut Stream) -> T) -> Option<T> {
        match &mut self.to {
            To::Stream(stream, received) => {
                received.put_back(stream);
                let result = talk(stream);
                received.take_from(stream);
                Some(result)
            }
            To::Datagram(_) => None,
        }
    }
}

impl<C: ?Sized> Write for Replies<'_, C> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.to {
            To::Stream(stream, _) => stream.wfile.write(bytes),
            To::Datagram(datagram) => datagram.wfile.write(bytes),
        }
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write(bytes).map(drop) // Either takes all, and of nothing a packet is made, too.
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.to {
            To::Stream(stream, _) => stream.wfile.flush(),
            To::Datagram(datagram) => datagram.wfile.flush(),
        }
    }
}

impl<C: ?Sized> fmt::Debug for Replies<'_, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replies")
            .field("peer", self.peer_addr())
            .finish_non_exhaustive()
    }
}
