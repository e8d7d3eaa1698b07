//! The server's programs, made known to rpcbind.

use std::io;

use super::Server;
use crate::address::{Address, Endpoint, Kind};
use crate::rpc::Service;
use crate::rpc::rpcbind::{Registration, TCP, UDP};
use crate::server::declare::Declaration;

impl<H: Declaration + Service> Server<H> {
    /// Enters the server's programs and ports into the rpcbind of this machine, until the returned value is dropped.
    ///
    /// Of several addresses of one transport the first one's port counts. Call it after `bind` and before `run`, and keep
    /// what it returns until the server has ended:
    ///
    /// ```no_run
    /// use sockserv::prelude::*;
    ///
    /// #[derive(Clone)]
    /// struct Ping;
    ///
    /// #[server(tcp, udp, threading, addr = "0.0.0.0:0", rpc = "src/rpc/ping.x")]
    /// impl Ping {
    ///     fn ping(&mut self, text: String) -> String {
    ///         text
    ///     }
    /// }
    ///
    /// let server = PingServer::bind(Ping)?;
    /// let _registration = server.register()?;
    /// server.run()?;
    /// # Ok::<(), io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If there is no rpcbind, or it refuses; or if the server listens on no port.
    pub fn register(&self) -> io::Result<Registration> {
        let port = |kind| self.announced.iter().find_map(|at| port(at, kind));
        let ports = [(TCP, port(Kind::Tcp)), (UDP, port(Kind::Udp))];
        let ports: Vec<_> = ports
            .into_iter()
            .filter_map(|(protocol, port)| Some((protocol, port?)))
            .collect();
        if ports.is_empty() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "rpcbind knows ports, and the server listens on none",
            ));
        }
        Registration::new(H::PROGRAMS, &ports)
    }
}

/// Returns the port of a listener of this kind.
fn port(at: &Endpoint, wanted: Kind) -> Option<u16> {
    match at {
        Endpoint::Only(kind, at) if *kind == wanted => match &**at {
            Endpoint::Address(Address::Inet(address)) => Some(address.port()),
            _ => None,
        },
        _ => None,
    }
}
