//! Sockets that go from one process to the next: taken where a server asks for them, and given to whoever comes after.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{OwnedFd, RawFd};
use std::sync::Arc;

use socket2::Socket;

use super::{Place, handed_over, kind_of, tune};
use crate::address::{Address, Kind};
use crate::listener::path::OwnPath;
use crate::options::Options;
use crate::sys::inherited;
use crate::upgrade::handover::{open, predecessor};
use crate::upgrade::label::Label;

impl Place {
    /// Takes the socket that the process before this one had bound to the same address, if there is one.
    pub(crate) fn take_over(kind: Kind, at: &Address) -> io::Result<Option<Self>> {
        let sockets = predecessor().map_or(&[][..], |predecessor| predecessor.sockets());
        let bound = sockets.iter().filter_map(|(fd, label)| match label {
            Label::Bound { port, file } => Some((*fd, *port, *file)),
            _ => None,
        });
        let is_wanted = |&(fd, port, _): &(RawFd, u16, _)| {
            inherited_at(fd, kind).is_some_and(|address| {
                &address == at || (at.port() == Some(port) && &with_port(&address, port) == at)
            })
        };
        let Some((fd, port, file)) = bound.into_iter().find(is_wanted) else {
            return Ok(None);
        };
        let path = at.as_path().zip(file);
        let path = path
            .map(|(path, file)| OwnPath::of_predecessor(path, file))
            .transpose()?;
        let socket = Socket::from(inherited::take(fd)?);
        let place = Self::of(socket, kind, path, &Label::Bound { port, file })?;
        Ok(Some(Self {
            taken_over: true,
            ..place
        }))
    }

    /// The process before this one has let go: the socket is ours, with its path and its options.
    pub(crate) fn own(&self, options: &Options) -> io::Result<()> {
        if let Some(path) = &self.path {
            path.own();
        }
        match self.is_inherited() {
            true => Ok(()),
            false => tune(&self.socket, self.kind, options),
        }
    }

    /// Another process has it from now on, and its path.
    pub(crate) fn disown(&self) {
        if let Some(path) = &self.path {
            path.disown();
        }
    }
}

/// What systemd had handed to the process before this one, if there is one.
pub(super) fn by_systemd() -> Option<Vec<(RawFd, Label)>> {
    let sockets = predecessor()?.sockets().iter();
    let by_systemd = sockets.filter(|(_, label)| matches!(label, Label::Systemd { .. }));
    Some(by_systemd.cloned().collect())
}

/// The descriptor that an endpoint names, which has another number if the process before this one had it.
pub(crate) fn numbered(fd: RawFd) -> RawFd {
    let sockets = predecessor().map_or(&[][..], |predecessor| predecessor.sockets());
    let named = sockets
        .iter()
        .find(|(_, label)| *label == Label::Numbered(fd));
    named.map_or(fd, |(fd, _)| *fd)
}

/// All that a successor needs: the sockets of this process's servers, and what systemd gave for others.
pub(crate) fn to_hand_over() -> io::Result<Vec<(Arc<Socket>, Label)>> {
    let (mut sockets, rest): (Vec<_>, Vec<_>) = open()
        .into_iter()
        .partition(|(_, label)| !matches!(label, Label::Systemd { .. }));
    for (fd, label) in handed_over() {
        if let Some((socket, _)) = rest.iter().find(|(_, taken)| *taken == label) {
            sockets.push((Arc::clone(socket), label));
        } else if let Some(untaken) = inherited::peek(fd) {
            let socket = Socket::from(untaken.try_clone_to_owned()?);
            sockets.push((Arc::new(socket), label));
        }
    }
    Ok(sockets)
}

/// The address of an inherited socket that nobody has taken, if it is of this kind.
fn inherited_at(fd: RawFd, kind: Kind) -> Option<Address> {
    let borrowed = inherited::peek(fd)?;
    let socket = socket2::SockRef::from(&borrowed);
    let is_wanted = kind_of(&socket).is_ok_and(|found| found == kind);
    let address = is_wanted.then(|| socket.local_addr().ok())??;
    Some(Address::from_socket(&address))
}

fn with_port(address: &Address, port: u16) -> Address {
    match address {
        Address::Inet(address) => Address::Inet(SocketAddr::new(address.ip(), port)),
        address => address.clone(),
    }
}

/// Closes sockets that the process before this one had and nobody wants any more, and removes their paths.
pub(crate) fn close(sockets: Vec<(OwnedFd, Label)>) {
    for (fd, label) in sockets {
        let socket = Socket::from(fd);
        let address = socket
            .local_addr()
            .map(|address| Address::from_socket(&address));
        let address = address.unwrap_or(Address::Unnamed);
        if let (
            Some(path),
            Label::Bound {
                file: Some(file), ..
            },
        ) = (address.as_path(), label)
            && let Ok(path) = OwnPath::of_predecessor(path, file)
        {
            path.own();
        }
    }
}
