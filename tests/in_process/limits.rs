//! Limits, each as the option sets it and as the handle changes it while the server runs. Promise 4.

use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Resource, getrlimit, setrlimit};
use socket2::{Domain, Socket, Type};
use sockserv::prelude::*;
use sockserv::{OnFull, Running, ServerHandle};
use sockserv_tests::DEADLINE;

use crate::Test;
use crate::echo::{echo, tcp_forking, tcp_threading, udp_sync, unix_threading};
use sockserv_tests::wait_until;

pub(crate) fn tests() -> Vec<Test> {
    vec![
        ("p04_a_peer_has_at_most_its_number", per_peer),
        ("p04_unix_peers_are_under_no_limit_of_peers", unix_peers),
        ("p04_who_is_refused_reads_the_whole_banner", refused),
        ("p04_who_waits_is_served_when_another_ends", waits),
        ("p04_a_raised_limit_lets_who_waits_in", raised),
        (
            "p04_max_connections_is_what_the_table_allows",
            what_is_in_effect,
        ),
        ("p04_a_peer_comes_at_its_rate", rate),
        ("p04_a_peers_packets_come_at_its_rate", rate_of_packets),
        ("p04_the_best_match_decides_who_may_come", lists),
        ("p04_the_best_match_decides_whose_packets_come", lists_udp),
        ("p04_a_bad_network_is_an_error_of_bind", bad_network),
        ("p04_a_flood_that_is_refused_stops_nobody", flood),
    ]
}

pub(crate) fn alone() -> Vec<Test> {
    vec![
        ("p04_a_peer_of_children_has_at_most_its_number", of_children),
        ("p04_nothing_is_left_of_2000_requests", nothing_left),
        (
            "p04_a_flood_that_is_refused_costs_no_reply",
            flood_and_reply,
        ),
    ]
}

const BANNER: &str = "busy, come back later\n";

/// Connects from this address of the loopback network.
fn from(host: u8, at: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let own = SocketAddr::from((Ipv4Addr::new(127, 0, 0, host), 0));
    socket.bind(&own.into()).expect("a loopback address");
    socket.connect(&at.into()).expect("it listens");
    socket
        .set_read_timeout(Some(DEADLINE))
        .expect("an own socket");
    socket.into()
}

fn builder() -> sockserv::Builder<tcp_threading::Echo, tcp_threading::EchoServer> {
    tcp_threading::EchoServer::builder(tcp_threading::Echo::default())
        .addr("127.0.0.1:0")
        .banner(BANNER)
}

/// A running server, where it listens, and its handle.
fn run(
    builder: sockserv::Builder<tcp_threading::Echo, tcp_threading::EchoServer>,
) -> (Running, SocketAddr, ServerHandle) {
    let server = builder.bind().expect("a free port");
    let (at, handle) = (
        server.local_addr().as_inet().expect("a port"),
        server.handle(),
    );
    (server.spawn().expect("a thread"), at, handle)
}

/// What a client reads until the end, which is an end-of-file and no reset.
fn rest(client: TcpStream) -> String {
    io::read_to_string(client).expect("end-of-file")
}

fn served(host: u8, at: SocketAddr) -> TcpStream {
    let mut client = from(host, at);
    echo(&mut client, "served");
    client
}

fn is_served(host: u8, at: SocketAddr) -> bool {
    let mut client = from(host, at);
    client
        .write_all(b"line\nleave\n")
        .expect("it is read or drained");
    match &*rest(client) {
        "line\n" => true,
        "" | BANNER => false,
        other => panic!("{other:?}"),
    }
}

/// Nothing comes for a while. There is no event that says that none will come.
fn waits_for_nothing(client: &TcpStream) {
    client
        .set_read_timeout(Some(Duration::from_millis(50)))
        .expect("an own socket");
    let kind = client.peek(&mut [0]).map_err(|error| error.kind());
    assert_eq!(kind, Err(io::ErrorKind::WouldBlock));
    client
        .set_read_timeout(Some(DEADLINE))
        .expect("an own socket");
}

