//! From a declaration and endpoints to bound sockets: what each transport takes, what was handed over, and one port for two
//! kinds.

use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::fd::RawFd;
use std::slice;
use std::sync::Arc;

use socket2::Socket;

use crate::address::{Address, Endpoint, Kind};
use crate::concurrency::Model;
use crate::listener::connection::Connection;
use crate::listener::intake::Intake;
use crate::listener::packets::Packets;
use crate::listener::place::{self, Place};
use crate::listener::streams::Streams;
use crate::options::{Accept, Options};
use crate::requests::Requests;
#[cfg(feature = "admin")]
use crate::server::admin;
use crate::server::declare::{Declaration, Transport};
use crate::server::linger::Lingering;
use crate::server::senders::Senders;
use crate::server::source::Source;
use crate::server::{FIRST_LISTENER, Server, State, ask, upgrade, workers};
use crate::sys::inherited;
use crate::sys::poller::Timer;
use crate::upgrade::label::Label;

/// Where inetd puts what it hands over.
const STDIN: RawFd = 0;

/// How often a free port is tried that must be free for two kinds of socket at once.
const ATTEMPTS: usize = 16;

/// What `server_bind` says to each socket before it has a name.
type LastWord<'a> = &'a dyn Fn(&Socket) -> io::Result<()>;

/// Why a worker cannot have what inetd hands over.
const ONE_CONNECTION: &str = "`prefork` shares a listener, and this process was started for one connection; write `sync` or `forking`";

impl<H: Declaration> Server<H> {
    /// Makes a server whose sockets have names.
    pub(super) fn open(
        handler: H,
        mut model: H::Model,
        options: Options,
        own: Option<Box<dyn Intake + Send>>,
    ) -> io::Result<Self> {
        model.configure(&options)?;
        let workers = Self::WORKERS.count(&options);
        let mut options = options.with_observers();
        let own = match own {
            Some(listener) => Some(listener),
            None => Self::take_connection(&mut options)?,
        };
        options.reuse_port |= workers.is_some() && options.accept == Accept::ReusePort;
        #[cfg(feature = "admin")]
        let admin = admin::Admin::bind(&mut options)?;
        let most = model.most(&options);
        let requests = Self::table(options, most, workers).map_err(not_ready)?;
        let mut server = Self {
            prototype: handler,
            model,
            methods: <H::Transport as Transport<H>>::methods(),
            hooks: H::hooks(),
            sources: Vec::new(),
            latest: 0,
            addrs: Vec::new(),
            announced: Vec::new(),
            state: State::Bound,
            pending: VecDeque::new(),
            lingering: Lingering::new(),
            senders: Senders::default(),
            next_look: None,
            next_service: None,
            draining: None,
            inherited: Vec::new(),
            spare: None,
            timer: Timer::new().map_err(not_ready)?,
            timer_is_set: false,
            ready: Vec::new(),
            handles_signals: false,
            upgrade: upgrade::Upgrade::default(),
            stays: false,
            workers: workers.map(workers::Workers::new),
            shift: workers::Shift::default(),
            #[cfg(feature = "admin")]
            admin,
            requests,
        };
        server.watch_own().map_err(not_ready)?;
        match own {
            Some(listener) => server.listen_to(vec![listener]),
            None => server.bind_places()?,
        }
        Ok(server)
    }

    /// Makes the table of live requests.
    fn table(
        options: Options,
        most: Option<usize>,
        workers: Option<usize>,
    ) -> io::Result<Arc<Requests>> {
        let requests = Arc::new(Requests::new(options, most, workers)?);
        #[cfg(feature = "upgrade")]
        crate::upgrade::handover::enlist(&requests);
        Ok(requests)
    }

