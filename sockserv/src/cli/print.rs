//! What an operator gives to systemd, HAProxy, Kubernetes and Docker, made of the server's own settings.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::{env, io};

use crate::address::{Address, Endpoint, Kind};
use crate::capacity::{Need, OTHER_DESCRIPTORS, stop_seconds};
use crate::cli::Parsed;
use crate::options::{Accept, Options};
use crate::server::declare::{Attribute, Declaration, Transport};

/// Threads and processes beside those for requests.
const OTHER_TASKS: u64 = 16;

/// A server as those see it who deploy it.
pub(super) struct Deployment<'a> {
    name: String,
    version: &'static str,
    program: String,
    /// The flags that make it what it is, but for where it listens.
    flags: Vec<String>,
    addrs: Vec<String>,
    places: Vec<(Kind, Place)>,
    options: &'a Options,
    need: Need,
    is_sync: bool,
    /// Whether the sockets can be somebody else's.
    can_inherit: bool,
}

/// Where it listens.
enum Place {
    Inet(SocketAddr),
    Unix(String),
}

impl<'a> Deployment<'a> {
    /// Looks at the settings.
    ///
    /// # Errors
    ///
    /// That it is not known where the server will listen.
    pub(super) fn new<H: Declaration>(
        attribute: &Attribute,
        parsed: &'a Parsed,
        need: Need,
    ) -> io::Result<Self> {
        let changed = parsed.settings.iter().filter(|setting| setting.is_given());
        let flags = changed.filter(|setting| setting.name != super::ADDR);
        let program = env::current_exe()?;
        Ok(Self {
            name: kebab(attribute.name),
            version: attribute.version,
            program: program.display().to_string(),
            flags: flags.map(super::check::Setting::flag).collect(),
            addrs: parsed
                .options
                .endpoints
                .iter()
                .flatten()
                .map(Endpoint::to_string)
                .collect(),
            places: places(<H::Transport as Transport<H>>::KINDS, &parsed.options)?,
            options: &parsed.options,
            need,
            is_sync: attribute.model == "sync",
            can_inherit: parsed.options.accept == Accept::Shared,
        })
    }

    /// How long its end may take.
    fn end(&self) -> u64 {
        stop_seconds(self.options.lame_duck, self.options.shutdown_grace)
    }

    fn title(&self) -> String {
        format!("{} {}", self.name, self.version)
            .trim_end()
            .to_owned()
    }

    /// A socket unit and the service that it starts, as `systemctl cat` shows them.
    pub(super) fn unit(&self) -> String {
        match self.can_inherit {
            true => format!("{}\n{}", self.socket(), self.service()),
            false => self.service(),
        }
    }

    fn socket(&self) -> String {
        let (name, options) = (&self.name, self.options);
        let mut lines = Vec::new();
        for (kind, place) in &self.places {
            let directive = if kind.is_stream() {
                "ListenStream"
            } else {
                "ListenDatagram"
            };
            lines.push(format!("{directive}={}", place.socket()));
        }
        let any = |is_so: fn(Kind) -> bool| self.places.iter().any(|(kind, _)| is_so(*kind));
        if any(Kind::is_stream) {
            lines.push(format!("Backlog={}", options.backlog));
        }
        if any(|kind| kind == Kind::Tcp) {
            lines.push(format!("NoDelay={}", options.nodelay));
            lines.push(format!("KeepAlive={}", options.keepalive));
        }
        if any(|kind| !kind.is_unix()) {
            let v6 = if options.only_v6 { "ipv6-only" } else { "both" };
            lines.push(format!("BindIPv6Only={v6}"));
            lines.push(format!("ReusePort={}", options.reuse_port));
        }
        if any(Kind::is_unix) {
            lines.extend(options.mode.map(|mode| format!("SocketMode={mode:04o}")));
            lines.extend(
                options
                    .owner
                    .as_ref()
                    .map(|owner| format!("SocketUser={owner}")),
            );
            lines.extend(
                options
                    .group
                    .as_ref()
                    .map(|group| format!("SocketGroup={group}")),
            );
        }
        let lines = lines.join("\n");
        format!(
            "# /etc/systemd/system/{name}.socket\n\
             [Unit]\n\
             Description=Where {name} listens\n\n\
             [Socket]\n\
             FileDescriptorName={name}\n\
             {lines}\n\n\
             [Install]\n\
             WantedBy=sockets.target\n"
        )
    }

