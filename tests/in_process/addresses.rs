//! Where a server listens: families, several addresses, pairs on one port, abstract names. Promise 9, F12, F13, F16, F24, F70, D20, D22.

use std::net::{TcpStream, UdpSocket};

use sockserv::prelude::*;

use crate::Test;
use crate::echo::{
    ask, echo, tcp_sync, tcp_threading, tcp_udp_sync, tcp_udp_threading, udp_sync, unix_sync,
    unix_udp_threading,
};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        ("f24_port_zero_is_resolved", port_zero),
        ("d22_the_family_comes_from_the_address", ipv6),
        ("d22_a_link_is_known_by_its_name", link),
        ("p09_both_families_reach_a_dual_stack_server", dual_stack),
        ("p09_only_v6_leaves_ipv4_alone", only_v6),
        (
            "p09_a_packet_of_a_mapped_peer_is_answered",
            dual_stack_packets,
        ),
        ("f12_several_addresses_are_served_in_order", several),
        (
            "a09_localhost_is_one_port_for_all_it_resolves_to",
            localhost,
        ),
        ("f70_a_pair_shares_a_free_port", pair),
        (
            "f70_a_pair_of_families_takes_its_own_addresses",
            pair_of_families,
        ),
        ("an_address_that_nobody_takes_is_an_error", nobody_takes),
        ("a09_reuse_port_is_off_unless_asked_for", reuse_port),
        ("d20_a_restart_in_time_wait_works", restart),
        ("f12_abstract_names_are_served", abstract_name),
    ]
}

fn port_zero() {
    let server = tcp_sync::EchoServer::bind_to("127.0.0.1:0", tcp_sync::Echo::default())
        .expect("a free port");
    assert_ne!(server.local_addr().port(), Some(0));
    assert_eq!(server.local_addrs(), [server.local_addr().clone()]);
}

fn ipv6() {
    let running = tcp_threading::EchoServer::bind_to("[::1]:0", tcp_threading::Echo::default())
        .expect("a free port")
        .spawn()
        .expect("a thread");
    let mut client = running.connect().expect("it listens");
    let own = client.local_addr().expect("it is connected");
    assert!(own.as_inet().is_some_and(|own| own.is_ipv6()));
    assert_eq!(
        ask(&mut client, "who"),
        format!("{own} {}", running.local_addr())
    );
}

fn link() {
    let at = "[fe80::1%lo]:0"; // Nobody has it, but there is such a link.
    let error = tcp_sync::EchoServer::bind_to(at, tcp_sync::Echo::default()).expect_err(at);
    assert_eq!(error.kind(), io::ErrorKind::AddrNotAvailable, "{error}");
    assert!(error.to_string().contains("[fe80::1%1]"), "{error}");
}

fn dual_stack() {
    let running = tcp_threading::EchoServer::bind_to("[::]:0", tcp_threading::Echo::default())
        .expect("a free port")
        .spawn()
        .expect("a thread");
    let port = running.local_addr().port().expect("a port");
    for ip in ["127.0.0.1", "[::1]"] {
        let mut client =
            TcpStream::connect(format!("{ip}:{port}")).expect("both families reach it");
        let own = client.local_addr().expect("it is connected");
        assert_eq!(
            ask(&mut client, "who"),
            format!("{own} {ip}:{port}"),
            "as IPv4 where it is IPv4"
        );
    }
}

fn only_v6() {
    let server = tcp_threading::EchoServer::builder(tcp_threading::Echo::default())
        .addr("[::]:0")
        .only_v6(true)
        .bind();
    let running = server.expect("a free port").spawn().expect("a thread");
    let port = running.local_addr().port().expect("a port");
    echo(
        &mut TcpStream::connect(format!("[::1]:{port}")).expect("it listens"),
        "six",
    );
    let four = TcpStream::connect(format!("127.0.0.1:{port}"));
    assert_eq!(
        four.err().map(|error| error.kind()),
        Some(io::ErrorKind::ConnectionRefused)
    );
}

