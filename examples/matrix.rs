//! Echo in every cell of transport x model: lines on streams, packets on datagrams.
//! Run:  `cargo run --release --example matrix -- tcp threading 127.0.0.1:7007 [--timeout 2s]`
//! Talk: `nc 127.0.0.1 7007`, or `socat - UDP:127.0.0.1:7007` after `-- udp sync 127.0.0.1:7007`
//! See:  what you type comes back; at the end the server prints `1 requests, 0 failed`

use std::env;
use std::str::FromStr;
use std::time::Duration;

use sockserv::observer::{Event, Observer};
use sockserv::prelude::*;
use sockserv::{Accept, Builder, Declaration, OnFull, Stats};

/// One module for each cell, named after its words, by which `serve` finds it.
macro_rules! matrix {
    ($($name:literal $row:ident: $kind:ident $transports:tt, $($model:ident)+;)+) => {
        $(mod $row {
            $(pub(crate) mod $model {
                use sockserv::prelude::*;

                #[derive(Clone)]
                pub(crate) struct Echo;

                $crate::cell!($kind $transports, $model);
            })+
        })+

        fn serve(transport: &str, model: &str, arguments: Arguments) -> io::Result<Stats> {
            match (transport, model) {
                $($(($name, stringify!($model)) => {
                    let builder = $row::$model::EchoServer::builder($row::$model::Echo);
                    let server = arguments.apply(builder)?.bind()?;
                    let handle = server.handle();
                    server.run()?;
                    Ok(handle.stats())
                })+)+
                _ => Err(invalid(format!("there is no cell `{transport} {model}`"))),
            }
        }
    };
}

/// The attribute on the kind of handler that the transports need.
macro_rules! cell {
    (Stream($transport:ident), $model:ident) => {
        #[server($transport, $model, vis = pub(crate))]
        impl Echo {
            fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
                $crate::echo_lines(&mut stream.rfile, &mut stream.wfile)
            }
        }
    };
    (Datagram($transport:ident), $model:ident) => {
        #[server($transport, $model, vis = pub(crate))]
        impl Echo {
            fn handle(&mut self, datagram: &mut Datagram) -> io::Result<()> {
                datagram.wfile.write_all(datagram.rfile.fill_buf()?)
            }
        }
    };
    (Either($stream:ident, $datagram:ident), $model:ident) => {
        #[server($stream, $datagram, $model, vis = pub(crate))]
        impl Echo {
            fn handle<R: Request>(&mut self, request: &mut R) -> io::Result<()> {
                let (rfile, wfile) = request.files();
                $crate::echo_lines(rfile, wfile)
            }
        }
    };
}
use cell;

matrix! {
    "tcp" tcp: Stream(tcp), sync threading pool forking prefork;
    "udp" udp: Datagram(udp), sync threading pool forking prefork;
    "unix" unix: Stream(unix), sync threading pool forking prefork;
    "unix_datagram" unix_datagram: Datagram(unix_datagram), sync threading pool forking prefork;
    "tcp+udp" tcp_udp: Either(tcp, udp), sync threading pool forking prefork;
    "unix+udp" unix_udp: Either(unix, udp), sync threading pool forking prefork;
}

fn echo_lines(rfile: &mut impl BufRead, wfile: &mut impl Write) -> io::Result<()> {
    let mut line = Vec::new();
    while rfile.read_until(b'\n', &mut line)? > 0 {
        wfile.write_all(&line)?;
        line.clear();
    }
    Ok(())
}

/// Addresses, and options named as in the attribute.
#[derive(Default)]
struct Arguments {
    addrs: Vec<String>,
    options: Vec<(String, String)>,
}

impl Arguments {
    fn parse(mut words: impl Iterator<Item = String>) -> io::Result<Self> {
        let mut arguments = Arguments::default();
        while let Some(word) = words.next() {
            match word.strip_prefix("--") {
                None => arguments.addrs.push(word),
                Some(name) => {
                    let value = words
                        .next()
                        .ok_or_else(|| invalid(format!("`{word}` needs a value")))?;
                    arguments.options.push((name.to_owned(), value));
                }
            }
        }
        Ok(arguments)
    }