    fn service(&self) -> String {
        let (name, title, end) = (&self.name, self.title(), self.end());
        let sockets = match self.can_inherit {
            true => format!("Requires={name}.socket\nAfter={name}.socket\n"),
            false => "After=network-online.target\nWants=network-online.target\n".to_owned(),
        };
        let also = if self.can_inherit {
            format!("Also={name}.socket\n")
        } else {
            String::new()
        };
        let mut words = vec![self.program.clone()];
        if !self.can_inherit {
            words.extend(self.addrs.iter().cloned());
        }
        words.extend(self.flags.iter().cloned());
        let command: Vec<_> = words.iter().map(|word| quoted(word)).collect();
        let command = command.join(" ");
        // Under `sync` a request that takes long keeps the loop from its beat.
        let watchdog = if self.is_sync {
            ""
        } else {
            "WatchdogSec=30s\n"
        };
        let (files, tasks) = (
            self.files(),
            self.need.threads + self.need.processes + OTHER_TASKS,
        );
        format!(
            "# /etc/systemd/system/{name}.service\n\
             [Unit]\n\
             Description={title}\n\
             {sockets}\n\
             [Service]\n\
             # From systemd 253 on: Type=notify-reload, without ExecReload.\n\
             Type=notify\n\
             ExecStart={command}\n\
             ExecReload=/bin/kill -HUP $MAINPID\n\
             {watchdog}\
             # lame_duck, shutdown_grace, and what comes after them.\n\
             TimeoutStopSec={end}s\n\
             KillMode=mixed\n\
             Restart=on-failure\n\
             LimitNOFILE={files}\n\
             TasksMax={tasks}\n\
             DynamicUser=yes\n\n\
             [Install]\n\
             {also}\
             WantedBy=multi-user.target\n"
        )
    }

    fn files(&self) -> u64 {
        self.need.connections.saturating_add(OTHER_DESCRIPTORS)
    }