fn dual_stack_packets() {
    let running = udp_sync::EchoServer::bind_to("[::]:0", udp_sync::Echo)
        .expect("a free port")
        .spawn()
        .expect("a thread");
    let port = running.local_addr().port().expect("a port");
    for (from, to) in [("127.0.0.1:0", "127.0.0.3"), ("[::1]:0", "[::1]")] {
        let client = UdpSocket::bind(from).expect("a free port");
        client
            .set_read_timeout(Some(sockserv_tests::DEADLINE))
            .expect("an own socket");
        client
            .connect(format!("{to}:{port}"))
            .expect("a loopback address");
        client.send(b"who\n").expect("it listens");
        let mut packet = [0; 128];
        let count = client
            .recv(&mut packet)
            .expect("a reply from where it was asked");
        let own = client.local_addr().expect("it is bound");
        assert_eq!(
            String::from_utf8_lossy(&packet[..count]),
            format!("{own} {to}:{port}\n")
        );
    }
}

fn several() {
    let server = tcp_threading::EchoServer::builder(tcp_threading::Echo::default());
    let server = server
        .addr("127.0.0.1:0")
        .addr("[::1]:0")
        .addr("127.0.0.2:0")
        .bind()
        .expect("free ports");
    let ips: Vec<_> = server
        .local_addrs()
        .iter()
        .map(|at| at.as_inet().expect("a port").ip().to_string())
        .collect();
    assert_eq!(ips, ["127.0.0.1", "::1", "127.0.0.2"]);
    let running = server.spawn().expect("a thread");
    for at in running.local_addrs() {
        echo(
            &mut TcpStream::connect(at.as_inet().expect("a port")).expect("it listens"),
            "each of them",
        );
    }
}

fn localhost() {
    let running = tcp_threading::EchoServer::bind_to("localhost:0", tcp_threading::Echo::default())
        .expect("a free port")
        .spawn()
        .expect("a thread");
    let ports: Vec<_> = running.local_addrs().iter().map(Address::port).collect();
    assert!(ports.iter().all(|port| *port == ports[0]), "{ports:?}");
    for at in running.local_addrs() {
        echo(
            &mut TcpStream::connect(at.as_inet().expect("a port")).expect("it listens"),
            "each of them",
        );
    }
}

fn pair() {
    let both = [
        tcp_udp_sync::EchoServer::bind_to("127.0.0.1:0", tcp_udp_sync::Echo)
            .expect("a free port")
            .spawn(),
        tcp_udp_threading::EchoServer::bind_to("127.0.0.1:0", tcp_udp_threading::Echo)
            .expect("a free port")
            .spawn(),
    ];
    for running in both {
        let running = running.expect("a thread");
        let [stream, datagram] = running.local_addrs() else {
            panic!("two listeners")
        };
        assert_eq!(stream, datagram, "one port for both");
        echo(
            &mut TcpStream::connect(stream.as_inet().expect("a port")).expect("it listens"),
            "by stream",
        );
        let client = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        client
            .set_read_timeout(Some(sockserv_tests::DEADLINE))
            .expect("an own socket");
        client
            .send_to(b"by packet\n", datagram.as_inet().expect("a port"))
            .expect("it listens");
        let mut packet = [0; 64];
        assert_eq!(client.recv(&mut packet).expect("a reply"), 10);
    }
}

fn pair_of_families() {
    let name = format!("unix:@sockserv-pair-{}", std::process::id());
    let server = unix_udp_threading::EchoServer::builder(unix_udp_threading::Echo)
        .addr("127.0.0.1:0")
        .addr(&name)
        .bind()
        .expect("both are free");
    let [first, second] = server.local_addrs() else {
        panic!("two listeners")
    };
    assert_eq!(first.to_string(), name, "in the order of the transports");
    assert!(second.as_inet().is_some());
    let running = server.spawn().expect("a thread");
    echo(&mut running.connect().expect("it listens"), "by stream");
}

