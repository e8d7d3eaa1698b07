//! Every option with its default and the reason for it. The attribute and the builder both end here.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;

use crate::address::{Address, Endpoint, EndpointError};
use crate::observer::{Observer, Observers};

/// What happens to a request for which there is no place: the option `on_full`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnFull {
    /// It stays in the kernel's queue until there is one: a burst is served a little later, and costs nobody anything.
    #[default]
    Wait,
    /// It is taken, told so by the `banner` if there is one, and closed: for clients that then go elsewhere.
    ///
    /// A packet is dropped. Under `sync` it waits all the same: the thread that accepts is the one that serves.
    Refuse,
}

/// How far `max_connections` can be raised while a server runs, unless it began with more: the table cannot grow, and for
/// each possible request some hundred bytes are set aside (touched only when they are used).
const RAISABLE: usize = 65_536;

/// How the workers of `prefork` come to their requests: `prefork(accept = "shared")`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Accept {
    /// All take from one socket: whoever is free is next.
    #[default]
    Shared,
    /// Each has a socket of its own, and the kernel spreads the clients over them (SO_REUSEPORT).
    ReusePort,
}

/// What the attribute says about a server, and the defaults where it says nothing.
///
/// Generated code makes one with [`Options::new`] and a setter for each option that was written.
#[derive(Clone, Debug)]
pub struct Options {
    pub(crate) endpoints: Vec<Result<Endpoint, EndpointError>>,
    /// Whether the endpoints were named at run time, so that no inherited socket takes their place.
    pub(crate) explicit: bool,
    pub(crate) backlog: u32,
    pub(crate) max_connections: usize,
    pub(crate) timeout: Option<Duration>,
    pub(crate) first_byte_timeout: Option<Duration>,
    pub(crate) request_timeout: Option<Duration>,
    pub(crate) shutdown_grace: Duration,
    pub(crate) accept_timeout: Option<Duration>,
    pub(crate) rbufsize: usize,
    pub(crate) wbufsize: usize,
    pub(crate) max_line: usize,
    pub(crate) max_packet_size: usize,
    pub(crate) nodelay: bool,
    pub(crate) keepalive: bool,
    pub(crate) only_v6: bool,
    pub(crate) reuse_port: bool,
    pub(crate) reuse_address: bool,
    pub(crate) mode: Option<u32>,
    pub(crate) service_interval: Option<Duration>,
    pub(crate) announce: bool,
    pub(crate) max: Option<usize>,
    pub(crate) max_children: Option<usize>,
    pub(crate) stack_size: Option<usize>,
    pub(crate) workers: Option<usize>,
    pub(crate) queue: Option<usize>,
    pub(crate) speaks_first: bool,
    pub(crate) accept: Accept,
    pub(crate) max_requests: Option<u64>,
    pub(crate) max_connections_per_peer: Option<usize>,
    pub(crate) accept_rate: Option<u32>,
    pub(crate) on_full: OnFull,
    pub(crate) banner: Bytes,
    pub(crate) min_rate: Option<u64>,
    pub(crate) lame_duck: Duration,
    #[cfg(feature = "upgrade")]
    pub(crate) upgrade: bool,
    #[cfg(feature = "upgrade")]
    pub(crate) upgrade_timeout: Duration,
    pub(crate) owner: Option<String>,
    pub(crate) group: Option<String>,
    #[cfg_attr(
        not(feature = "log"),
        expect(dead_code, reason = "only the feature writes it")
    )]
    pub(crate) access_log: bool,
    pub(crate) allow: Vec<String>,
    pub(crate) deny: Vec<String>,
    pub(crate) observers: Observers,
    /// Where the operator's endpoint listens.
    #[cfg(feature = "admin")]
    pub(crate) admin: Admin,
}

