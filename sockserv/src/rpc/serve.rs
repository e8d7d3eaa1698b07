//! Calls in, replies out: the dispatch, and the two ways that messages come.

use std::error::Error;
use std::io::Write;

use bytes::Bytes;

use super::message::{Answer, Head, Unheard};
use super::xdr::{Input, Output, XdrError};
use super::{Call, Fault, Service};
use crate::address::Address;
use crate::codec::RecordMarking;
use crate::error::Outcome;
use crate::request::{Datagram, Stream};

/// The longest call on a stream. On datagrams it is `max_packet_size`.
pub(crate) const MAX_RECORD: usize = 1 << 20;

/// Answers the calls of a connection, until it ends.
///
/// # Errors
///
/// The first that a procedure failed with, after it was answered; a broken record; what the transport says.
pub fn serve_stream<S: Service>(service: &mut S, stream: &mut Stream) -> Outcome {
    let peer = stream.peer_addr().clone();
    let mut output = Output::new();
    let mut records = stream.framed(RecordMarking::new(MAX_RECORD));
    while let Some(record) = records.next()? {
        output.clear();
        output.put(&[0; HEAD]);
        let reply = answer(service, Input::new(record), &peer, &mut output);
        if let Reply::None = reply {
            records.stream().link().owe_nothing(); // So a shutdown need not wait for an answer.
            continue;
        }
        output.overwrite(&head(output.as_ref().len() - HEAD)?);
        records.wfile().write_all(output.as_ref())?;
        reply.outcome()?;
    }
    Ok(())
}

/// How many bytes stand before a record.
const HEAD: usize = 4;

/// A reply is a record of one fragment, which its first bit says to be the last: RFC 5531, section 11.
fn head(length: usize) -> Result<[u8; HEAD], &'static str> {
    let length = i32::try_from(length).map_err(|_| "a reply of 2 GiB or more")?;
    Ok((length | i32::MIN).to_be_bytes())
}

/// Answers the one call of a packet.
///
/// # Errors
///
/// What the procedure failed with, after it was answered; what the transport says.
pub fn serve_datagram<S: Service>(service: &mut S, datagram: &mut Datagram) -> Outcome {
    let mut output = Output::new();
    let message = Input::new(datagram.packet().clone());
    let reply = answer(service, message, datagram.peer_addr(), &mut output);
    match reply {
        Reply::None => Ok(()),
        Reply::Complete => Ok(datagram.wfile.write_all(output.as_ref())?),
        Reply::Failed(error) => {
            // A failed request has no reply packet: this one leaves by itself. The peer cannot be told more than once.
            let _ = datagram.send_to(datagram.peer_addr().clone(), output.as_ref());
            Err(error)
        }
    }
}

/// Answers a message that came by something else: returns the reply, if it has one, and what the server's owner is told.
pub fn answer_message<S: Service>(
    service: &mut S,
    message: Bytes,
    peer: &Address,
) -> (Option<Bytes>, Outcome) {
    let mut output = Output::new();
    match answer(service, Input::new(message), peer, &mut output) {
        Reply::None => (None, Ok(())),
        reply => (Some(output.into_bytes()), reply.outcome()),
    }
}

/// What became of a message.
enum Reply {
    /// It was no call.
    None,
    Complete,
    /// It is answered, and the error is to be reported.
    Failed(Box<dyn Error + Send + Sync>),
}

impl Reply {
    fn outcome(self) -> Outcome {
        match self {
            Self::None | Self::Complete => Ok(()),
            Self::Failed(error) => Err(error),
        }
    }
}

/// Appends the reply to a message, if it has one.
fn answer<S: Service>(
    service: &mut S,
    mut message: Input,
    peer: &Address,
    output: &mut Output,
) -> Reply {
    let head = match Head::decode(&mut message) {
        Ok(head) => head,
        Err(Unheard::NoCall) => return Reply::None,
        Err(Unheard::Answered(xid, answer)) => return say(answer, xid, output),
    };
    let (xid, before) = (head.xid, output.as_ref().len());
    if let Err(answer) = find::<S>(&head) {
        return say(answer, xid, output);
    }
    if head.procedure == 0 {
        return say(Answer::Success, xid, output);
    }
    let call = Call::new(head, peer);
    say(Answer::Success, xid, output);
    let result = service.call(&call, &mut message, output);
    let Err(fault) = result else {
        return Reply::Complete;
    };
    output.truncate(before);
    let (answer, error) = fault.into_answer();
    say(answer, xid, output);
    error.map_or(Reply::Complete, Reply::Failed)
}

/// Appends a reply's head.
fn say(answer: Answer, xid: u32, output: &mut Output) -> Reply {
    match answer.encode(xid, output) {
        Ok(()) => Reply::Complete,
        Err(error) => Reply::Failed(error.into()), // Never: words have no maximum.
    }
}

/// Looks for the program and its version.
fn find<S: Service>(head: &Head) -> Result<(), Answer> {
    let program = S::PROGRAMS.iter().find(|one| one.number == head.program);
    let program = program.ok_or(Answer::ProgUnavail)?;
    if program.versions.contains(&head.version) {
        return Ok(());
    }
    let low = program.versions.iter().min().copied().unwrap_or(0);
    let high = program.versions.iter().max().copied().unwrap_or(0);
    Err(Answer::ProgMismatch { low, high })
}

impl Fault {
    /// Returns what the caller is told, and what the server's owner is.
    fn into_answer(self) -> (Answer, Option<Box<dyn Error + Send + Sync>>) {
        match self {
            Self::ProcUnavail => (Answer::ProcUnavail, None),
            Self::GarbageArgs => (Answer::GarbageArgs, None),
            Self::Auth(error) => (Answer::AuthError(error), None),
            Self::SystemErr => (Answer::SystemErr, None),
            Self::Failed(error) => (Answer::SystemErr, Some(error)),
        }
    }
}

/// Takes all arguments of a call; bytes that make none are the caller's mistake.
///
/// # Errors
///
/// [`Fault::GarbageArgs`].
pub fn arguments<T>(
    input: &mut Input,
    decode: impl FnOnce(&mut Input) -> Result<T, XdrError>,
) -> Result<T, Fault> {
    let arguments = decode(input).and_then(|arguments| input.finish().map(|()| arguments));
    arguments.map_err(|_| Fault::GarbageArgs)
}