    fn apply<H: Declaration, S>(&self, mut builder: Builder<H, S>) -> io::Result<Builder<H, S>> {
        for (name, value) in &self.options {
            builder = match name.as_str() {
                "accept" => builder.accept(accept(value)?),
                "accept-rate" => builder.accept_rate(parsed::<u32>(value)?),
                "accept-timeout" => builder.accept_timeout(duration(value)?),
                "allow" => builder.allow(value.split(',').collect::<Vec<_>>()),
                "backlog" => builder.backlog(parsed(value)?),
                "banner" => builder.banner(value.clone()),
                "deny" => builder.deny(value.split(',').collect::<Vec<_>>()),
                "first-byte-timeout" => builder.first_byte_timeout(duration(value)?),
                "keepalive" => builder.keepalive(parsed(value)?),
                "lame-duck" => builder.lame_duck(duration(value)?.unwrap_or_default()),
                "max" => builder.max(parsed::<usize>(value)?),
                "max-children" => builder.max_children(parsed::<usize>(value)?),
                "max-connections" => builder.max_connections(parsed(value)?),
                "max-connections-per-peer" => {
                    builder.max_connections_per_peer(parsed::<usize>(value)?)
                }
                "max-line" => builder.max_line(parsed(value)?),
                "max-packet-size" => builder.max_packet_size(parsed(value)?),
                "max-requests" => builder.max_requests(parsed::<u64>(value)?),
                "min-rate" => builder.min_rate(parsed::<u64>(value)?),
                "nodelay" => builder.nodelay(parsed(value)?),
                "observe" if parsed(value)? => builder.observer(Nobody),
                "on-full" => builder.on_full(on_full(value)?),
                "only-v6" => builder.only_v6(parsed(value)?),
                "queue" => builder.queue(parsed(value)?),
                "rbufsize" => builder.rbufsize(parsed(value)?),
                "request-timeout" => builder.request_timeout(duration(value)?),
                "reuse-port" => builder.reuse_port(parsed(value)?),
                "service-interval" => builder.service_interval(duration(value)?),
                "shutdown-grace" => builder.shutdown_grace(duration(value)?.unwrap_or_default()),
                "speaks-first" => builder.speaks_first(parsed(value)?),
                "stack-size" => builder.stack_size(parsed::<usize>(value)?),
                "timeout" => builder.timeout(duration(value)?),
                "wbufsize" => builder.wbufsize(parsed(value)?),
                "workers" => builder.workers(parsed::<usize>(value)?),
                _ => return Err(invalid(format!("unknown option `--{name}`"))),
            };
        }
        Ok(builder.addrs(&self.addrs))
    }
}

/// An observer that does nothing: to measure what having one costs.
struct Nobody;

impl Observer for Nobody {
    fn observe(&self, _event: &Event<'_>) {}
}

fn accept(value: &str) -> io::Result<Accept> {
    match value {
        "shared" => Ok(Accept::Shared),
        "reuse_port" => Ok(Accept::ReusePort),
        _ => Err(invalid(format!("`{value}` is none of: shared, reuse_port"))),
    }
}

fn on_full(value: &str) -> io::Result<OnFull> {
    match value {
        "wait" => Ok(OnFull::Wait),
        "refuse" => Ok(OnFull::Refuse),
        _ => Err(invalid(format!("`{value}` is none of: wait, refuse"))),
    }
}

/// `2s`, `200ms` or `none`.
fn duration(value: &str) -> io::Result<Option<Duration>> {
    Ok(match (value.strip_suffix("ms"), value.strip_suffix('s')) {
        (Some(millis), _) => Some(Duration::from_millis(parsed(millis)?)),
        (None, Some(seconds)) => Some(Duration::from_secs(parsed(seconds)?)),
        (None, None) if value == "none" => None,
        (None, None) => {
            return Err(invalid(format!(
                "`{value}` is no duration; write `2s` or `200ms`"
            )));
        }
    })
}

fn parsed<T: FromStr>(value: &str) -> io::Result<T> {
    value
        .parse()
        .map_err(|_| invalid(format!("`{value}` does not fit here")))
}

fn invalid(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, message)
}

fn main() -> io::Result<()> {
    let mut words = env::args().skip(1);
    let (Some(transport), Some(model)) = (words.next(), words.next()) else {
        return Err(invalid("write: matrix TRANSPORT MODEL ADDR...".to_owned()));
    };
    let stats = serve(&transport, &model, Arguments::parse(words)?)?;
    writeln!(
        io::stdout(),
        "{} requests, {} failed",
        stats.accepted,
        stats.failed
    )
}
