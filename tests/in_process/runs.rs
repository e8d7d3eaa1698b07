//! Beginnings and ends of a server: bind, activate, serve, shut down, and again. T13 to T16, T2, F2, F27 to F32, F71, D1 to D4, D14.

use std::fs;
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use sockserv::prelude::*;
use sockserv_tests::Process;

use crate::Test;
use crate::echo::{
    ask, echo, tcp_forking, tcp_sync, tcp_threading, udp_sync, udp_threading, unix_datagram_sync,
    unix_sync, unix_threading,
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

pub(crate) fn alone() -> Vec<Test> {
    vec![
        (
            "t15_a_bind_that_fails_leaks_no_descriptor",
            bind_leaks_nothing,
        ),
        (
            "t16_a_server_that_is_dropped_leaks_nothing",
            drop_leaks_nothing,
        ),
        ("t02_no_thread_is_left_after_the_end", no_thread_left),
        (
            "d12_forking_refuses_while_other_threads_run",
            forking_with_threads,
        ),
        ("d12_forking_accepts_after_a_join", forking_after_a_join),
        ("run_gives_the_signals_back", signals_back),
        ("run_serves_several_under_one_set_of_signals", several),
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

fn threading() -> tcp_threading::EchoServer {
    tcp_threading::EchoServer::bind_to("127.0.0.1:0", tcp_threading::Echo::default())
        .expect("a free port")
}

fn shutdown_before() {
    let mut server = threading();
    server.handle().shutdown();
    let began = Instant::now();
    server.serve_forever().expect("a good end");
    assert!(
        began.elapsed() < Duration::from_millis(500),
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
    let timeout = rustix::event::Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
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
    let began = Instant::now();
    let mut talks = true;
    while began.elapsed() < Duration::from_millis(1500) {
        if is_ready(&server) {
            assert!(
                !server.handle_request().expect("it goes on"),
                "no request came"
            );
            assert!(
                began.elapsed() < Duration::from_millis(2900),
                "handle_request blocked although the descriptor was ready"
            );
        }
        if std::mem::take(&mut talks) {
            client.write_all(b"goes on talking").expect("it is drained");
        }
        std::thread::sleep(Duration::from_millis(5)); // The descriptor is asked without waiting, to see that it calms down.
    }
    assert!(!is_ready(&server) || client.write_all(b"x").is_ok());
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

fn wait_until(mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + sockserv_tests::DEADLINE;
    while !is_so() {
        assert!(Instant::now() < deadline, "it does not come true in time");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn bytes() {
    let running = threading().spawn().expect("a thread");
    let mut client = running.connect().expect("it listens");
    echo(&mut client, "seven b");
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

fn own() -> Process {
    Process(std::process::id())
}

fn bind_leaks_nothing() {
    let taken = tcp_sync::EchoServer::bind_to("127.0.0.1:0", tcp_sync::Echo::default())
        .expect("a free port");
    let before = own().descriptors().len();
    for _ in 0..1024 {
        assert!(
            tcp_sync::EchoServer::bind_to(taken.local_addr(), tcp_sync::Echo::default()).is_err()
        );
        assert!(tcp_sync::EchoServer::bind_to("127.0.0.1:-1", tcp_sync::Echo::default()).is_err());
        // The first address can be had, the second cannot.
        let both = tcp_sync::EchoServer::builder(tcp_sync::Echo::default())
            .addr("127.0.0.1:0")
            .addr(taken.local_addr());
        assert!(both.bind().is_err());
    }
    assert_eq!(own().descriptors().len(), before);
}

fn drop_leaks_nothing() {
    let before = own().descriptors();
    for _ in 0..20 {
        let running = threading().spawn().expect("a thread");
        echo(&mut running.connect().expect("it listens"), "here");
        drop(running);
        drop(
            tcp_sync::EchoServer::bind_to("127.0.0.1:0", tcp_sync::Echo::default())
                .expect("a free port"),
        );
    }
    assert_eq!(own().descriptors(), before);
}

fn no_thread_left() {
    for _ in 0..5 {
        let running = threading().spawn().expect("a thread");
        let mut clients: Vec<_> = (0..5)
            .map(|_| running.connect().expect("it listens"))
            .collect();
        clients.iter_mut().for_each(|client| echo(client, "here"));
        assert!(own().threads().len() > 5);
        running.shutdown().expect("a good end");
    }
    assert_eq!(own().threads().len(), 1, "{:?}", own().threads());
}

/// A thread that has told its name, and runs until the guard is dropped.
fn somebody_else() -> (std::sync::mpsc::Sender<()>, std::thread::JoinHandle<()>) {
    let (done, told) = std::sync::mpsc::channel::<()>();
    let (started, starts) = std::sync::mpsc::channel();
    let thread = std::thread::Builder::new().name("somebody-else".into());
    let thread = thread.spawn(move || {
        started.send(()).expect("it is waited for");
        // It ends when the guard is dropped, which is an error.
        let _ = told.recv();
    });
    starts.recv().expect("it starts");
    (done, thread.expect("a thread"))
}

fn forking() -> io::Result<tcp_forking::EchoServer> {
    tcp_forking::EchoServer::bind_to("127.0.0.1:0", tcp_forking::Echo::default())
}

fn forking_after_a_join() {
    for _ in 0..200 {
        let (done, thread) = somebody_else();
        drop(done);
        thread.join().expect("it does not panic");
        forking().expect("the other thread has ended");
    }
}

fn forking_with_threads() {
    let (done, thread) = somebody_else();
    let error = forking().expect_err("another thread runs");
    assert!(error.to_string().contains("somebody-else"), "{error}");
    drop(done);
    thread.join().expect("it does not panic");
    // A thread that starts later is found before the fork.
    let mut server = forking().expect("it is alone");
    let at = server.local_addr().as_inet().expect("a port");
    let client = std::thread::Builder::new()
        .name("a-client".into())
        .spawn(move || {
            let mut client = TcpStream::connect(at).expect("it listens");
            client.read(&mut [0]).expect("an end")
        });
    assert!(
        server
            .handle_request()
            .expect("a refused peer counts as served")
    );
    assert_eq!(
        client.expect("a thread").join().expect("it does not panic"),
        0,
        "it was not served"
    );
    let stats = server.handle().stats();
    assert_eq!((stats.finished, stats.active), (0, 0));
    // Alone again, it serves.
    let mut client = TcpStream::connect(at).expect("it listens");
    assert!(server.handle_request().expect("it forks"));
    echo(&mut client, "from a child");
}

/// What this process does about SIGINT and SIGTERM: proc(5). (The C library handles signals of its own for threads.)
fn signal_masks() -> Vec<u64> {
    const BOTH: u64 = 1 << (2 - 1) | 1 << (15 - 1);
    let status = fs::read_to_string("/proc/self/status").expect("there is a /proc");
    let masks = status.lines().filter_map(|line| {
        line.strip_prefix("SigCgt:")
            .or_else(|| line.strip_prefix("SigIgn:"))
    });
    masks
        .map(|mask| u64::from_str_radix(mask.trim(), 16).expect("a mask") & BOTH)
        .collect()
}

fn signals_back() {
    let before = signal_masks();
    let server = threading();
    let (handle, at) = (
        server.handle(),
        server.local_addr().as_inet().expect("a port"),
    );
    let client = std::thread::spawn(move || {
        let mut client = TcpStream::connect(at).expect("it listens");
        assert_eq!(ask(&mut client, "during"), "during");
        let during = signal_masks();
        handle.shutdown();
        during
    });
    server.run().expect("a good end");
    let during = client.join().expect("it was served");
    assert_ne!(during, before, "run handles signals");
    assert_eq!(signal_masks(), before);
}

fn several() {
    let before = signal_masks();
    let (first, second) = (
        threading(),
        udp_sync::EchoServer::bind_to("127.0.0.1:0", udp_sync::Echo).expect("a free port"),
    );
    let (one, handle) = (
        first.local_addr().as_inet().expect("a port"),
        first.handle(),
    );
    let two = second.local_addr().as_inet().expect("a port");
    let client = std::thread::spawn(move || {
        let ask_packet = || {
            let client = std::net::UdpSocket::bind("127.0.0.1:0").expect("a free port");
            client
                .set_read_timeout(Some(sockserv_tests::DEADLINE))
                .expect("an own socket");
            client.connect(two).expect("a loopback address");
            client
                .send(b"packet")
                .and_then(|_| client.recv(&mut [0; 16]))
                .expect("a reply")
        };
        let mut client = TcpStream::connect(one).expect("it listens");
        echo(&mut client, "by stream");
        assert_eq!(ask_packet(), 6);
        // One that is shut down by its own handle ends alone.
        handle.shutdown();
        assert_eq!(client.read(&mut [0]).expect("an end"), 0);
        assert_eq!(ask_packet(), 6);
        own().signal(rustix::process::Signal::TERM); // The rest, by the one set of signals.
    });
    sockserv::run((first, second)).expect("a good end");
    client.join().expect("both were served");
    assert_eq!(signal_masks(), before);
}