    /// Takes the one connection that this process was started for, if it was.
    fn take_connection(options: &mut Options) -> io::Result<Option<Box<dyn Intake + Send>>> {
        let kinds = <H::Transport as Transport<H>>::KINDS;
        let Some(connection) = connection(kinds, options)? else {
            return Ok(None);
        };
        if Self::WORKERS.are_some() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, ONE_CONNECTION));
        }
        options.announce = false; // It listens nowhere.
        Ok(Some(Box::new(connection)))
    }

    fn bind_places(&mut self) -> io::Result<()> {
        let places = places(
            <H::Transport as Transport<H>>::KINDS,
            &self.requests.options,
            &|socket| self.last_word(socket),
        )?;
        let most = self.requests.options.max_packet_size;
        let listeners = places
            .into_iter()
            .map(|place| listener(place, most))
            .collect();
        self.listen_to(listeners);
        self.multiply_sockets()?;
        self.take_spare_sockets()
    }

    /// Binds a further socket as the first ones were.
    pub(super) fn bind_further(
        &self,
        kind: Kind,
        at: &Address,
    ) -> io::Result<Box<dyn Intake + Send>> {
        let options = &self.requests.options;
        let place = Place::bind(kind, at, options, &|socket| self.last_word(socket))?;
        Ok(listener(place, options.max_packet_size))
    }

    fn last_word(&self, socket: &Socket) -> io::Result<()> {
        ask(|| (self.hooks.server_bind)(&self.prototype, socket))
    }

    pub(super) fn listen_to(&mut self, listeners: Vec<Box<dyn Intake + Send>>) {
        self.addrs = listeners
            .iter()
            .map(|listener| listener.local_addr())
            .collect();
        let announced = |listener: &(dyn Intake + Send)| match listener.place() {
            Some(place) => place.announced(),
            None => Endpoint::Address(listener.local_addr()),
        };
        self.announced = listeners
            .iter()
            .map(|listener| announced(&**listener))
            .collect();
        let tokens = FIRST_LISTENER..;
        self.sources = listeners
            .into_iter()
            .zip(tokens)
            .map(|(listener, token)| Source::new(listener, token))
            .collect();
        let places = || {
            self.sources
                .iter()
                .filter_map(|source| source.listener.place())
        };
        self.inherited = places()
            .filter(|place| place.is_inherited())
            .map(|place| place.address.clone())
            .collect();
    }
}

/// Listens on a socket that has a name.
pub(super) fn listener(place: Place, max_packet_size: usize) -> Box<dyn Intake + Send> {
    match place.kind.is_stream() {
        true => Box::new(Streams::new(place)),
        false => Box::new(Packets::new(place, max_packet_size)),
    }
}

/// Binds all endpoints, in the order of the kinds, then of the endpoints.
pub(crate) fn places(
    kinds: &[Kind],
    options: &Options,
    last_word: LastWord<'_>,
) -> io::Result<Vec<Place>> {
    let endpoints = options
        .endpoints
        .iter()
        .cloned()
        .collect::<Result<Vec<_>, _>>()?;
    let mut places = Vec::new();
    if !options.explicit && !endpoints.iter().any(names_inherited) {
        places = adopt_all(kinds)?;
    }
    // What systemd did not hand over is bound here, if the attribute says where.
    let had = |kind: &Kind| places.iter().any(|place: &Place| place.kind == *kind);
    let left: Vec<Kind> = kinds.iter().copied().filter(|kind| !had(kind)).collect();
    if left.is_empty() || (left.len() < kinds.len() && endpoints.is_empty()) {
        return Ok(places);
    }
    check_all_fit(kinds, &endpoints)?;
    places.extend(bind_anew(&left, &endpoints, options, last_word)?);
    Ok(by_kind(kinds, places))
}

/// The one connection that this process was started for: by inetd, or by systemd for a socket unit with `Accept=yes`.
pub(crate) fn connection(kinds: &[Kind], options: &Options) -> io::Result<Option<Connection>> {
    let mut fds = match &options.endpoints[..] {
        [Ok(at)] if names_inherited(at) => inherited_by_name(at.kind().1),
        endpoints if !options.explicit && !endpoints.iter().flatten().any(names_inherited) => {
            place::handed_over().into_iter().map(|(fd, _)| fd).collect()
        }
        _ => Vec::new(),
    };
    fds.retain(|fd| {
        let kind = place::inherited_kind(*fd);
        kind.is_some_and(|kind| kinds.contains(&kind)) && place::is_connection(*fd)
    });
    let socket = match fds.first() {
        None => return Ok(None),
        Some(&STDIN) => inherited::take_stdin()?,
        Some(fd) => inherited::take(*fd)?,
    };
    Connection::new(socket).map(Some)
}

/// The descriptors that an endpoint may mean.
fn inherited_by_name(endpoint: &Endpoint) -> Vec<RawFd> {
    match endpoint {
        Endpoint::Inetd => vec![STDIN],
        Endpoint::Fd(fd) => vec![*fd],
        Endpoint::Systemd(name, index) => {
            let named = by_systemd(name, *index).into_iter();
            named.map(|(fd, _)| fd).collect()
        }
        _ => Vec::new(),
    }
}

