//! Every word that is built, in every form that it has.

use std::time::Duration;

use sockserv::prelude::*;

const LIMIT: usize = 8;
const PATIENCE: Duration = Duration::from_secs(1);

fn addr() -> String {
    "127.0.0.1:0".to_owned()
}

#[derive(Clone)]
struct Tcp;

#[server(
    forking(max_children = 2 * LIMIT),
    tcp,
    addr = ["127.0.0.1:0", "[::1]:0", "localhost:0", "tcp://127.0.0.1:0", "fd:3", "systemd:http", "systemd:http:1", addr()],
    backlog = 128,
    max_connections = 4 * 2,
    timeout = PATIENCE,
    first_byte_timeout = none,
    request_timeout = "1h 30min",
    shutdown_grace = "0s",
    accept_timeout = "0s",
    rbufsize = "64 KiB",
    wbufsize = 0,
    max_line = LIMIT,
    nodelay = false,
    keepalive,
    only_v6 = cfg!(unix),
    reuse_port = true,
    reuse_address = false,
    service_interval = Some(PATIENCE),
    announce = false,
    upgrade,
    upgrade_timeout = "1 min",
    name = Everything,
    crate = ::sockserv,
)]
impl Tcp {
    fn setup(&mut self, _stream: &mut Stream) -> Result<(), String> {
        Ok(())
    }

    fn handle(&self, _stream: &mut Stream) -> Outcome {
        Ok(())
    }

    #[cfg(unix)]
    fn finish(&mut self, _stream: &mut Stream) {}

    #[cfg(not(unix))]
    fn finish(&mut self, _stream: &mut Stream) -> Outcome {
        Ok(())
    }

    fn handle_error(&mut self, _error: &RequestError, _peer: &Address) {}
    fn handle_timeout(&self) {}
    fn service_actions(&self) {}

    fn server_bind(&self, _socket: &sockserv::socket2::Socket) -> io::Result<()> {
        Ok(())
    }

    fn server_activate(&self, _socket: &sockserv::socket2::Socket) -> io::Result<()> {
        Ok(())
    }
}

#[derive(Clone)]
struct Local;

#[server(unix_datagram, threading, mode = 0o660, max_packet_size = "8 KiB", addr = ["unix:@name", "unix-datagram:/run/x"])]
impl Local {
    fn handle(&mut self, _datagram: &mut Datagram) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        Ok(())
    }
}

#[derive(Clone)]
struct Pair;

#[server(tcp, udp, sync, addr = "127.0.0.1:0", backlog = 1, max_packet_size = 512)]
impl Pair {
    fn handle(&mut self, _request: &mut impl Request) {}
}

#[derive(Clone)]
struct Hooked;

#[server(udp)]
impl Hooked {
    fn handle(&mut self, _datagram: &mut sockserv::Datagram) {}
}

impl Hooks for Hooked {
    fn handle_timeout(&self) {}
}

fn main() {
    let _servers = (Everything::bind, LocalServer::bind, PairServer::bind, HookedServer::run);
}
