//! Who calls: the credentials of RFC 5531, sections 8.2 to 8.4 and appendix A.

use super::xdr::{Input, Xdr, XdrError};

/// At most so many bytes are in a call's credentials: RFC 5531, section 8.2.
const MAX_BODY: u32 = 400;
/// At most so many are in the name of the caller's machine: RFC 5531, appendix A.
const MAX_MACHINE: u32 = 255;
/// At most so many groups: RFC 5531, appendix A.
const MAX_GROUPS: u32 = 16;

const NONE: u32 = 0;
const SYS: u32 = 1;

/// Who the caller says it is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Credentials {
    /// `AUTH_NONE`: nobody in particular.
    None,
    /// `AUTH_SYS`: a user of the machine that calls. Nothing proves it.
    Sys(Sys),
}

/// What `AUTH_SYS` says: RFC 5531, appendix A.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sys {
    /// An arbitrary number of the caller's.
    pub stamp: u32,
    /// The name of the caller's machine.
    pub machine: String,
    /// The caller's user.
    pub uid: u32,
    /// The caller's group.
    pub gid: u32,
    /// The other groups of the caller.
    pub gids: Vec<u32>,
}

/// Why a call is not allowed: RFC 5531, section 9.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuthError {
    /// The credentials are broken.
    BadCredentials,
    /// The caller has to begin a new session.
    RejectedCredentials,
    /// The verifier is broken.
    BadVerifier,
    /// The verifier has expired or was used before.
    RejectedVerifier,
    /// These credentials are not enough for this call.
    TooWeak,
}

impl AuthError {
    pub(super) fn code(self) -> u32 {
        match self {
            Self::BadCredentials => 1,
            Self::RejectedCredentials => 2,
            Self::BadVerifier => 3,
            Self::RejectedVerifier => 4,
            Self::TooWeak => 5,
        }
    }
}

/// Takes the credentials and the verifier of a call. All of both is taken, also of those that are refused.
pub(super) fn decode(input: &mut Input) -> Result<Credentials, AuthError> {
    let flavor = u32::decode(input);
    let body = input.opaque(MAX_BODY);
    let (Ok(flavor), Ok(body)) = (flavor, body) else {
        return Err(AuthError::BadCredentials);
    };
    // Neither of the two flavors has anything to verify.
    let verifier = u32::decode(input).and_then(|_| input.opaque(MAX_BODY));
    verifier.map_err(|_| AuthError::BadVerifier)?;
    match flavor {
        NONE => Ok(Credentials::None),
        SYS => {
            let mut body = Input::new(body);
            let sys = Sys::decode(&mut body).map_err(|_| AuthError::BadCredentials)?;
            Ok(Credentials::Sys(sys))
        }
        _ => Err(AuthError::RejectedCredentials),
    }
}

impl Sys {
    fn decode(input: &mut Input) -> Result<Self, XdrError> {
        Ok(Self {
            stamp: u32::decode(input)?,
            machine: String::from_utf8_lossy(&input.opaque(MAX_MACHINE)?).into_owned(),
            uid: u32::decode(input)?,
            gid: u32::decode(input)?,
            gids: input.array(MAX_GROUPS, u32::decode)?,
        })
    }
}
