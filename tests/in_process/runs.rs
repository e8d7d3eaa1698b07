//! Beginnings and ends of a server: bind, activate, serve, shut down, and again. T13 to T16, T2, F2, F27 to F32, F71, D1 to D4, D14.

use std::net::TcpStream;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use sockserv::prelude::*;
use sockserv_tests::wait_until;

use crate::Test;
use crate::echo::{
    echo, tcp_sync, tcp_threading, udp_sync, udp_threading, unix_datagram_sync, unix_sync,
    unix_threading,
};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        (
            "t13_an_immediate_shutdown_always_ends_the_loop",
            immediate_shutdown,
        ),
        (
            "t14_a_server_that_never_served_closes_without_error",
            never_served,
        ),
        (
            "d03_a_shutdown_before_serving_ends_that_run_at_once",
            shutdown_before,
        ),
        ("d03_a_server_serves_again_after_a_shutdown", serves_again),
        ("d02_shutdown_twice_is_harmless", shutdown_twice),
        ("f02_bind_unactivated_does_not_listen_yet", unactivated),
        ("f02_who_listens_too_late_is_told_where", listens_too_late),
        ("f71_two_servers_in_one_thread", two_in_one_thread),
        (
            "f71_handle_request_does_not_block_once_the_descriptor_was_ready",
            ready_means_ready,
        ),
        ("f28_accept_timeout_bounds_handle_request", accept_timeout),
        (
            "f28_a_shutdown_ends_handle_request",
            shutdown_of_handle_request,
        ),
        ("f32_dropping_a_running_server_ends_it", drop_running),
        ("f32_dropping_a_server_drains_its_requests", drop_drains),
        ("p03_the_report_counts_what_was_alive", report),
        ("p10_bytes_are_counted_both_ways", bytes),
        ("d14_nobody_listens_after_the_end", nobody_listens),
    ]
}

fn immediate_shutdown() {
    for turn in 0..20 {
        let at = "127.0.0.1:0";
        // A program that another test starts holds a copy of every socket until it has begun, so each server has a name of
        // its own.
        let name =
            |model: &str| format!("unix:@sockserv-t13-{}-{turn}-{model}", std::process::id());
        let end = |running: io::Result<sockserv::Running>| {
            running.expect("a thread").shutdown().expect("a good end");
        };
        end(tcp_sync::EchoServer::bind_to(at, tcp_sync::Echo::default())
            .and_then(|server| server.spawn()));
        end(
            tcp_threading::EchoServer::bind_to(at, tcp_threading::Echo::default())
                .and_then(|server| server.spawn()),
        );
        end(udp_sync::EchoServer::bind_to(at, udp_sync::Echo).and_then(|server| server.spawn()));
        end(udp_threading::EchoServer::bind_to(at, udp_threading::Echo)
            .and_then(|server| server.spawn()));
        end(
            unix_sync::EchoServer::bind_to(name("sync"), unix_sync::Echo::default())
                .and_then(|server| server.spawn()),
        );
        end(unix_threading::EchoServer::bind_to(
            name("threading"),
            unix_threading::Echo::default(),
        )
        .and_then(|server| server.spawn()));
        end(
            unix_datagram_sync::EchoServer::bind_to(name("datagram"), unix_datagram_sync::Echo)
                .and_then(|server| server.spawn()),
        );
    }
}

fn never_served() {
    let server = tcp_threading::EchoServer::bind_to("127.0.0.1:0", tcp_threading::Echo::default())
        .expect("a free port");
    let at = server.local_addr().as_inet().expect("a port");
    drop(server);
    assert_eq!(
        TcpStream::connect(at).err().map(|error| error.kind()),
        Some(io::ErrorKind::ConnectionRefused)
    );
}

pub(crate) fn threading() -> tcp_threading::EchoServer {
    tcp_threading::EchoServer::bind_to("127.0.0.1:0", tcp_threading::Echo::default())
        .expect("a free port")
}

fn shutdown_before() {
    let mut server = threading();
    server.handle().shutdown();
    let began = Instant::now();
    server.serve_forever().expect("a good end");
    assert!(
        began.elapsed() < Duration::from_secs(3),
        "{:?}",
        began.elapsed()
    );
}

fn serves_again() {
    let mut server = threading();
    let at = server.local_addr().as_inet().expect("a port");
    for _ in 0..3 {
        std::thread::scope(|scope| {
            let handle = server.handle();
            // It is bound again inside `serve_forever` only, so the client may come too early.
            let client = scope.spawn(move || {
                let deadline = Instant::now() + sockserv_tests::DEADLINE;
                let mut client = loop {
                    match TcpStream::connect(at) {
                        Ok(client) => break client,
                        Err(error) => assert!(Instant::now() < deadline, "{error}"),
                    }
                };
                echo(&mut client, "once more");
                handle.shutdown();
            });
            server.serve_forever().expect("a good end");
            client.join().expect("it was served");
        });
        assert_eq!(
            server.local_addr().as_inet(),
            Some(at),
            "at the same address"
        );
        assert!(
            TcpStream::connect(at).is_err(),
            "nobody listens between two runs"
        );
    }
}