/// Where the operator's endpoint listens.
#[cfg(feature = "admin")]
#[derive(Clone, Debug, Default)]
pub(crate) struct Admin {
    /// Where this machine alone reaches it.
    pub(crate) private: Vec<Result<Endpoint, EndpointError>>,
    /// Where others may.
    pub(crate) public: Vec<Result<Endpoint, EndpointError>>,
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

impl Options {
    /// Returns the defaults.
    #[must_use]
    pub fn new() -> Self {
        Self {
            endpoints: Vec::new(),
            explicit: false,
            // 128, as std asks for, drops bursts: 5,000 clients at once then need seconds. The kernel caps it at somaxconn.
            backlog: 4096,
            // Bounded, so that a flood fills the kernel's queue and not our memory.
            max_connections: 1000,
            timeout: Some(Duration::from_secs(300)),
            // Silence right after connecting is what attacks and port scanners do.
            first_byte_timeout: Some(Duration::from_secs(30)),
            request_timeout: None,
            // Below the ten seconds that Docker gives a container.
            shutdown_grace: Duration::from_secs(8),
            accept_timeout: None,
            rbufsize: 8 << 10,
            wbufsize: 8 << 10,
            max_line: 16 << 20,
            max_packet_size: 65_535,
            // With a buffered writer Nagle's algorithm only adds the 40 ms of a delayed acknowledgement.
            nodelay: true,
            keepalive: false,
            only_v6: false,
            reuse_port: false,
            // A restart must not fail because of connections in TIME_WAIT.
            reuse_address: true,
            mode: None,
            service_interval: None,
            announce: true,
            max: None,
            max_children: None,
            stack_size: None,
            workers: None,
            queue: None,
            speaks_first: false,
            accept: Accept::Shared,
            max_requests: None,
            // Behind one address may be a whole company, or a proxy with all clients.
            max_connections_per_peer: None,
            accept_rate: None,
            on_full: OnFull::Wait,
            banner: Bytes::new(),
            min_rate: None,
            // Nobody but a load balancer needs to be told before the end.
            lame_duck: Duration::ZERO,
            // The old process ends: as process 1 of a container, or under a manager that watches it, that ends the service.
            #[cfg(feature = "upgrade")]
            upgrade: false,
            // A start may have to read a lot, and a new process that hangs harms nobody meanwhile.
            #[cfg(feature = "upgrade")]
            upgrade_timeout: Duration::from_secs(30),
            owner: None,
            group: None,
            access_log: false,
            allow: Vec::new(),
            deny: Vec::new(),
            observers: Observers::default(),
            #[cfg(feature = "admin")]
            admin: Admin::default(),
        }
    }

    /// How many requests may be alive at once, by all limits that apply, and how far that can be raised while it runs.
    pub(crate) fn limit(&self, most_by_model: Option<usize>) -> (usize, usize) {
        // 32 are left for everything else, so that running out of descriptors is not the normal limit.
        let spare = descriptors().saturating_sub(32).max(1);
        let by_model = most_by_model.unwrap_or(usize::MAX).max(1);
        let most = self.max_connections.min(spare).min(by_model).max(1);
        let capacity = most.max(spare.min(RAISABLE).min(by_model));
        (most, capacity)
    }
}

/// How many descriptors this process may have.
pub(crate) fn descriptors() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    limit.map_or(usize::MAX, |limit| {
        usize::try_from(limit).unwrap_or(usize::MAX)
    })
}

