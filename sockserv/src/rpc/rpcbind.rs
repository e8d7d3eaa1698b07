//! The port mapper of this machine, which tells clients the port of a program: RFC 1833, section 3.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use super::Program;
use super::xdr::{Input, Output, Xdr, XdrError};

/// Where it is: RFC 1833, section 3.
const RPCBIND: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 111);
/// It is on this machine.
const RPCBIND_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest reply has 28 bytes; more comes from something else.
const MAX_REPLY: u32 = 1024;

/// Says that a fragment is its record's last one: RFC 5531, section 11.
const LAST: u32 = 1 << 31;

const PORT_MAPPER: u32 = 100_000;
const VERSION: u32 = 2;
const SET: u32 = 1;
const UNSET: u32 = 2;

/// How a program can be called, by the number of the Internet protocol.
pub(crate) const TCP: u32 = 6;
pub(crate) const UDP: u32 = 17;

/// The server's programs are known to the rpcbind of this machine, until this is dropped.
///
/// Made by [`Server::register`](crate::Server::register).
#[derive(Debug)]
#[must_use = "dropping it takes the programs out of rpcbind again"]
pub struct Registration {
    programs: &'static [Program],
}

impl Registration {
    /// Takes out what a server before us left behind, and enters each version of each program with these ports.
    pub(crate) fn new(programs: &'static [Program], ports: &[(u32, u16)]) -> io::Result<Self> {
        let registration = Self { programs };
        registration.unset()?;
        for (program, version) in versions(programs) {
            for &(protocol, port) in ports {
                if !ask(SET, [program, version, protocol, port.into()])? {
                    return Err(io::Error::other(format!(
                        "rpcbind refuses port {port} for program {program}, version {version}"
                    )));
                }
            }
        }
        Ok(registration)
    }

    fn unset(&self) -> io::Result<()> {
        // What is not there cannot be taken out, which is no error.
        versions(self.programs)
            .try_for_each(|(program, version)| ask(UNSET, [program, version, 0, 0]).map(drop))
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        // It has gone, and with it what it knew.
        let _ = self.unset();
    }
}

fn versions(programs: &[Program]) -> impl Iterator<Item = (u32, u32)> {
    let versions = |one: &Program| {
        one.versions
            .iter()
            .map(|version| (one.number, *version))
            .collect::<Vec<_>>()
    };
    programs.iter().flat_map(versions)
}

/// Calls it with a mapping, and returns whether it did it.
fn ask(procedure: u32, mapping: [u32; 4]) -> io::Result<bool> {
    let call = || -> Result<bool, Box<dyn std::error::Error + Send + Sync>> {
        let call = encode(procedure, mapping)?;
        let mut stream = TcpStream::connect_timeout(&SocketAddr::from(RPCBIND), RPCBIND_TIMEOUT)?;
        stream.set_read_timeout(Some(RPCBIND_TIMEOUT))?;
        stream.set_write_timeout(Some(RPCBIND_TIMEOUT))?;
        stream.write_all(call.as_ref())?;
        let mut head = [0; 4];
        stream.read_exact(&mut head)?;
        let length = u32::from_be_bytes(head) & !LAST;
        if length > MAX_REPLY {
            return Err(XdrError::TooLong { max: MAX_REPLY }.into());
        }
        let mut reply = Vec::new();
        stream.take(length.into()).read_to_end(&mut reply)?;
        Ok(decode(&mut Input::new(reply))?)
    };
    let text = |error| format!("cannot ask rpcbind at 127.0.0.1:111: {error}");
    call().map_err(|error| match error.downcast::<io::Error>() {
        Ok(error) => io::Error::new(error.kind(), text(error.to_string())),
        Err(error) => io::Error::other(text(error.to_string())),
    })
}

/// One record with a call, from nobody in particular.
fn encode(procedure: u32, mapping: [u32; 4]) -> Result<Output, XdrError> {
    let head = [0, 0, 2, PORT_MAPPER, VERSION, procedure, 0, 0, 0, 0];
    let length = u32::try_from(4 * (head.len() + mapping.len())).unwrap_or_default();
    let mut output = Output::new();
    (length | LAST).encode(&mut output)?;
    let mut words = head.iter().chain(&mapping);
    words.try_for_each(|word| word.encode(&mut output))?;
    Ok(output)
}

/// Takes a reply: accepted, successful, and a bool.
fn decode(reply: &mut Input) -> Result<bool, XdrError> {
    for wanted in [0, 1, 0] {
        let found = u32::decode(reply)?;
        if found != wanted {
            return Err(XdrError::UnknownValue(found.into()));
        }
    }
    u32::decode(reply)?;
    reply.opaque(MAX_REPLY)?;
    match u32::decode(reply)? {
        0 => bool::decode(reply),
        state => Err(XdrError::UnknownValue(state.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapping_is_one_record_and_the_reply_a_bool() {
        let call = encode(SET, [536_871_169, 1, TCP, 7007]).unwrap();
        assert_eq!(call.as_ref().len(), 60);
        assert_eq!(&call.as_ref()[..8], b"\x80\0\0\x38\0\0\0\0");
        let reply = |words: &[u32]| {
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
            decode(&mut Input::new(bytes))
        };
        assert_eq!(reply(&[0, 1, 0, 0, 0, 0, 1]), Ok(true));
        assert_eq!(reply(&[0, 1, 0, 0, 0, 0, 0]), Ok(false));
        assert_eq!(reply(&[0, 1, 0, 0, 0, 1]), Err(XdrError::UnknownValue(1)));
        assert_eq!(reply(&[0, 1, 1, 0, 2, 2]), Err(XdrError::UnknownValue(1)));
        assert_eq!(reply(&[]), Err(XdrError::Truncated));
    }
}