fn shutdown_twice() {
    let mut server = threading();
    let handle = server.handle();
    handle.shutdown();
    handle.shutdown();
    server.serve_forever().expect("a good end");
    handle.shutdown(); // Nothing runs: it is not kept for the next run.
    let at = server.local_addr().as_inet().expect("a port");
    std::thread::scope(|scope| {
        let serving = scope.spawn(move || server.serve_forever());
        let deadline = Instant::now() + sockserv_tests::DEADLINE;
        let mut client = loop {
            match TcpStream::connect(at) {
                Ok(client) => break client,
                Err(error) => assert!(
                    Instant::now() < deadline,
                    "the second run has ended at once: {error}"
                ),
            }
        };
        echo(&mut client, "the second run");
        handle.shutdown();
        handle.shutdown();
        serving
            .join()
            .expect("it does not panic")
            .expect("a good end");
    });
}

/// Two may have bound an address of which nobody listens yet: `SO_REUSEADDR` in socket(7).
fn listens_too_late() {
    let bind = |at: &str| {
        let builder = tcp_threading::EchoServer::builder(tcp_threading::Echo::default());
        builder.addr(at).bind_unactivated()
    };
    let mut first = bind("127.0.0.1:0").expect("a free port");
    let at = first.local_addr().to_string();
    let mut second = bind(&at).expect("nobody listens yet");
    first.activate().expect("it is bound");
    let error = second.activate().expect_err("somebody listens");
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    let text = error.to_string();
    assert!(
        text.starts_with(&format!("cannot listen at `tcp://{at}`: ")),
        "{text}"
    );
}

fn unactivated() {
    let builder =
        tcp_threading::EchoServer::builder(tcp_threading::Echo::default()).addr("127.0.0.1:0");
    let mut server = builder.bind_unactivated().expect("a free port");
    let at = server.local_addr().as_inet().expect("a port");
    assert_eq!(
        TcpStream::connect(at).err().map(|error| error.kind()),
        Some(io::ErrorKind::ConnectionRefused)
    );
    server.activate().expect("it is bound");
    server.activate().expect("harmless twice");
    let mut early = TcpStream::connect(at).expect("it listens");
    let running = server.spawn().expect("a thread");
    echo(&mut early, "connected before it was served");
    drop(early);
    running.shutdown().expect("a good end");
    // Serving activates, if nobody did.
    let builder =
        tcp_threading::EchoServer::builder(tcp_threading::Echo::default()).addr("127.0.0.1:0");
    let running = builder
        .bind_unactivated()
        .expect("a free port")
        .spawn()
        .expect("a thread");
    echo(&mut running.connect().expect("it listens"), "here");
}

fn is_ready(server: &impl AsFd) -> bool {
    is_ready_within(server, Duration::ZERO)
}

fn is_ready_within(server: &impl AsFd, time: Duration) -> bool {
    let timeout = rustix::event::Timespec::try_from(time).expect("it fits");
    poll(&mut [PollFd::new(server, PollFlags::IN)], Some(&timeout)).expect("an own descriptor") > 0
}

fn wait_ready(servers: [&dyn AsFd; 2]) -> [bool; 2] {
    let mut fds = servers.map(|server| PollFd::from_borrowed_fd(server.as_fd(), PollFlags::IN));
    let deadline = rustix::event::Timespec::try_from(sockserv_tests::DEADLINE).expect("it fits");
    assert_ne!(
        poll(&mut fds, Some(&deadline)).expect("own descriptors"),
        0,
        "nothing became ready"
    );
    fds.map(|fd| !fd.revents().is_empty())
}

fn two_in_one_thread() {
    let mut stream = threading();
    let mut datagram =
        udp_sync::EchoServer::bind_to("127.0.0.1:0", udp_sync::Echo).expect("a free port");
    assert!(
        !is_ready(&stream) && !is_ready(&datagram),
        "nothing to do yet"
    );
    let packets = std::net::UdpSocket::bind("127.0.0.1:0").expect("a free port");
    packets
        .set_read_timeout(Some(sockserv_tests::DEADLINE))
        .expect("an own socket");
    packets
        .send_to(b"packet", datagram.local_addr().as_inet().expect("a port"))
        .expect("it is bound");
    assert_eq!(wait_ready([&stream, &datagram]), [false, true]);
    assert!(datagram.handle_request().expect("it is served"));
    assert_eq!(packets.recv(&mut [0; 16]).expect("a reply"), 6);
    let mut client =
        TcpStream::connect(stream.local_addr().as_inet().expect("a port")).expect("it listens");
    assert_eq!(wait_ready([&stream, &datagram]), [true, false]);
    assert!(stream.handle_request().expect("it is served"));
    echo(&mut client, "in its thread");
}

