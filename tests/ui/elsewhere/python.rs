use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(
    tcp,
    request_queue_size = 1,
    allow_reuse_address = 1,
    allow_reuse_port = 1,
    daemon_threads = 1,
    block_on_close = 1,
    disable_nagle_algorithm = 1,
    address_family = 1,
    socket_type = 1,
    server_address = 1,
    RequestHandlerClass,
    bind_and_activate = 1,
    poll_interval = 1,
    ThreadingMixIn,
    ForkingMixIn,
    BaseServer,
    TCPServer,
    UDPServer,
    UnixStreamServer,
    UnixDatagramServer,
    ThreadingTCPServer,
    ThreadingUDPServer,
    ThreadingUnixStreamServer,
    ThreadingUnixDatagramServer,
    ForkingTCPServer,
    ForkingUDPServer,
    ForkingUnixStreamServer,
    ForkingUnixDatagramServer,
    BaseRequestHandler,
    StreamRequestHandler,
    DatagramRequestHandler,
    port = 1,
    host = 1,
    bind = 1,
    listen = 1,
    address = 1,
    ip = 1,
    path = 1,
    threads = 1,
    threaded,
    fork,
    unixgram,
    tcp4,
    tcp6,
    udp4,
    udp6,
    tcp_nodelay = 1,
    ipv6_only = 1,
)]
impl Echo {
    fn handle(&mut self, _stream: &mut Stream) {}
}

fn main() {}
