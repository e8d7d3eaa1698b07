//! [`ServerHandle`]: what may change while a server runs.

use crate::address::Address;
use crate::limits::List;
use crate::limits::network::{Network, NetworkError};
use crate::options::OnFull;
use crate::requests::{Requests, ServerHandle};

impl Requests {
    /// Whether this peer has as many requests as it may have.
    #[inline]
    pub(crate) fn has_enough(&self, peer: &Address) -> bool {
        let used = self.control().places.used();
        self.limits.has_enough(peer, used)
    }

    /// Whether this peer has more requests than it may have, the one that it was just given a place for included.
    #[inline]
    pub(crate) fn has_too_many(&self, peer: &Address) -> bool {
        let used = self.control().places.used();
        self.limits.has_too_many(peer, used)
    }
}

/// What may change while the server runs. A change is in effect at the next request that comes, in all processes of the
/// server; requests that are alive stay, whatever the new limit says.
impl ServerHandle {
    /// Returns how many requests may be alive at once.
    #[must_use]
    pub fn max_connections(&self) -> usize {
        self.requests.limits.max_connections() as usize
    }

    /// Sets how many requests may be alive at once, and returns what is in effect: at least one, and at most as many as the
    /// table of requests was made for. That is what the server began with, or 32 below the limit of descriptors (65,536 at
    /// most) if that is more; what the model allows (`max`, `max_children`) stays the limit.
    ///
    /// Who waits in the kernel's queue is let in at once when it is raised. When it is lowered below what is alive, nobody
    /// is sent away: the next one comes in when enough have ended.
    ///
    /// # Examples
    ///
    /// ```
    /// use sockserv::prelude::*;
    ///
    /// #[derive(Clone)]
    /// struct Echo;
    ///
    /// #[server(tcp, threading, addr = "127.0.0.1:0", max_connections = 100)]
    /// impl Echo {
    ///     fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
    ///         io::copy(&mut stream.rfile, &mut stream.wfile).map(drop)
    ///     }
    /// }
    ///
    /// let server = EchoServer::bind(Echo)?;
    /// assert_eq!(server.handle().set_max_connections(200), 200);
    /// assert_eq!(server.handle().max_connections(), 200);
    /// # Ok::<(), io::Error>(())
    /// ```
    pub fn set_max_connections(&self, most: usize) -> usize {
        let most = self.requests.limits.set_max_connections(most);
        self.requests.ring();
        most as usize
    }

    /// Returns how many requests of one peer may be alive at once, if that is limited.
    #[must_use]
    pub fn max_connections_per_peer(&self) -> Option<usize> {
        self.requests.limits.per_peer()
    }

    /// Sets how many requests of one peer may be alive at once (at least one), or that any number may.
    ///
    /// A peer is an IPv4 address, or the /64 network of an IPv6 address: one customer gets at least that, RFC 6177. Unix
    /// peers cannot be told apart, and are under no such limit. There is none by default: behind one address may be a
    /// whole company, or a proxy with all clients.
    pub fn set_max_connections_per_peer(&self, most: Option<usize>) {
        self.requests.limits.set_per_peer(most);
        self.requests.ring();
    }

    /// Returns how many requests of one peer are taken a second, if that is limited.
    #[must_use]
    pub fn accept_rate(&self) -> Option<u32> {
        self.requests.limits.accept_rate()
    }

    /// Sets how many requests of one peer are taken a second (at least one), or that any number is.
    ///
    /// As many may come at once, after a second of silence. The last 4,096 peers are remembered, in sets of eight; one that
    /// finds its set full of others who came in the last second is refused, so that a flood from everywhere does not lift
    /// the limit. There is none by default, for the reason at
    /// [`set_max_connections_per_peer`](Self::set_max_connections_per_peer), where it is also said who is one peer.
    pub fn set_accept_rate(&self, a_second: Option<u32>) {
        self.requests.limits.set_accept_rate(a_second);
        self.requests.ring();
    }

    /// Returns what happens to a request for which there is no place.
    #[must_use]
    pub fn on_full(&self) -> OnFull {
        self.requests.limits.on_full()
    }

    /// Sets what happens to a request for which there is no place. By default it waits in the kernel's queue: a burst is
    /// served a little later then, and costs nobody anything.
    pub fn set_on_full(&self, on_full: OnFull) {
        self.requests.limits.set_on_full(on_full);
        self.requests.ring();
    }

    /// Returns the networks whose peers are served, the smallest first.
    #[must_use]
    pub fn allow(&self) -> Vec<Network> {
        self.requests.limits.list(List::Allow)
    }

    /// Returns the networks whose peers are refused, the smallest first.
    #[must_use]
    pub fn deny(&self) -> Vec<Network> {
        self.requests.limits.list(List::Deny)
    }

    /// Replaces the list of networks whose peers are served; an empty one serves all that [`deny`](Self::set_deny) does not
    /// name.
    ///
    /// Of all networks in both lists that a peer is in, the smallest decides; one that stands in both refuses. A peer that
    /// is in none is served unless something is allowed: then only that is. Unix peers are always served. Both lists are
    /// empty by default.
    ///
    /// # Errors
    ///
    /// A text that is no network, or more than 1,024 networks in both lists together. Then nothing has changed.
    ///
    /// # Examples
    ///
    /// ```
    /// use sockserv::prelude::*;
    ///
    /// #[derive(Clone)]
    /// struct Echo;
    ///
    /// #[server(tcp, addr = "127.0.0.1:0")]
    /// impl Echo {
    ///     fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
    ///         io::copy(&mut stream.rfile, &mut stream.wfile).map(drop)
    ///     }
    /// }
    ///
    /// let handle = EchoServer::bind(Echo)?.handle();
    /// handle.set_allow(["192.0.2.0/24", "2001:db8::/32"])?;
    /// handle.set_deny(["192.0.2.66"])?;
    /// let error = handle.set_deny(["192.0.2.0/33"]).unwrap_err();
    /// assert!(error.to_string().starts_with("`192.0.2.0/33` is no network; write "));
    /// assert_eq!(handle.deny()[0].to_string(), "192.0.2.66/32");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_allow(
        &self,
        networks: impl IntoIterator<Item: AsRef<str>>,
    ) -> Result<(), NetworkError> {
        self.set_list(List::Allow, networks)
    }

    /// Replaces the list of networks whose peers are refused. See [`set_allow`](Self::set_allow).
    ///
    /// # Errors
    ///
    /// As for [`set_allow`](Self::set_allow).
    pub fn set_deny(
        &self,
        networks: impl IntoIterator<Item: AsRef<str>>,
    ) -> Result<(), NetworkError> {
        self.set_list(List::Deny, networks)
    }

    fn set_list(
        &self,
        list: List,
        networks: impl IntoIterator<Item: AsRef<str>>,
    ) -> Result<(), NetworkError> {
        self.requests.limits.set_list(list, networks)?;
        self.requests.ring();
        Ok(())
    }
}