/// The descriptor becomes ready for other things than requests, too: a closed peer's unread input, say. Then
/// `handle_request` returns, so that the caller can look at his other servers.
fn ready_means_ready() {
    let mut server = tcp_sync::EchoServer::bind_to("127.0.0.1:0", tcp_sync::Echo::default())
        .expect("a free port");
    let mut client =
        TcpStream::connect(server.local_addr().as_inet().expect("a port")).expect("it listens");
    client.write_all(b"leave\nunread").expect("it is read");
    assert!(server.handle_request().expect("it is served"));
    let handle = server.handle();
    // Should a call block, this ends it, and the clock finds out.
    let (done, told) = std::sync::mpsc::channel::<()>();
    let watchdog = std::thread::spawn(move || {
        if told.recv_timeout(Duration::from_secs(3))
            == Err(std::sync::mpsc::RecvTimeoutError::Timeout)
        {
            handle.shutdown();
        }
    });
    client.write_all(b"goes on talking").expect("it is drained");
    let began = Instant::now();
    let mut wakes = 0;
    while let Some(left) = Duration::from_millis(1500).checked_sub(began.elapsed()) {
        if !is_ready_within(&server, left) {
            continue;
        }
        wakes += 1;
        assert!(
            !server.handle_request().expect("it goes on"),
            "no request came"
        );
        assert!(
            began.elapsed() < Duration::from_millis(2900),
            "handle_request blocked although the descriptor was ready"
        );
    }
    assert!(wakes < 20, "the descriptor does not calm down: {wakes}");
    drop(done);
    watchdog.join().expect("it does not panic");
}

fn accept_timeout() {
    let builder = tcp_sync::EchoServer::builder(tcp_sync::Echo::default()).addr("127.0.0.1:0");
    let mut server = builder
        .accept_timeout(Duration::from_millis(100))
        .bind()
        .expect("a free port");
    let began = Instant::now();
    assert!(!server.handle_request().expect("nothing is wrong"));
    assert!(
        began.elapsed() >= Duration::from_millis(100) && began.elapsed() < Duration::from_secs(2),
        "{:?}",
        began.elapsed()
    );
}

fn shutdown_of_handle_request() {
    let mut server = threading();
    let handle = server.handle();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(move || server.handle_request());
        handle.shutdown();
        assert!(
            !waiting
                .join()
                .expect("it does not panic")
                .expect("nothing is wrong")
        );
    });
}

fn drop_running() {
    let running = threading().spawn().expect("a thread");
    let at = running.local_addr().as_inet().expect("a port");
    let mut client = running.connect().expect("it listens");
    echo(&mut client, "here");
    drop(running);
    assert_eq!(client.read(&mut [0]).expect("an end"), 0, "it was told");
    assert!(TcpStream::connect(at).is_err());
}

fn drop_drains() {
    let mut server = threading();
    let mut client =
        TcpStream::connect(server.local_addr().as_inet().expect("a port")).expect("it listens");
    assert!(server.handle_request().expect("it is served"));
    echo(&mut client, "here");
    drop(server);
    assert_eq!(client.read(&mut [0]).expect("an end"), 0, "it was told");
}

fn report() {
    let running = threading().spawn().expect("a thread");
    echo(&mut running.connect().expect("it listens"), "gone before");
    let mut idle: Vec<_> = (0..3)
        .map(|_| running.connect().expect("it listens"))
        .collect();
    idle.iter_mut().for_each(|client| echo(client, "alive"));
    wait_until(|| running.handle().stats().active == 3);
    let report = running.shutdown().expect("a good end");
    assert_eq!((report.finished(), report.cut()), (3, 0));
}

fn bytes() {
    let running = threading().spawn().expect("a thread");
    let mut client = running.connect().expect("it listens");
    echo(&mut client, "seven b");
    // The reply may be here before it is counted.
    wait_until(|| running.handle().stats().bytes_out == 8);
    let live = running.handle().stats();
    assert_eq!(
        (live.accepted, live.active, live.bytes_in, live.bytes_out),
        (1, 1, 8, 8),
        "while it is alive"
    );
    drop(client);
    wait_until(|| running.handle().stats().active == 0);
    let stats = running.handle().stats();
    assert_eq!(
        (stats.finished, stats.bytes_in, stats.bytes_out),
        (1, 8, 8),
        "and when it has ended"
    );
}

fn nobody_listens() {
    let mut server = threading();
    let at = server.local_addr().as_inet().expect("a port");
    server.handle().shutdown();
    server.serve_forever().expect("a good end");
    // The server value lives, but its listener was closed with the run: F29 (f).
    assert_eq!(
        TcpStream::connect(at).err().map(|error| error.kind()),
        Some(io::ErrorKind::ConnectionRefused)
    );
}