fn per_peer() {
    let (_running, at, handle) = run(builder().max_connections_per_peer(2));
    let (first, mut second) = (served(2, at), served(2, at));
    assert_eq!(rest(from(2, at)), BANNER);
    let _others = [served(3, at), served(4, at), served(3, at)];
    assert_eq!(rest(from(3, at)), BANNER);
    drop(first);
    wait_until(|| handle.stats().active == 4);
    let third = served(2, at);
    // While it runs.
    handle.set_max_connections_per_peer(Some(3));
    assert_eq!(handle.max_connections_per_peer(), Some(3));
    let fourth = served(2, at);
    assert_eq!(rest(from(2, at)), BANNER);
    handle.set_max_connections_per_peer(Some(1));
    assert_eq!(rest(from(2, at)), BANNER);
    echo(&mut second, "who is alive stays");
    handle.set_max_connections_per_peer(None);
    let _fifth = served(2, at);
    let stats = handle.stats();
    assert_eq!((stats.active, stats.refused, stats.failed), (7, 4, 0));
    drop((third, fourth));
    wait_until(|| handle.stats().active == 5);
}

fn unix_peers() {
    let path = format!("@sockserv-limits-{}", std::process::id());
    let server = unix_threading::EchoServer::builder(unix_threading::Echo::default())
        .addr(format!("unix:{path}"))
        .max_connections_per_peer(1)
        .accept_rate(1)
        .deny(["0.0.0.0/0", "::/0"])
        .bind()
        .expect("a free name");
    let _running = server.spawn().expect("a thread");
    let connect = || {
        use std::os::linux::net::SocketAddrExt;
        let at = std::os::unix::net::SocketAddr::from_abstract_name(&path[1..]);
        let mut client = UnixStream::connect_addr(&at.expect("a short name")).expect("it listens");
        echo(&mut client, "served");
        client
    };
    let _clients = [connect(), connect(), connect()];
}

fn refused() {
    let (_running, at, handle) = run(builder().max_connections(2).on_full(OnFull::Refuse));
    let mut alive = [served(1, at), served(1, at)];
    for turn in 1..=50 {
        let mut client = from(1, at);
        client
            .write_all(&[b'x'; 10_000])
            .expect("it is drained, and no reset takes the banner away");
        assert_eq!(rest(client), BANNER);
        wait_until(|| handle.stats().refused == turn);
    }
    alive.iter_mut().for_each(|client| echo(client, "alive"));
    // While it runs: the next one waits.
    handle.set_on_full(OnFull::Wait);
    assert_eq!(handle.on_full(), OnFull::Wait);
    let mut waiting = from(1, at);
    waits_for_nothing(&waiting);
    // And who waits is refused as soon as nobody may.
    handle.set_on_full(OnFull::Refuse);
    assert_eq!(waiting.read(&mut [0]).expect("the banner"), 1);
    drop(alive);
    wait_until(|| handle.stats().active == 0);
    served(1, at);
}

fn waits() {
    let (_running, at, handle) = run(builder().max_connections(2));
    let (first, _second) = (served(1, at), served(1, at));
    let mut waiting = from(1, at);
    waiting.write_all(b"line\n").expect("the kernel takes it");
    waits_for_nothing(&waiting);
    assert_eq!((handle.stats().active, handle.stats().refused), (2, 0));
    drop(first);
    let mut line = [0; 5];
    waiting.read_exact(&mut line).expect("it is served");
    assert_eq!(&line, b"line\n");
}

