//! The messages of RFC 5531, section 9: the head of a call, and the replies.

use super::auth::{self, AuthError, Credentials};
use super::xdr::{Input, Output, Xdr, XdrError};

/// The version of the protocol.
const RPC_VERSION: u32 = 2;
const CALL: u32 = 0;
const REPLY: u32 = 1;
const ACCEPTED: u32 = 0;
const DENIED: u32 = 1;
const RPC_MISMATCH: u32 = 0;
const AUTH_ERROR: u32 = 1;

/// The head of a call; its arguments follow.
#[derive(Clone, Debug)]
pub(super) struct Head {
    pub(super) xid: u32,
    pub(super) program: u32,
    pub(super) version: u32,
    pub(super) procedure: u32,
    pub(super) credentials: Credentials,
}

/// Why a message gets no further than its head.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unheard {
    /// It is no call: nobody could tell what a reply belongs to.
    NoCall,
    /// It is a call that is answered at once.
    Answered(u32, Answer),
}

/// Everything that a reply can say; after `Success` the results follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Success,
    ProgUnavail,
    ProgMismatch { low: u32, high: u32 },
    ProcUnavail,
    GarbageArgs,
    SystemErr,
    RpcMismatch,
    AuthError(AuthError),
}

impl Head {
    /// Takes the head of a call from a message.
    pub(super) fn decode(message: &mut Input) -> Result<Self, Unheard> {
        let (Ok(xid), Ok(CALL)) = (u32::decode(message), u32::decode(message)) else {
            return Err(Unheard::NoCall);
        };
        let answer = |answer| Unheard::Answered(xid, answer);
        let version = u32::decode(message).map_err(|_| Unheard::NoCall)?;
        if version != RPC_VERSION {
            return Err(answer(Answer::RpcMismatch));
        }
        let mut number = || u32::decode(message).map_err(|_| answer(Answer::GarbageArgs));
        let (program, version, procedure) = (number()?, number()?, number()?);
        let credentials =
            auth::decode(message).map_err(|error| answer(Answer::AuthError(error)))?;
        Ok(Self {
            xid,
            program,
            version,
            procedure,
            credentials,
        })
    }
}

impl Answer {
    /// Appends the head of the reply.
    pub(super) fn encode(self, xid: u32, output: &mut Output) -> Result<(), XdrError> {
        let mut words = |words: &[u32]| words.iter().try_for_each(|word| word.encode(output));
        words(&[xid, REPLY])?;
        match self {
            Self::RpcMismatch => words(&[DENIED, RPC_MISMATCH, RPC_VERSION, RPC_VERSION]),
            Self::AuthError(error) => words(&[DENIED, AUTH_ERROR, error.code()]),
            Self::Success => words(&accepted(0)),
            Self::ProgUnavail => words(&accepted(1)),
            Self::ProgMismatch { low, high } => {
                words(&accepted(2))?;
                words(&[low, high])
            }
            Self::ProcUnavail => words(&accepted(3)),
            Self::GarbageArgs => words(&accepted(4)),
            Self::SystemErr => words(&accepted(5)),
        }
    }
}

/// An accepted call's state, behind a verifier of `AUTH_NONE`.
fn accepted(state: u32) -> [u32; 4] {
    [ACCEPTED, 0, 0, state]
}