/// What systemd handed over under this name: all of it, or the one with this index.
fn by_systemd(name: &str, index: Option<usize>) -> Vec<(RawFd, Label)> {
    let all = place::handed_over().into_iter();
    let mut named = all.filter(|(_, label)| label.name() == Some(name));
    match index {
        None => named.collect(),
        Some(index) => named.nth(index).into_iter().collect(),
    }
}

/// Orders places by their kinds, and leaves those of one kind in their order.
fn by_kind(kinds: &[Kind], mut places: Vec<Place>) -> Vec<Place> {
    let mut ordered = Vec::with_capacity(places.len());
    for kind in kinds {
        ordered.extend(places.extract_if(.., |place| place.kind == *kind));
    }
    ordered
}

/// Whether an endpoint says itself which inherited socket it means.
fn names_inherited(endpoint: &Endpoint) -> bool {
    matches!(
        endpoint.kind().1,
        Endpoint::Fd(_) | Endpoint::Systemd(..) | Endpoint::Inetd
    )
}

fn bind_anew(
    kinds: &[Kind],
    endpoints: &[Endpoint],
    options: &Options,
    last_word: LastWord<'_>,
) -> io::Result<Vec<Place>> {
    let mut attempts = 0..ATTEMPTS;
    loop {
        attempts.next();
        match bind_all(kinds, endpoints, options, last_word) {
            Err(error)
                if error.kind() == io::ErrorKind::AddrInUse
                    && !attempts.is_empty()
                    && want_free_port(endpoints) => {}
            result => return result,
        }
    }
}

fn check_all_fit(kinds: &[Kind], endpoints: &[Endpoint]) -> io::Result<()> {
    let invalid = |text| Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    let words = || {
        kinds
            .iter()
            .map(|kind| format!("`{kind}`"))
            .collect::<Vec<_>>()
            .join(" and ")
    };
    if endpoints.is_empty() {
        return invalid("this server has no address; write `addr = \"127.0.0.1:7007\"` in the attribute, or use `bind_to`".into());
    }
    for endpoint in endpoints {
        if !kinds.iter().any(|kind| endpoint.fits(*kind)) {
            let example = example(kinds);
            return invalid(format!(
                "`{endpoint}` is no address for {}; write one as in `{example}`",
                words()
            ));
        }
    }
    for kind in kinds {
        if !endpoints.iter().any(|endpoint| endpoint.fits(*kind)) {
            let example = example(slice::from_ref(kind));
            return invalid(format!(
                "none of the addresses is one for `{kind}`; add one as in `{example}`"
            ));
        }
    }
    Ok(())
}

fn example(kinds: &[Kind]) -> &'static str {
    match kinds.iter().all(|kind| kind.is_unix()) {
        true => "unix:/run/name.sock",
        false => "127.0.0.1:7007",
    }
}

fn want_free_port(endpoints: &[Endpoint]) -> bool {
    endpoints.iter().any(|endpoint| match endpoint.kind().1 {
        Endpoint::Address(address) => address.port() == Some(0),
        Endpoint::Host(_, port) => *port == 0,
        _ => false,
    })
}

fn bind_all(
    kinds: &[Kind],
    endpoints: &[Endpoint],
    options: &Options,
    last_word: LastWord<'_>,
) -> io::Result<Vec<Place>> {
    // The first socket of an endpoint decides the port of its others.
    let mut firsts: Vec<Option<Address>> = vec![None; endpoints.len()];
    let mut places = Vec::new();
    for kind in kinds {
        for (endpoint, first) in endpoints.iter().zip(&mut firsts) {
            if endpoint.fits(*kind) {
                let bound = bind_one(*kind, endpoint.kind().1, first.as_ref(), options, last_word)?;
                *first = first
                    .take()
                    .or_else(|| bound.first().map(|place| place.address.clone()));
                places.extend(bound);
            }
        }
    }
    Ok(places)
}

fn bind_one(
    kind: Kind,
    endpoint: &Endpoint,
    first: Option<&Address>,
    options: &Options,
    last_word: LastWord<'_>,
) -> io::Result<Vec<Place>> {
    let bind = |at: &Address| Place::bind(kind, at, options, last_word);
    let with_port = |at: SocketAddr, first: Option<&Address>| {
        Address::Inet(first.map_or(at, |first| place::same_port(at, first)))
    };
    match endpoint {
        Endpoint::Address(Address::Inet(at)) => Ok(vec![bind(&with_port(*at, first))?]),
        Endpoint::Address(at) => Ok(vec![bind(at)?]),
        Endpoint::Host(host, port) => {
            bind_host(host, *port, |at, own| bind(&with_port(at, first.or(own))))
        }
        Endpoint::Fd(fd) => {
            let label = &Label::Numbered(*fd);
            #[cfg(feature = "upgrade")]
            let fd = &place::handover::numbered(*fd);
            adopt(*fd, label, &[kind]).map(|place| vec![place])
        }
        Endpoint::Inetd => adopt_stdin(&[kind]).map(|place| vec![place]),
        Endpoint::Systemd(name, index) => adopt_named(kind, name, *index),
        Endpoint::Only(_, endpoint) => bind_one(kind, endpoint, first, options, last_word),
    }
}