/// Declares the setters once, for [`Options`] here and for the builder in `server/builder.rs`.
macro_rules! for_each_option {
    ($declare:ident) => {
        $declare! {
            /// Sets how many connections the kernel may queue (4096; capped by `net.core.somaxconn`).
            plain backlog: u32;
            /// Sets how many requests may be alive at once (1000, and 32 below the limit of descriptors).
            plain max_connections: usize;
            /// Sets how long a read or a write may wait (5 minutes), or `None` for ever.
            ///
            /// `read_line`, `read_until`, `read_exact`, `read_bytes` and `read_to_end` are one wait each, however many pieces
            /// come. A write waits anew whenever the peer takes something: `min_rate` and `request_timeout` bound that.
            optional timeout: Duration;
            /// Sets how long a peer may stay silent right after connecting (30 s), or `None` for ever.
            ///
            /// All waits for its first byte count together, and nothing else that the handler does meanwhile.
            optional first_byte_timeout: Duration;
            /// Sets how long a whole request may take (no limit).
            optional request_timeout: Duration;
            /// Sets how long requests may go on after a shutdown was asked for (8 s).
            plain shutdown_grace: Duration;
            /// Sets how long `handle_request` waits (for ever).
            optional accept_timeout: Duration;
            /// Sets the size of the read buffer in bytes (8 KiB; 0 reads straight from the socket).
            plain rbufsize: usize;
            /// Sets the size of the write buffer in bytes (8 KiB; 0 writes straight to the socket).
            plain wbufsize: usize;
            /// Sets how long a line may be in bytes (16 MiB).
            plain max_line: usize;
            /// Sets how long a received packet may be in bytes (65,535); what is longer is truncated, and says so.
            plain max_packet_size: usize;
            /// Sets whether small writes leave at once (TCP_NODELAY, on).
            plain nodelay: bool;
            /// Sets whether the kernel probes silent peers (SO_KEEPALIVE, off).
            plain keepalive: bool;
            /// Sets whether `[::]` leaves IPv4 alone (IPV6_V6ONLY, off).
            plain only_v6: bool;
            /// Sets whether several sockets may share the port (SO_REUSEPORT, off).
            plain reuse_port: bool;
            /// Sets whether a TCP port in TIME_WAIT may be taken (SO_REUSEADDR, on).
            plain reuse_address: bool;
            /// Sets the permissions of Unix paths (by the umask).
            given mode: u32;
            /// Sets how often `service_actions` runs without a request (never), at most a thousand times a second.
            optional service_interval: Duration;
            /// Sets whether `run` says where it listens (yes).
            plain announce: bool;
            /// Sets how many threads `threading` may use at once (as many as `max_connections`), at least one.
            count max: usize;
            /// Sets how many children `forking` may have at once (40), at least one.
            count max_children: usize;
            /// Sets the stack of each thread of `threading` and `pool` in bytes (std's: 2 MiB).
            given stack_size: usize;
            /// Sets how many threads `pool` has (8), or how many processes `prefork` (4), at least one.
            count workers: usize;
            /// Sets how many requests may wait for a thread of `pool` (64). Those that have said nothing do not count.
            given queue: usize;
            /// Sets whether the handler speaks before its peer does: then `pool` does not wait for a first byte (no). Without it
            /// a handler that greets has half of the threads for that, and each silent peer waits 20 ms for one.
            plain speaks_first: bool;
            /// Sets how the workers of `prefork` come to their requests (all take from one socket).
            plain accept: Accept;
            /// Sets after how many requests a worker of `prefork` is replaced, give or take a tenth (never).
            optional max_requests: u64;
            /// Sets how many requests of one peer may be alive at once (no limit). An IPv6 peer is its /64 network.
            optional max_connections_per_peer: usize;
            /// Sets how many requests of one peer are taken a second (no limit). An IPv6 peer is its /64 network.
            optional accept_rate: u32;
            /// Sets what happens to a request for which there is no place (it waits).
            plain on_full: OnFull;
            /// Sets what a stream is told that is refused because the server is full, or its peer has too many (nothing).
            into banner: Bytes;
            /// Sets how many bytes a second a peer must send, or take, in the middle of an exchange (no limit).
            ///
            /// An exchange begins with the first byte that comes after the handler last wrote, and ends when it writes. The
            /// handler may wait in it for 5 seconds, and for as long as the bytes that came take at this rate; then the read
            /// fails. Each write is measured in the same way. What the handler does meanwhile does not count, nor does an
            /// idle connection, nor what a [half](crate::Stream::split) of a stream reads. A handler that takes records and
            /// answers none calls [`idle`](crate::Stream::idle) after each.
            optional min_rate: u64;
            /// Sets how long a shutdown still serves, so that load balancers notice, before it stops accepting (not at all).
            plain lame_duck: Duration;
            /// Sets whether SIGUSR2 makes another process take over under `run` (no): see [`upgrade`](mod@crate::upgrade).
            #[cfg(feature = "upgrade")]
            plain upgrade: bool;
            /// Sets how long that process may take until it could accept (30 s).
            #[cfg(feature = "upgrade")]
            plain upgrade_timeout: Duration;
            /// Sets the owner of Unix paths that the server makes, by name or number (whoever runs it). Only root may give one away.
            text owner: String;
            /// Sets the group of Unix paths that the server makes, by name or number (that of whoever runs it).
            text group: String;
            /// Sets whether each request writes a line at its end, through the `log` facade (no): six words, with the target
            /// `sockserv::access`. See the [observer module](mod@crate::observer) for their meaning.
            #[cfg(feature = "log")]
            plain access_log: bool;
        }
    };
}
pub(crate) use for_each_option;

