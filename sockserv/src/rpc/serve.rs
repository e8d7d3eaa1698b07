//! Calls in, replies out.

use std::error::Error;
use std::io::Write;

use bytes::Bytes;

use super::message::{Answer, Head, Unheard};
use super::xdr::{Input, Output, XdrError};
use super::{Call, Fault, Service};
use crate::address::Address;
use crate::codec::RecordMarking;
use crate::error::Outcome;
use crate::guard::Panic;
use crate::message::Replies;

/// The longest call on a stream. On datagrams it is `max_packet_size`.
pub(crate) const MAX_RECORD: usize = 1 << 20;

/// How calls come on a stream.
pub type Records = RecordMarking;

/// Returns the codec of a connection.
#[must_use]
pub fn records() -> Records {
    RecordMarking::new(MAX_RECORD)
}

/// Answers the call of a record, or of a packet.
///
/// # Errors
///
/// What the procedure failed with, after it was answered; what the transport says.
///
/// # Panics
///
/// Panics as the procedure did, after it was answered.
pub fn serve_call<S, C>(service: &mut S, message: Bytes, replies: &mut Replies<'_, C>) -> Outcome
where
    S: Service,
    C: ?Sized,
{
    let peer = replies.peer_addr().clone();
    let mut output = Output::new();
    output.put(&[0; HEAD]);
    match answer(service, Input::new(message), &peer, &mut output) {
        Reply::None => Ok(()),
        Reply::Complete => send(&mut output, replies),
        Reply::Failed(error) => {
            send_at_once(&mut output, replies);
            Err(error)
        }
        Reply::Panicked(panic) => {
            send_at_once(&mut output, replies);
            panic.go_on()
        }
    }
}

/// Sends a reply, as the packet or as a record.
fn send<C: ?Sized>(output: &mut Output, replies: &mut Replies<'_, C>) -> Outcome {
    if replies.is_packet() {
        return Ok(replies.write_all(&output.as_ref()[HEAD..])?);
    }
    output.overwrite(&head(output.as_ref().len() - HEAD)?);
    Ok(replies.write_all(output.as_ref())?)
}

/// Sends a reply although the request fails. The peer cannot be told more than once.
fn send_at_once<C: ?Sized>(output: &mut Output, replies: &mut Replies<'_, C>) {
    let is_sent = replies.send_packet(&output.as_ref()[HEAD..]);
    if !is_sent {
        let _ = send(output, replies);
    }
}

/// How many bytes stand before a record.
const HEAD: usize = 4;

/// A reply is a record of one fragment, which its first bit says to be the last: RFC 5531, section 11.
fn head(length: usize) -> Result<[u8; HEAD], &'static str> {
    let length = i32::try_from(length).map_err(|_| "a reply of 2 GiB or more")?;
    Ok((length | i32::MIN).to_be_bytes())
}

/// Answers a message that came by something else: returns the reply, if it has one, and what the server's owner is told.
pub fn answer_message<S: Service>(
    service: &mut S,
    message: Bytes,
    peer: &Address,
) -> (Option<Bytes>, Outcome) {
    let mut output = Output::new();
    let outcome = match answer(service, Input::new(message), peer, &mut output) {
        Reply::None => return (None, Ok(())),
        Reply::Complete => Ok(()),
        Reply::Failed(error) => Err(error),
        Reply::Panicked(_) => Err("a procedure panicked".into()),
    };
    (Some(output.into_bytes()), outcome)
}

/// What became of a message.
enum Reply {
    /// It was no call.
    None,
    Complete,
    /// It is answered, and the error is to be reported.
    Failed(Box<dyn Error + Send + Sync>),
    /// It is answered, and the panic is to go on.
    Panicked(Panic),
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
    let fault = match Panic::caught(|| service.call(&call, &mut message, output)) {
        Ok(Ok(())) => return Reply::Complete,
        Ok(Err(fault)) => fault,
        Err(panic) => {
            output.truncate(before);
            say(Answer::SystemErr, xid, output);
            return Reply::Panicked(panic);
        }
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