    /// A configuration of HAProxy for two of them.
    ///
    /// # Errors
    ///
    /// That there is no stream to balance.
    pub(super) fn haproxy(&self) -> io::Result<String> {
        let stream = self.places.iter().find(|(kind, _)| kind.is_stream());
        let Some((_, place)) = stream else {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "HAProxy carries streams, and this server has none",
            ));
        };
        let name = &self.name;
        let wait = self
            .options
            .timeout
            .map_or(3600, |timeout| timeout.as_secs().max(1));
        let each = self.need.connections;
        let (bind, servers) = match place {
            Place::Inet(at) => {
                let port = at.port();
                let server = |n: u8| format!("    server {name}-{n} 192.0.2.{n}:{port}");
                (format!(":{port}"), [server(1), server(2)])
            }
            Place::Unix(path) => {
                let path = path
                    .strip_prefix('@')
                    .map_or_else(|| format!("unix@{path}"), |name| format!("abns@{name}"));
                let server = |n: u8| {
                    format!(
                        "    server {name}-{n} {path}{}",
                        if n == 1 { "" } else { ".2" }
                    )
                };
                (":8000".to_owned(), [server(1), server(2)])
            }
        };
        // Three checks fit into the lame duck, so that it is noticed before the listeners close.
        let inter = match self.options.lame_duck.as_millis() {
            0 => 2000,
            lame_duck => (lame_duck / 3).clamp(100, 2000),
        };
        // `/readyz` is false from the lame duck on.
        let (httpchk, port) = match self.readiness() {
            Some(port) => ("option httpchk GET /readyz\n    ", format!(" port {port}")),
            None => ("", String::new()),
        };
        let [first, second] = servers;
        let both = each.saturating_mul(2);
        Ok(format!(
            "# The addresses of `server` are placeholders: one line for each machine.\n\
             global\n    maxconn {both}\n\n\
             defaults\n    mode tcp\n    timeout connect 5s\n    timeout client {wait}s\n    timeout server {wait}s\n\n\
             frontend {name}\n    bind {bind}\n    default_backend {name}\n\n\
             backend {name}\n    balance leastconn\n    option redispatch\n    retries 3\n    \
             {httpchk}default-server check{port} inter {inter}ms fall 2 rise 2 maxconn {each}\n{first}\n{second}\n"
        ))
    }

    /// A Deployment of Kubernetes with two of them, and their Service.
    pub(super) fn kubernetes(&self) -> io::Result<String> {
        let (name, end) = (&self.name, self.end());
        let ports = self.ports()?;
        let args = self.args_in_a_container();
        let args: Vec<_> = args.iter().map(|word| format!("{word:?}")).collect();
        let args = args.join(", ");
        let container: String = ports
            .iter()
            .map(|(protocol, port)| {
                format!("            - {{containerPort: {port}, protocol: {protocol}}}\n")
            })
            .collect();
        let service = self.kubernetes_service(&ports);
        let probed = match (self.readiness(), ports[0]) {
            (Some(port), _) => format!("httpGet: {{path: /readyz, port: {port}}}"),
            (None, ("TCP", port)) => format!("tcpSocket: {{port: {port}}}"),
            (None, _) => String::new(),
        };
        let probe = match probed.is_empty() {
            true => String::new(),
            false => format!(
                "          readinessProbe:\n            {probed}\n            periodSeconds: 2\n"
            ),
        };
        // While the endpoint's end spreads through the cluster, clients still come.
        let stop = match self.options.lame_duck.is_zero() {
            true => {
                "          lifecycle:\n            preStop:\n              sleep: {seconds: 5}\n"
            }
            false => "",
        };
        let (end, first) = match stop.is_empty() {
            true => (end, "lame_duck"),
            false => (end + 5, "preStop"),
        };
        let tag = if self.version.is_empty() {
            "latest"
        } else {
            self.version
        };
        Ok(format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: {name}\nspec:\n  replicas: 2\n  \
             selector:\n    matchLabels: {{app: {name}}}\n  \
             strategy:\n    rollingUpdate: {{maxUnavailable: 0, maxSurge: 1}}\n  \
             template:\n    metadata:\n      labels: {{app: {name}}}\n    spec:\n      \
             # {first}, shutdown_grace, and what comes after them.\n      \
             terminationGracePeriodSeconds: {end}\n      \
             containers:\n        - name: {name}\n          image: {name}:{tag}\n          args: [{args}]\n          \
             ports:\n{container}{probe}{stop}\
             ---\n{service}"
        ))
    }

    fn kubernetes_service(&self, ports: &[(&'static str, u16)]) -> String {
        let name = &self.name;
        let list: String = ports
            .iter()
            .map(|(protocol, port)| {
                format!(
                    "    - {{name: {}-{port}, port: {port}, protocol: {protocol}}}\n",
                    protocol.to_lowercase()
                )
            })
            .collect();
        format!(
            "apiVersion: v1\nkind: Service\nmetadata:\n  name: {name}\nspec:\n  selector: {{app: {name}}}\n  ports:\n{list}"
        )
    }

    /// A Dockerfile that builds and runs it.
    pub(super) fn dockerfile(&self) -> io::Result<String> {
        let (name, end) = (&self.name, self.end());
        let program = self.program.rsplit('/').next().unwrap_or(name);
        let args = self.args_in_a_container();
        let ports = self.ports()?;
        let ports: Vec<_> = ports
            .iter()
            .map(|(protocol, port)| format!("{port}/{}", protocol.to_lowercase()))
            .collect();
        let ports = ports.join(" ");
        Ok(format!(
            "# docker build -t {name} . && docker run --stop-timeout {end} --publish-all {name}\n\
             FROM rust:slim AS build\nWORKDIR /build\nCOPY . .\n\
             RUN cargo build --release --locked --bin {program}\n\n\
             FROM debian:stable-slim\n\
             COPY --from=build /build/target/release/{program} /usr/local/bin/{program}\n\
             USER 65534:65534\nEXPOSE {ports}\nSTOPSIGNAL SIGTERM\n\
             ENTRYPOINT [\"/usr/local/bin/{program}\"]\nCMD {args:?}\n"
        ))
    }

    /// Where other machines may ask whether it is ready.
    fn readiness(&self) -> Option<u16> {
        #[cfg(feature = "admin")]
        for at in self.options.admin.public.iter().flatten() {
            if let Endpoint::Address(address) = at.kind().1
                && let Some(port @ 1..) = address.port()
            {
                return Some(port);
            }
        }
        None
    }

    /// The ports, each with its protocol as Kubernetes writes it.
    fn ports(&self) -> io::Result<Vec<(&'static str, u16)>> {
        let mut ports = Vec::new();
        for (kind, place) in &self.places {
            let protocol = if *kind == Kind::Tcp { "TCP" } else { "UDP" };
            match place {
                Place::Inet(at) if !ports.contains(&(protocol, at.port())) => {
                    ports.push((protocol, at.port()));
                }
                _ => {}
            }
        }
        match ports.is_empty() {
            true => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "a container is reached by a port, and this server listens on none",
            )),
            false => Ok(ports),
        }
    }

    /// In a container it listens on every address of its own network.
    fn args_in_a_container(&self) -> Vec<String> {
        let inet = |place: &Place| match place {
            Place::Inet(at) => Some(*at),
            Place::Unix(_) => None,
        };
        let all: Vec<SocketAddr> = self
            .places
            .iter()
            .filter_map(|(_, place)| inet(place))
            .collect();
        // `[::]` takes IPv4, too.
        let takes_both = |port| {
            let mut all = all.iter().filter(|at| at.is_ipv6() && at.port() == port);
            all.next().is_some() && !self.options.only_v6
        };
        let mut args: Vec<String> = Vec::new();
        for (_, place) in &self.places {
            let at = match place {
                Place::Inet(at) if takes_both(at.port()) => format!("[::]:{}", at.port()),
                Place::Inet(at) => SocketAddr::new(every(at.ip()), at.port()).to_string(),
                Place::Unix(path) => format!("unix:{path}"),
            };
            if !args.contains(&at) {
                args.push(at);
            }
        }
        args.extend(self.flags.iter().cloned());
        args
    }
}