fn raised() {
    let (_running, at, handle) = run(builder().max_connections(1));
    let mut first = served(1, at);
    let mut waiting = [from(1, at), from(2, at), from(3, at)];
    waits_for_nothing(&waiting[0]);
    let began = Instant::now();
    assert_eq!(handle.set_max_connections(4), 4);
    for client in &mut waiting {
        echo(client, "in");
    }
    assert!(
        began.elapsed() < Duration::from_secs(1),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(handle.stats().active, 4);
    // Lowered: nobody is sent away, and nobody comes in before enough have ended.
    assert_eq!(handle.set_max_connections(2), 2);
    let mut late = from(4, at);
    for client in waiting.iter_mut().chain([&mut first]) {
        echo(client, "still here");
    }
    waits_for_nothing(&late);
    let [one, two, _three] = waiting;
    drop((one, two));
    wait_until(|| handle.stats().active == 2);
    waits_for_nothing(&late);
    drop(first);
    echo(&mut late, "in");
}

fn what_is_in_effect() {
    let server = builder().max_connections(10).bind().expect("a free port");
    let handle = server.handle();
    assert_eq!(handle.max_connections(), 10);
    let most = handle.set_max_connections(usize::MAX);
    assert!((10..=65_536).contains(&most), "{most}");
    assert_eq!(handle.max_connections(), most);
    assert_eq!(handle.set_max_connections(0), 1, "`suspend` takes none");
    // What the model allows stays the limit.
    let server = builder().max(5).bind().expect("a free port");
    assert_eq!(server.handle().max_connections(), 5);
    assert_eq!(server.handle().set_max_connections(100), 5);
}

fn rate() {
    let (_running, at, handle) = run(builder().accept_rate(5));
    let began = Instant::now();
    let count = (0..20).filter(|_| is_served(5, at)).count();
    let most = 5 + (began.elapsed().as_millis() / 200) as usize;
    assert!(
        (5..=most).contains(&count),
        "{count} in {:?}",
        began.elapsed()
    );
    assert!(is_served(6, at), "another peer");
    assert_eq!(handle.stats().refused, 20 - count as u64);
    // While it runs.
    handle.set_accept_rate(None);
    assert_eq!(handle.accept_rate(), None);
    assert_eq!((0..20).filter(|_| is_served(5, at)).count(), 20);
    handle.set_accept_rate(Some(1));
    assert!(is_served(7, at) && !is_served(7, at));
}

/// A bound packet client with a deadline.
fn packets(host: u8, at: SocketAddr) -> UdpSocket {
    let client = UdpSocket::bind((Ipv4Addr::new(127, 0, 0, host), 0)).expect("a free port");
    client
        .set_read_timeout(Some(DEADLINE))
        .expect("an own socket");
    client.connect(at).expect("a loopback address");
    client
}

fn receive(client: &UdpSocket) -> String {
    let mut packet = [0; 64];
    let count = client.recv(&mut packet).expect("a reply");
    String::from_utf8(packet[..count].to_vec()).expect("text")
}

fn udp() -> sockserv::Builder<udp_sync::Echo, udp_sync::EchoServer> {
    udp_sync::EchoServer::builder(udp_sync::Echo).addr("127.0.0.1:0")
}

fn rate_of_packets() {
    let server = udp().accept_rate(5).bind().expect("a free port");
    let (at, handle) = (
        server.local_addr().as_inet().expect("a port"),
        server.handle(),
    );
    let _running = server.spawn().expect("a thread");
    let client = packets(5, at);
    let began = Instant::now();
    for _ in 0..20 {
        client.send(b"packet").expect("it is bound");
    }
    wait_until(|| handle.stats().accepted == 20);
    let most = 5 + began.elapsed().as_millis() / 200;
    handle.set_accept_rate(None);
    client.send(b"last").expect("it is bound");
    let count = (0_u128..)
        .take_while(|_| receive(&client) != "last")
        .count() as u128;
    assert!((5..=most).contains(&count), "{count}");
    assert_eq!(u128::from(handle.stats().refused), 20 - count);
}

fn lists() {
    let (_running, at, handle) = run(builder().allow(["127.0.0.0/8", "127.0.0.65"]).deny([
        "127.0.0.6",
        "127.0.0.64/26",
        "127.0.0.127",
    ]));
    for (host, may) in [
        (1, true),
        (6, false),
        (64, false),
        (65, true),
        (127, false),
        (128, true),
    ] {
        assert_eq!(is_served(host, at), may, "127.0.0.{host}");
    }
    assert_eq!(rest(from(6, at)), "", "it is told nothing");
    // While it runs.
    handle.set_deny(["127.0.0.1"]).expect("a network");
    assert!(!is_served(1, at) && is_served(6, at) && is_served(64, at));
    handle.set_allow(["127.0.0.8/29"]).expect("a network");
    assert!(!is_served(1, at) && !is_served(6, at) && is_served(9, at));
    handle.set_deny(["127.0.0.8/29"]).expect("a network");
    assert!(!is_served(9, at), "a tie is a refusal");
    assert!(handle.set_allow(["127.0.0.0/8", "nonsense"]).is_err());
    assert!(!is_served(1, at), "nothing has changed");
    handle.set_allow([""; 0]).expect("none");
    handle.set_deny(Vec::<String>::new()).expect("none");
    assert!(is_served(1, at) && is_served(9, at));
    assert!(handle.allow().is_empty() && handle.deny().is_empty());
    assert_eq!(handle.stats().failed, 0);
}

fn lists_udp() {
    let server = udp().deny(["127.0.0.6"]).bind().expect("a free port");
    let (at, handle) = (
        server.local_addr().as_inet().expect("a port"),
        server.handle(),
    );
    let _running = server.spawn().expect("a thread");
    let (good, bad) = (packets(1, at), packets(6, at));
    bad.send(b"refused").expect("it is bound");
    good.send(b"served").expect("it is bound");
    assert_eq!(receive(&good), "served");
    wait_until(|| (handle.stats().refused, handle.stats().finished) == (1, 1));
    handle.set_allow(["127.0.0.6"]).expect("a network");
    handle.set_deny([""; 0]).expect("none");
    good.send(b"refused").expect("it is bound");
    bad.send(b"served").expect("it is bound");
    assert_eq!(receive(&bad), "served", "and its first packet was dropped");
    wait_until(|| (handle.stats().refused, handle.stats().finished) == (2, 2));
}

fn bad_network() {
    for builder in [
        builder().allow(["10.0.0.0/33"]),
        builder().deny(["10.0.0.0/33"]),
    ] {
        let error = builder.bind().expect_err("it is no network");
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert_eq!(
            error.to_string(),
            "`10.0.0.0/33` is no network; write `192.0.2.0/24`, `2001:db8::/32` or a plain address"
        );
    }
}

/// While some are refused as fast as they come, each for another reason, honest clients come and go.
fn flood() {
    let (running, at, handle) = run(builder()
        .deny(["127.0.0.7"])
        .accept_rate(1000)
        .max_connections_per_peer(4));
    let _own = [(); 4].map(|()| served(9, at));
    thread::scope(|scope| {
        let bad = [7, 8, 9].map(|host| {
            let handle = handle.clone();
            scope.spawn(move || {
                while !handle.is_shutting_down() {
                    let mut client = from(host, at);
                    // Its server may have closed it already.
                    let _ = client
                        .write_all(b"junk\nleave\n")
                        .and_then(|()| client.read(&mut [0; 64]));
                }
            })
        });
        wait_until(|| handle.stats().refused > 1_000);
        let began = Instant::now();
        for host in 0..50 {
            served(100 + host, at);
        }
        assert!(began.elapsed() < DEADLINE, "{:?}", began.elapsed());
        handle.suspend(); // So that no connection is on its way when the listener closes.
        handle.shutdown();
        for thread in bad {
            thread.join().expect("it does not panic");
        }
    });
    drop(running);
}

/// A reply that is still on its way is kept in favour of those who are refused: closed, the socket would answer the next
/// word of its peer by a reset, and the kernel would throw the rest away. Where as many may be alive as there are
/// descriptors for, only a few may linger.
fn flood_and_reply() {
    let mut limits = getrlimit(Resource::Nofile);
    limits.current = Some(200);
    setrlimit(Resource::Nofile, limits).expect("less is allowed");
    let server = EndsServer::builder(Ends)
        .addr("127.0.0.1:0")
        .max_connections(usize::MAX)
        .deny(["127.0.0.7"])
        .bind()
        .expect("a free port");
    let (at, handle) = (
        server.local_addr().as_inet().expect("a port"),
        server.handle(),
    );
    let _running = server.spawn().expect("a thread");
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a small one");
    socket.connect(&at.into()).expect("it listens");
    let mut client = TcpStream::from(socket);
    client.write_all(b"much\n").expect("it is read");
    wait_until(|| handle.stats().finished == 1);
    let flood: Vec<_> = (0..40).map(|_| from(7, at)).collect();
    wait_until(|| handle.stats().refused == 40);
    client.write_all(b"still talking").expect("it is drained");
    assert_eq!(rest(client).len(), MUCH);
    drop(flood);
}

fn of_children() {
    let mut server = tcp_forking::EchoServer::builder(tcp_forking::Echo::default())
        .addr("127.0.0.1:0")
        .max_connections_per_peer(2)
        .accept_rate(10)
        .banner(BANNER)
        .bind()
        .expect("a free port");
    let (at, handle) = (
        server.local_addr().as_inet().expect("a port"),
        server.handle(),
    );
    let mut connect = |host| {
        let client = from(host, at);
        while !server.handle_request().expect("it goes on") {}
        client
    };
    let mut alive = [connect(2), connect(2), connect(3)];
    alive.iter_mut().for_each(|client| echo(client, "served"));
    assert_eq!(rest(connect(2)), BANNER);
    handle.set_max_connections_per_peer(Some(3));
    echo(&mut connect(2), "served");
    handle.set_max_connections_per_peer(None);
    handle.set_accept_rate(Some(1)); // So that a slow machine, too, is soon enough for the next ones.
    let many: Vec<_> = (0..3).map(|_| connect(4)).collect();
    assert_eq!(handle.stats().refused, 3);
    drop((many, alive));
}

/// More than a small receive buffer takes, and less than a send buffer.
const MUCH: usize = 60_000;

/// Ends as its line says.
#[derive(Clone)]
struct Ends;

#[server(tcp, threading)]
impl Ends {
    fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
        let mut line = String::new();
        stream.rfile.read_line(&mut line)?;
        match &*line {
            "panic\n" => panic!("as it was asked to"),
            "much\n" => stream.wfile.write_all(&[b'x'; MUCH]),
            "fail\n" => Err(io::Error::other("as it was asked to")),
            _ => stream.wfile.write_all(line.as_bytes()),
        }
    }

    fn verify_request(&self, peer: &Address) -> bool {
        peer.as_inet()
            .is_none_or(|peer| peer.ip() != Ipv4Addr::new(127, 0, 0, 16))
    }

    fn handle_error(&mut self, _error: &RequestError, _peer: &Address) {}
}

