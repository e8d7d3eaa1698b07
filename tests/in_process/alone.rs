//! Beginnings and ends of a server that concern the whole process: its descriptors, threads and signals. T2, T15, T16, D12.

use std::fs;
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use rustix::process::{Resource, Signal, getrlimit, setrlimit};
use sockserv::prelude::*;
use sockserv_tests::{Folder, Process, wait_until};

use crate::echo::{ask, echo, tcp_forking, tcp_sync, udp_sync, unix_threading};
use crate::runs::threading;
use crate::{Test, namespaced};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        (
            "t15_a_bind_that_fails_leaks_no_descriptor",
            bind_leaks_nothing,
        ),
        (
            "t16_a_server_that_is_dropped_leaks_nothing",
            drop_leaks_nothing,
        ),
        ("a_server_without_descriptors_says_so", no_descriptors),
        ("t02_no_thread_is_left_after_the_end", no_thread_left),
        (
            "d12_forking_refuses_while_other_threads_run",
            forking_with_threads,
        ),
        ("d12_forking_accepts_after_a_join", forking_after_a_join),
        ("run_gives_the_signals_back", signals_back),
        ("run_serves_several_under_one_set_of_signals", several),
        ("run_cuts_several_at_the_second_signal", cut_several),
    ]
}

const NO_PROC: &str = "d12_forking_refuses_where_it_cannot_see_threads";

pub(crate) fn trials() -> Vec<Trial> {
    let prepare = "mount -t tmpfs none /proc";
    vec![namespaced::trial(NO_PROC, "-rm", prepare)]
}

pub(crate) fn served() -> Vec<Test> {
    vec![(NO_PROC, forking_without_proc)]
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

fn no_descriptors() {
    let limits = getrlimit(Resource::Nofile);
    let all = own().descriptors().len() as u64;
    for more in 0..20 {
        let mut tight = limits;
        tight.current = Some(all + more);
        setrlimit(Resource::Nofile, tight).expect("less is allowed");
        let server = tcp_sync::EchoServer::bind_to("127.0.0.1:0", tcp_sync::Echo::default());
        setrlimit(Resource::Nofile, limits).expect("as much as before");
        let Err(error) = server else {
            return assert!(more > 1, "it needs none?");
        };
        let text = error.to_string();
        let is_named = text.contains("cannot prepare a server") || text.contains("cannot bind");
        assert!(is_named, "{more} more: {text}");
    }
    panic!("it needs more than 20 descriptors");
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
pub(crate) fn somebody_else() -> (std::sync::mpsc::Sender<()>, std::thread::JoinHandle<()>) {
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

fn forking_without_proc() {
    let error = forking().expect_err("who knows who runs").to_string();
    assert!(error.contains("`/proc/self/task`"), "{error}");
    assert!(error.contains("unsafe(forking)"), "{error}");
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
        own().signal(Signal::TERM); // The rest, by the one set of signals.
    });
    sockserv::run((first, second)).expect("a good end");
    client.join().expect("both were served");
    assert_eq!(signal_masks(), before);
}

/// The first signal closes both listeners and lets the requests that owe something go on; the second one cuts them.
fn cut_several() {
    let folder = Folder::new();
    let path = folder.join("socket");
    let (first, second) = (
        threading(),
        unix_threading::EchoServer::bind_to(&*path, unix_threading::Echo::default())
            .expect("a fresh path"),
    );
    let at = first.local_addr().as_inet().expect("a port");
    let handles = [first.handle(), second.handle()];
    let seen = handles.clone();
    let client = std::thread::spawn(move || {
        let mut one = TcpStream::connect(at).expect("it listens");
        let mut two = UnixStream::connect(&path).expect("it listens");
        one.write_all(b"no end of line").expect("it is read");
        two.write_all(b"no end of line").expect("it is read");
        wait_until(|| seen.iter().all(|handle| handle.stats().bytes_in == 14));
        own().signal(Signal::TERM);
        wait_until(|| TcpStream::connect(at).is_err() && UnixStream::connect(&path).is_err());
        // Who knocked meanwhile has been told; these two owe a reply.
        wait_until(|| seen.iter().all(|handle| handle.stats().active == 1));
        own().signal(Signal::TERM);
        let cut = Instant::now();
        // Neither gets a reply; the end may be a reset.
        assert!(!matches!(one.read(&mut [0]), Ok(1..)));
        assert!(!matches!(two.read(&mut [0]), Ok(1..)));
        cut
    });
    let error = sockserv::run((first, second)).expect_err("requests were cut");
    assert!(error.to_string().contains("cut"), "{error}");
    let took = client.join().expect("both were served").elapsed();
    assert!(took < Duration::from_secs(3), "{took:?}");
    let cuts = handles.map(|handle| handle.report().map(|report| report.cut()));
    assert_eq!(cuts, [Some(1), Some(1)]);
}