fn nobody_takes() {
    let error = tcp_sync::EchoServer::bind_to("unix:/tmp/x.sock", tcp_sync::Echo::default())
        .expect_err("tcp has no paths");
    assert!(
        error
            .to_string()
            .ends_with("is no address for `tcp`; write one as in `127.0.0.1:7007`"),
        "{error}"
    );
    let error = unix_sync::EchoServer::bind_to("127.0.0.1:0", unix_sync::Echo::default())
        .expect_err("unix has no ports");
    assert!(
        error
            .to_string()
            .ends_with("is no address for `unix`; write one as in `unix:/run/name.sock`"),
        "{error}"
    );
    let error = unix_udp_threading::EchoServer::bind_to("127.0.0.1:0", unix_udp_threading::Echo)
        .expect_err("one is missing");
    assert!(
        error.to_string().ends_with(
            "none of the addresses is one for `unix`; add one as in `unix:/run/name.sock`"
        ),
        "{error}"
    );
}

fn reuse_port() {
    let first = tcp_sync::EchoServer::bind_to("127.0.0.1:0", tcp_sync::Echo::default())
        .expect("a free port");
    let error = tcp_sync::EchoServer::bind_to(first.local_addr(), tcp_sync::Echo::default())
        .expect_err("it is taken");
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    assert!(
        error
            .to_string()
            .contains(&format!("cannot bind `tcp://{}`", first.local_addr())),
        "{error}"
    );
    let shared = |at: Address| {
        tcp_sync::EchoServer::builder(tcp_sync::Echo::default())
            .addr(at)
            .reuse_port(true)
            .bind()
    };
    let first = shared(
        "127.0.0.1:0"
            .parse::<std::net::SocketAddr>()
            .expect("an address")
            .into(),
    )
    .expect("a free port");
    let second = shared(first.local_addr().clone()).expect("they share it");
    assert_eq!(first.local_addr(), second.local_addr());
}

/// Whether a connection of this port is: proc_net_tcp(5).
fn is_in_time_wait(port: u16) -> bool {
    let table = std::fs::read_to_string("/proc/net/tcp").expect("there is a /proc");
    let (port, state) = (format!(":{port:04X}"), "06");
    let mut sockets = table
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    sockets.any(|socket| socket[1].ends_with(&port) && socket[3] == state)
}

fn restart() {
    let server = tcp_sync::EchoServer::bind_to("127.0.0.1:0", tcp_sync::Echo::default())
        .expect("a free port");
    let at = server.local_addr().clone();
    let running = server.spawn().expect("a thread");
    let mut client = running.connect().expect("it listens");
    client.write_all(b"leave\n").expect("it reads");
    assert_eq!(client.read(&mut [0]).expect("an end"), 0); // The server ended it first, so its end is in TIME_WAIT.
    drop(client);
    running.shutdown().expect("a good end");
    let strict = tcp_sync::EchoServer::builder(tcp_sync::Echo::default())
        .addr(&at)
        .reuse_address(false)
        .bind();
    // The kernel keeps only so many: tcp_max_tw_buckets in tcp(7).
    let is_taken = is_in_time_wait(at.port().expect("a port"));
    assert_eq!(
        strict.err().map(|error| error.kind()),
        is_taken.then_some(io::ErrorKind::AddrInUse),
        "the port is in TIME_WAIT: {is_taken}"
    );
    tcp_sync::EchoServer::bind_to(&at, tcp_sync::Echo::default())
        .expect("by default it can be taken");
}

fn abstract_name() {
    let name = format!("unix:@sockserv-abstract-{}", std::process::id());
    let running = unix_sync::EchoServer::bind_to(&name, unix_sync::Echo::default())
        .expect("a free name")
        .spawn()
        .expect("a thread");
    assert_eq!(running.local_addr().to_string(), name);
    assert_eq!(
        ask(&mut running.connect().expect("it listens"), "who"),
        format!("unnamed {name}")
    );
    running.shutdown().expect("a good end");
    unix_sync::EchoServer::bind_to(&name, unix_sync::Echo::default())
        .expect("the name is free again");
}
