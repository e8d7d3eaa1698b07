//! [`DatagramTest`]: a script of packets, and its run.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use rustix::io::Errno;

use super::client::quoted;
use super::ground::Ground;
use super::memory::Written;
use super::record::Record;
use crate::address::Address;
use crate::listener::packets::Packet;
use crate::listener::{Arrived, Incoming};
use crate::options::Options;
use crate::requests::lock;
use crate::server::declare::Declaration;

/// What peers send to a datagram server, packet by packet. Made by [`datagram`](super::datagram).
///
/// Each packet is a request of its own, with a clone of the handler, and the next one comes when it has ended.
///
/// # Examples
///
/// ```
/// use sockserv::prelude::*;
/// use sockserv::testing;
///
/// #[derive(Clone)]
/// struct Upper;
///
/// #[server(udp)]
/// impl Upper {
///     fn verify_request(&self, peer: &Address) -> bool {
///         peer.as_inet().is_some_and(|peer| peer.ip().is_loopback())
///     }
///
///     fn handle(&mut self, datagram: &mut Datagram) -> io::Result<()> {
///         let reply = datagram.packet().to_ascii_uppercase();
///         datagram.wfile.write_all(&reply)
///     }
/// }
///
/// let record = testing::datagram(Upper).sends("one").sends("two").run();
/// assert_eq!(record.pieces(), [b"ONE", b"TWO"]);
///
/// let stranger: std::net::SocketAddr = "192.0.2.1:7".parse()?;
/// testing::datagram(Upper).sends("one").expects("ONE").peer(stranger).sends("two").expects_nothing().run();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "nothing happens until `run`"]
pub struct DatagramTest<H> {
    handler: H,
    steps: Vec<Step>,
    options: Options,
}

#[derive(Clone, Debug)]
enum Step {
    Sends(Vec<u8>),
    Expects(Vec<u8>),
    ExpectsNothing,
    Peer(Address),
    Leaves,
}

/// The replies so far.
#[derive(Debug, Default)]
struct Replies {
    written: Written,
    /// How many of them a step has asked for.
    expected: usize,
    /// Whether nobody is there any more to take them.
    is_refused: bool,
}

impl<H: Declaration> DatagramTest<H> {
    pub(super) fn new(handler: H) -> Self {
        Self {
            handler,
            steps: Vec::new(),
            options: H::options(),
        }
    }

    /// The peer sends a packet.
    pub fn sends(self, packet: impl AsRef<[u8]>) -> Self {
        self.step(Step::Sends(packet.as_ref().to_vec()))
    }

    /// The next reply must be this packet: [`run`](Self::run) panics, with the number of this step, if it is another, or none
    /// has come.
    pub fn expects(self, packet: impl AsRef<[u8]>) -> Self {
        self.step(Step::Expects(packet.as_ref().to_vec()))
    }

    /// All replies so far were expected by the steps before.
    pub fn expects_nothing(self) -> Self {
        self.step(Step::ExpectsNothing)
    }

    /// What follows is sent by this peer: by `127.0.0.1:49152` if nothing is said.
    pub fn peer(self, peer: impl Into<Address>) -> Self {
        self.step(Step::Peer(peer.into()))
    }

    /// The peers have left: replies to what follows are refused.
    pub fn leaves(self) -> Self {
        self.step(Step::Leaves)
    }

    /// Changes options that the attribute has set: `.options(|it| it.max_packet_size(512))`.
    pub fn options(mut self, change: impl FnOnce(Options) -> Options) -> Self {
        self.options = change(self.options);
        self
    }

    fn step(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// Serves the packets on this thread, each from `verify_request` to its end, and returns what became of them.
    ///
    /// # Panics
    ///
    /// Panics if a reply is not what the script expects.
    #[track_caller]
    pub fn run(self) -> Record {
        let most = self.options.max_packet_size;
        let ground = Ground::new(self.handler, self.options);
        let replies = Arc::new(Mutex::new(Replies::default()));
        let mut peer = super::somebody();
        for (number, step) in (1..).zip(self.steps) {
            let result = match step {
                Step::Sends(bytes) => {
                    let incoming = packet(bytes, most, &replies);
                    ground.serve(incoming, &peer, |_| ());
                    Ok(())
                }
                Step::Expects(packet) => lock(&replies).expect(&packet),
                Step::ExpectsNothing => lock(&replies).expect_nothing(),
                Step::Peer(next) => {
                    peer = next;
                    Ok(())
                }
                Step::Leaves => {
                    lock(&replies).is_refused = true;
                    Ok(())
                }
            };
            if let Err(why) = result {
                panic!("step {number}: {why}");
            }
        }
        let written = std::mem::take(&mut lock(&replies).written);
        Record::new(written, ground.finish())
    }
}

/// A packet as it would have been received, whose replies are kept.
fn packet(mut bytes: Vec<u8>, most: usize, replies: &Arc<Mutex<Replies>>) -> Incoming {
    let is_truncated = bytes.len() > most;
    bytes.truncate(most);
    let replies = Arc::clone(replies);
    let reply = move |bytes: &[u8]| {
        let mut replies = lock(&replies);
        if replies.is_refused {
            return Err(Errno::CONNREFUSED.into());
        }
        replies.written.push(bytes);
        Ok(())
    };
    let mut packet = Packet::new(Bytes::from(bytes), Some(Arc::new(reply)));
    packet.is_truncated = is_truncated;
    Incoming {
        arrived: Arrived::Packet(packet),
    }
}

impl Replies {
    fn expect(&mut self, packet: &[u8]) -> Result<(), String> {
        let came = self.written.pieces().get(self.expected).copied();
        let why = match came {
            Some(came) if came == packet => {
                self.expected += 1;
                return Ok(());
            }
            Some(came) => format!("{} came", quoted(came)),
            None => "no reply came".into(),
        };
        Err(format!("expects({}): {why}", quoted(packet)))
    }

    fn expect_nothing(&self) -> Result<(), String> {
        match self.written.pieces().get(self.expected) {
            None => Ok(()),
            Some(came) => Err(format!("expects_nothing(): {} came", quoted(came))),
        }
    }
}