fn nothing_left() {
    std::panic::set_hook(Box::new(|_| ()));
    let server = EndsServer::builder(Ends)
        .addr("127.0.0.1:0")
        .max_connections(4)
        .max_connections_per_peer(3)
        .accept_rate(500)
        .on_full(OnFull::Refuse)
        .banner(BANNER)
        .deny(["127.0.0.17"])
        .bind()
        .expect("a free port");
    let (at, handle) = (
        server.local_addr().as_inet().expect("a port"),
        server.handle(),
    );
    let running = server.spawn().expect("a thread");
    thread::scope(|scope| {
        for host in 10..18 {
            scope.spawn(move || {
                for turn in 0..250 {
                    let line = ["line\n", "panic\n", "fail\n", "line\n"][turn % 4];
                    let mut client = from(host, at);
                    // It may be refused, and closed, before it has spoken.
                    let _ = client
                        .write_all(line.as_bytes())
                        .and_then(|()| client.read(&mut [0; 64]));
                }
            });
        }
    });
    wait_until(|| handle.stats().accepted == 2_000 && handle.stats().active == 0);
    let stats = handle.stats();
    assert_eq!(stats.finished + stats.failed + stats.refused, 2_000);
    assert!(
        stats.finished > 0 && stats.failed > 0 && stats.refused >= 500,
        "{stats:?}"
    );
    // All places are there again, and the peers have none.
    handle.set_accept_rate(None);
    handle.set_on_full(OnFull::Wait);
    let mut alive = [from(10, at), from(10, at), from(10, at), from(11, at)];
    handle.set_max_connections(5);
    let mut late = from(12, at);
    for client in alive.iter_mut().chain([&mut late]) {
        client.write_all(b"line\n").expect("it is read");
        assert_eq!(io::read_to_string(client).expect("a reply"), "line\n");
    }
    drop(running);
}