/// Binds all that a name resolves to. A machine without IPv6 still resolves `localhost` to `::1`: what cannot be had is
/// left out, as long as something is left.
fn bind_host(
    host: &str,
    port: u16,
    mut bind: impl FnMut(SocketAddr, Option<&Address>) -> io::Result<Place>,
) -> io::Result<Vec<Place>> {
    let resolved = (host, port).to_socket_addrs();
    let resolved = resolved.map_err(|error| {
        io::Error::new(error.kind(), format!("cannot resolve `{host}`: {error}"))
    })?;
    let mut places: Vec<Place> = Vec::new();
    let mut missing = None;
    let mut seen = Vec::new();
    for at in resolved {
        if seen.contains(&at) {
            continue;
        }
        seen.push(at);
        match bind(at, places.first().map(|place| &place.address)) {
            Ok(place) => places.push(place),
            Err(error)
                if error.kind() == io::ErrorKind::AddrNotAvailable
                    || error.kind() == io::ErrorKind::Unsupported =>
            {
                missing = Some(error);
            }
            Err(error) => return Err(error),
        }
    }
    match (places.is_empty(), missing) {
        (true, Some(error)) => Err(error),
        (true, None) => Err(io::Error::new(
            io::ErrorKind::NotFound,
            format!("`{host}` resolves to no address"),
        )),
        (false, _) => Ok(places),
    }
}

fn adopt(fd: RawFd, label: &Label, kinds: &[Kind]) -> io::Result<Place> {
    match place::inherited_kind(fd) {
        Some(kind) if kinds.contains(&kind) => Place::adopt(inherited::take(fd)?, label),
        Some(kind) => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("descriptor {fd} is a `{kind}` socket, which this server does not serve"),
        )),
        None => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("descriptor {fd} is no socket that could be taken"),
        )),
    }
}

/// A listening socket, or one of datagrams, that is served as long as somebody comes: `wait` in inetd.conf(5).
fn adopt_stdin(kinds: &[Kind]) -> io::Result<Place> {
    let label = &Label::Numbered(STDIN);
    #[cfg(feature = "upgrade")]
    if let fd @ 1.. = place::handover::numbered(STDIN) {
        return adopt(fd, label, kinds); // It was another process's stdin.
    }
    match place::inherited_kind(STDIN) {
        Some(kind) if kinds.contains(&kind) => Place::adopt(inherited::take_stdin()?, label),
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "`inetd` finds no socket for this server on stdin; write it in inetd.conf, or in a unit with `StandardInput=socket`",
        )),
    }
}

fn adopt_all(kinds: &[Kind]) -> io::Result<Vec<Place>> {
    let fits = |fd| place::inherited_kind(fd).is_some_and(|kind| kinds.contains(&kind));
    let fds = place::handed_over().into_iter().filter(|(fd, _)| fits(*fd));
    let places: io::Result<Vec<_>> = fds.map(|(fd, label)| adopt(fd, &label, kinds)).collect();
    Ok(by_kind(kinds, places?)) // Of one kind they stay in systemd's order.
}

/// What a server needs before it has an address could not be had. An error of our own says already what it is about.
fn not_ready(error: io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(_) => io::Error::new(
            error.kind(),
            format!("cannot prepare a server, before it binds: {error}"),
        ),
        None => error,
    }
}

fn adopt_named(kind: Kind, name: &str, index: Option<usize>) -> io::Result<Vec<Place>> {
    let mut named = by_systemd(name, index);
    if index.is_none() {
        named.retain(|(fd, _)| place::inherited_kind(*fd) == Some(kind));
    }
    if named.is_empty() {
        return Err(io::Error::new(
            io::ErrorKind::NotFound,
            format!("systemd handed over no `{kind}` socket named `{name}`"),
        ));
    }
    let named = named.into_iter();
    named
        .map(|(fd, label)| adopt(fd, &label, &[kind]))
        .collect()
}
