//! A caller of the cells' procedures: its calls as bytes, and the replies to them.

use sockserv::bytes::{Bytes, BytesMut};
use sockserv::codec::{Decoder, Encoder, RecordMarking};

use crate::{Client, Server};

/// The program of the cells.
pub const PROGRAM: u32 = 0x2000_0300;
/// Its only version.
pub const VERSION: u32 = 1;

/// What is called: the numbers of a program, of its version and of a procedure.
pub type Procedure = [u32; 3];

/// Every program has it.
pub const NULL: Procedure = [PROGRAM, VERSION, 0];
/// Results in its argument.
pub const ECHO: Procedure = [PROGRAM, VERSION, 1];
/// Fails as its argument says: `error` or `panic`.
pub const FAIL: Procedure = [PROGRAM, VERSION, 2];
/// Has `finish` fail so.
pub const FINISH_FAILS: Procedure = [PROGRAM, VERSION, 3];
/// Waits until somebody opens the pipe.
pub const GATE: Procedure = [PROGRAM, VERSION, 4];

/// The longest record that a cell takes, or sends.
const MAX: usize = 1 << 20;

/// A call with no credentials: RFC 5531, section 9.
#[must_use]
pub fn call(xid: u32, [program, version, procedure]: Procedure, argument: &str) -> Vec<u8> {
    let length = u32::try_from(argument.len()).expect("a short one");
    let head = [xid, 0, 2, program, version, procedure, 0, 0, 0, 0, length];
    let mut call: Vec<u8> = head.into_iter().flat_map(u32::to_be_bytes).collect();
    call.extend_from_slice(argument.as_bytes());
    call.resize(call.len().next_multiple_of(4), 0);
    call
}

/// A call as a record of one fragment.
#[must_use]
pub fn record(call: &[u8]) -> Vec<u8> {
    let mut record = BytesMut::new();
    let encoded = RecordMarking::new(MAX).encode(call, &mut record);
    encoded.expect("it is short enough");
    record.into()
}

/// A client that reads replies.
#[derive(Debug)]
pub struct Caller {
    /// The connection, or the datagram socket.
    pub client: Client,
    is_stream: bool,
    records: RecordMarking,
    received: BytesMut,
}

impl Caller {
    /// Connects to a server.
    #[must_use]
    pub fn of(server: &Server) -> Self {
        Self {
            client: server.connect(),
            is_stream: server.cell().is_stream(),
            records: RecordMarking::new(MAX),
            received: BytesMut::new(),
        }
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) {
        self.client.send_bytes(bytes).expect("they are taken");
    }

    /// Sends a call: a record, or a packet.
    pub fn call(&mut self, xid: u32, procedure: Procedure, argument: &str) {
        let call = call(xid, procedure, argument);
        match self.is_stream {
            true => self.send(&record(&call)),
            false => self.send(&call),
        }
    }

    /// Insists on the reply to this call: the result, or the state in which it was accepted otherwise.
    pub fn expect(&mut self, xid: u32, wanted: Result<&str, u32>) {
        let reply = self.reply();
        let told = read(&reply).unwrap_or_else(|| panic!("{} got {reply:?}", self.client.name()));
        assert_eq!(told, (xid, wanted));
    }

    /// Calls `echo` and insists on its result.
    pub fn echo(&mut self, xid: u32, text: &str) {
        self.call(xid, ECHO, text);
        self.expect(xid, Ok(text));
    }

    /// Insists on end-of-file with nothing before it.
    pub fn expect_end(&mut self) {
        assert!(self.received.is_empty(), "got {:?}", self.received);
        self.client.expect_end();
    }

    fn reply(&mut self) -> Bytes {
        let mut buffer = vec![0; 1 << 16];
        loop {
            let record = self.records.decode(&mut self.received);
            if let Some(reply) = record.expect("records") {
                return reply;
            }
            let count = self.client.read(&mut buffer).expect("a reply");
            match self.is_stream {
                true => assert_ne!(count, 0, "{} got no reply", self.client.name()),
                false => return Bytes::copy_from_slice(&buffer[..count]),
            }
            self.received.extend_from_slice(&buffer[..count]);
        }
    }
}

/// Takes a reply to an accepted call apart: RFC 5531, section 9.
fn read(reply: &[u8]) -> Option<(u32, Result<&str, u32>)> {
    let (words, _) = reply.as_chunks();
    let words: Vec<_> = words.iter().copied().map(u32::from_be_bytes).collect();
    match words[..] {
        [xid, 1, 0, 0, 0, 0] => Some((xid, Ok(""))),
        [xid, 1, 0, 0, 0, 0, length, ..] => {
            let (text, padding) = reply[28..].split_at_checked(length as usize)?;
            let is_padded = padding.len() == text.len().wrapping_neg() % 4;
            let text = str::from_utf8(text).ok().filter(|_| is_padded)?;
            Some((xid, Ok(text)))
        }
        [xid, 1, 0, 0, 0, fault, ..] => Some((xid, Err(fault))),
        _ => None,
    }
}