// Without an assignment, which counts as a use: the compiler says which option nobody reads.
macro_rules! setters {
    ($($(#[$doc:meta])* $kind:ident $name:ident: $ty:ty;)*) => {
        impl Options {
            $(setters!(@ $(#[$doc])* $kind $name: $ty);)*
        }
    };
    (@ $(#[$doc:meta])* plain $name:ident: $ty:ty) => {
        $(#[$doc])*
        #[must_use]
        pub fn $name(self, $name: $ty) -> Self {
            Self { $name, ..self }
        }
    };
    (@ $(#[$doc:meta])* given $name:ident: $ty:ty) => {
        $(#[$doc])*
        #[must_use]
        pub fn $name(self, $name: $ty) -> Self {
            Self { $name: Some($name), ..self }
        }
    };
    (@ $(#[$doc:meta])* count $name:ident: $ty:ty) => {
        $(#[$doc])*
        #[must_use]
        pub fn $name(self, $name: $ty) -> Self {
            Self { $name: Some($name.max(1)), ..self } // Nobody would ever be served by none.
        }
    };
    (@ $(#[$doc:meta])* optional $name:ident: $ty:ty) => {
        $(#[$doc])*
        #[must_use]
        pub fn $name(self, $name: impl Into<Option<$ty>>) -> Self {
            Self { $name: $name.into(), ..self }
        }
    };
    (@ $(#[$doc:meta])* into $name:ident: $ty:ty) => {
        $(#[$doc])*
        #[must_use]
        pub fn $name(self, $name: impl Into<$ty>) -> Self {
            Self { $name: $name.into(), ..self }
        }
    };
    (@ $(#[$doc:meta])* text $name:ident: $ty:ty) => {
        $(#[$doc])*
        #[must_use]
        pub fn $name(self, $name: impl Into<$ty>) -> Self {
            Self { $name: Some($name.into()), ..self }
        }
    };
}
for_each_option!(setters);

impl Options {
    /// Adds endpoints to listen on. What cannot be parsed is reported by `bind`.
    #[must_use]
    pub fn addr(mut self, at: impl IntoEndpoints) -> Self {
        at.add_to(&mut self.endpoints);
        self
    }
}

impl Options {
    /// Adds an observer, who is told after those that were added before.
    #[must_use]
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.observers.push(observer);
        self
    }

    /// Has the operator's endpoint listen there, in place of what was said before. What cannot be parsed is reported by
    /// `bind`.
    #[cfg(feature = "admin")]
    #[must_use]
    pub fn admin(mut self, at: impl IntoEndpoints) -> Self {
        self.admin.private.clear();
        at.add_to(&mut self.admin.private);
        self
    }

    /// As [`admin`](Self::admin), at addresses that other machines may reach: it answers everybody who connects.
    #[cfg(feature = "admin")]
    #[must_use]
    pub fn admin_public(mut self, at: impl IntoEndpoints) -> Self {
        self.admin.public.clear();
        at.add_to(&mut self.admin.public);
        self
    }

    /// Lets no inherited socket take the place of these endpoints.
    #[cfg(feature = "admin")]
    pub(crate) fn explicitly(mut self) -> Self {
        self.explicit = true;
        self
    }

    /// Adds the observers that other options stand for.
    #[cfg_attr(not(feature = "log"), expect(unused_mut, reason = "there are none"))]
    pub(crate) fn with_observers(mut self) -> Self {
        #[cfg(feature = "log")]
        if self.access_log {
            self.observers.push(crate::observer::log::AccessLog);
        }
        self
    }

    /// Adds networks whose peers are served. What cannot be parsed is reported by `bind`.
    #[must_use]
    pub fn allow(mut self, networks: impl IntoNetworks) -> Self {
        networks.add_to(&mut self.allow);
        self
    }

    /// Adds networks whose peers are refused. What cannot be parsed is reported by `bind`.
    #[must_use]
    pub fn deny(mut self, networks: impl IntoNetworks) -> Self {
        networks.add_to(&mut self.deny);
        self
    }
}

/// What the option `addr` takes: one endpoint, or several.
#[diagnostic::on_unimplemented(
    message = "`{Self}` says no address",
    label = "cannot be listened at",
    note = "write text as `\"127.0.0.1:7007\"`, a `SocketAddr`, an `Endpoint`, or a list of those"
)]
pub trait IntoEndpoints {
    #[doc(hidden)]
    fn add_to(self, endpoints: &mut Vec<Result<Endpoint, EndpointError>>);
}

macro_rules! one_endpoint {
    ($($ty:ty),*) => {
        $(impl IntoEndpoints for $ty {
            fn add_to(self, endpoints: &mut Vec<Result<Endpoint, EndpointError>>) {
                endpoints.push(Endpoint::try_from(self).map_err(EndpointError::from));
            }
        })*
    };
}
one_endpoint!(
    &str, String, &String, SocketAddr, Address, &Address, Endpoint
);

impl From<std::convert::Infallible> for EndpointError {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

/// What the options `allow` and `deny` take: one network, or several.
#[diagnostic::on_unimplemented(
    message = "`{Self}` names no network",
    label = "nobody can be told by it",
    note = "write text as `\"10.0.0.0/8\"`, a `Network`, an `IpAddr`, or a list of those"
)]
pub trait IntoNetworks {
    #[doc(hidden)]
    fn add_to(self, networks: &mut Vec<String>);
}

/// One, as text: parsed where all of them are.
macro_rules! one_network {
    ($($ty:ty),*) => {
        $(impl $crate::options::IntoNetworks for $ty {
            fn add_to(self, networks: &mut Vec<String>) {
                networks.push(self.to_string());
            }
        })*
    };
}
pub(crate) use one_network;
one_network!(&str, String, &String, IpAddr);

macro_rules! lists {
    ($($one:ident: $list:ty;)*) => {$(
        impl<T: $one, const N: usize> $one for [T; N] {
            fn add_to(self, list: &mut $list) {
                self.into_iter().for_each(|one| one.add_to(list));
            }
        }

        impl<T: $one + Clone> $one for &[T] {
            fn add_to(self, list: &mut $list) {
                self.iter().cloned().for_each(|one| one.add_to(list));
            }
        }

        impl<T: $one + Clone, const N: usize> $one for &[T; N] {
            fn add_to(self, list: &mut $list) {
                self.as_slice().add_to(list);
            }
        }

        impl<T: $one> $one for Vec<T> {
            fn add_to(self, list: &mut $list) {
                self.into_iter().for_each(|one| one.add_to(list));
            }
        }

        impl<T: $one + Clone> $one for &Vec<T> {
            fn add_to(self, list: &mut $list) {
                self.as_slice().add_to(list);
            }
        }
    )*};
}
lists! {
    IntoEndpoints: Vec<Result<Endpoint, EndpointError>>;
    IntoNetworks: Vec<String>;
}