impl Place {
    /// As a socket unit names it.
    fn socket(&self) -> String {
        match self {
            Self::Inet(at) if at.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) => at.port().to_string(),
            Self::Inet(at) => at.to_string(),
            Self::Unix(path) => path.clone(),
        }
    }
}

fn every(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    }
}

/// Where the kinds of socket listen, in the server's order.
fn places(kinds: &[Kind], options: &Options) -> io::Result<Vec<(Kind, Place)>> {
    let mut places = Vec::new();
    for kind in kinds {
        let fitting = options
            .endpoints
            .iter()
            .flatten()
            .filter(|at| at.fits(*kind));
        for at in fitting {
            match at.kind().1 {
                Endpoint::Address(Address::Inet(at)) => places.push((*kind, Place::Inet(*at))),
                Endpoint::Address(Address::Unix(path)) => {
                    places.push((
                        *kind,
                        Place::Unix(std::path::absolute(path)?.display().to_string()),
                    ));
                }
                Endpoint::Address(Address::Abstract(name)) => {
                    places.push((
                        *kind,
                        Place::Unix(format!("@{}", String::from_utf8_lossy(name))),
                    ));
                }
                Endpoint::Host(host, port) => {
                    let all = (host.as_str(), *port).to_socket_addrs()?;
                    places.extend(all.map(|at| (*kind, Place::Inet(at))));
                }
                _ => {}
            }
        }
    }
    let has_port = |place: &Place| !matches!(place, Place::Inet(at) if at.port() == 0);
    match !places.is_empty() && places.iter().all(|(_, place)| has_port(place)) {
        true => Ok(places),
        false => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is not known where the server will listen; name an address with its port, as in `--addr 127.0.0.1:7007`",
        )),
    }
}

/// `HttpHello` is `http-hello`.
fn kebab(name: &str) -> String {
    super::snake(name).replace('_', "-").to_lowercase()
}

/// A word of `ExecStart=`: systemd.service(5), "Command lines".
fn quoted(word: &str) -> String {
    let word = word.replace('%', "%%").replace('$', "$$");
    match word.contains([' ', '\t', '"', '\'', '\\', ';']) {
        true => format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\"")),
        false => word,
    }
}
