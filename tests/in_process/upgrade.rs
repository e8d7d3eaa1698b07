//! A program with several servers is upgraded as a whole.

use std::env;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use sockserv::prelude::*;
use sockserv_tests::{Folder, wait_until};

use crate::Test;

pub(crate) fn alone() -> Vec<Test> {
    vec![
        ("a19_all_servers_of_a_program_are_handed_over", together),
        ("a19_what_nobody_asks_for_is_closed", unwanted),
        (
            "a19_what_nobody_asks_for_is_closed_in_workers",
            unwanted_by_workers,
        ),
        ("a19_servers_in_threads_are_handed_over", in_threads),
        ("a19_nothing_is_accepted_before_all_is_ready", half_ready),
    ]
}

/// Answers any line with its process, ends its server at `end`, and asks for another process at `upgrade`.
#[derive(Clone)]
struct Who;

fn answer(stream: &mut Stream) -> io::Result<()> {
    let mut line = String::new();
    while stream.rfile.read_line(&mut line)? > 0 {
        if line == "end\n" {
            stream.server().shutdown();
        }
        if line == "upgrade\n" {
            stream.server().upgrade();
        }
        writeln!(stream.wfile, "{}", std::process::id())?;
        line.clear();
    }
    Ok(())
}

#[server(tcp, threading)]
impl Who {
    fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
        answer(stream)
    }
}

#[derive(Clone)]
struct Other;

#[server(tcp, pool)]
impl Other {
    fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
        answer(stream)
    }
}

/// Both at one and the same words: the first that asks gets the first socket.
fn servers() -> (WhoServer, OtherServer) {
    let who = WhoServer::bind_to("127.0.0.1:0", Who).expect("a free port");
    let other = OtherServer::bind_to("127.0.0.1:0", Other).expect("a free port");
    (who, other)
}

/// Whether this process is the one that takes over.
fn is_second() -> bool {
    env::var_os("SOCKSERV_UPGRADE").is_some()
}

fn ask(at: SocketAddr, line: &str) -> u32 {
    let mut stream = TcpStream::connect(at).expect("it listens");
    stream.write_all(line.as_bytes()).expect("it serves");
    let mut reply = String::new();
    BufReader::new(stream)
        .read_line(&mut reply)
        .expect("it answers");
    reply.trim().parse().expect("a process id")
}

fn places(servers: &(WhoServer, OtherServer)) -> [SocketAddr; 2] {
    let (who, other) = servers;
    [who.local_addr(), other.local_addr()].map(|at| at.as_inet().expect("tcp"))
}

/// Both are served by another process, which is told to end.
fn expect_second(places: [SocketAddr; 2]) {
    let own = std::process::id();
    let pids = places.map(|at| ask(at, "pid\n"));
    assert!(pids[0] == pids[1] && pids[0] != own, "{pids:?}, not {own}");
    assert_eq!(places.map(|at| ask(at, "end\n")), pids);
}

fn together() {
    let servers = servers();
    let (places, handle) = (places(&servers), servers.0.handle());
    if is_second() {
        return sockserv::run(servers).expect("a good end");
    }
    let client = thread::spawn(move || {
        assert_eq!(places.map(|at| ask(at, "pid\n")), [std::process::id(); 2]);
        handle.upgrade();
    });
    sockserv::run(servers).expect("a good end");
    client.join().expect("it was served");
    expect_second(places);
}

fn in_threads() {
    let servers = servers();
    let places = places(&servers);
    let (who, other) = servers;
    let handles = [who.handle(), other.handle()];
    let (who, other) = (
        who.spawn().expect("a thread"),
        other.spawn().expect("a thread"),
    );
    if is_second() {
        wait_until(|| handles.iter().all(sockserv::ServerHandle::is_shutting_down));
    } else {
        handles[1].upgrade();
        wait_until(|| handles.iter().all(sockserv::ServerHandle::is_handed_over));
        expect_second(places);
    }
    who.shutdown().expect("a good end");
    other.shutdown().expect("a good end");
}

/// One server of the second process is ready, the other never is.
fn half_ready() {
    let who = WhoServer::builder(Who).addr("127.0.0.1:0");
    let who = who
        .upgrade_timeout(Duration::from_millis(300))
        .bind()
        .expect("a free port");
    let _other = OtherServer::bind_to("127.0.0.1:0", Other).expect("a free port");
    let (at, handle) = (who.local_addr().as_inet().expect("tcp"), who.handle());
    let who = who.spawn().expect("a thread");
    if is_second() {
        loop {
            thread::park();
        }
    }
    handle.upgrade();
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(500) {
        assert_eq!(ask(at, "pid\n"), std::process::id());
    }
    assert!(!handle.is_handed_over());
    who.shutdown().expect("a good end");
}

#[derive(Clone)]
struct Path;

#[server(unix, sync)]
impl Path {
    fn handle(&mut self, _stream: &mut Stream) {}
}

/// The second process does without an address of the first.
fn unwanted() {
    let who = WhoServer::bind_to("127.0.0.1:0", Who).expect("a free port");
    let at = who.local_addr().as_inet().expect("tcp");
    if is_second() {
        return who.run().expect("a good end");
    }
    let folder = Folder::new();
    let path = folder.join("socket");
    let other = PathServer::bind_to(&*path, Path).expect("a fresh path");
    let handle = who.handle();
    let client = thread::spawn(move || handle.upgrade());
    sockserv::run((who, other)).expect("a good end");
    client.join().expect("it only asks");
    wait_until(|| !path.exists());
    let own = std::process::id();
    assert_ne!(ask(at, "pid\n"), own);
    assert_ne!(ask(at, "end\n"), own);
}

#[derive(Clone)]
struct Few;

#[server(tcp, prefork(workers = 1))]
impl Few {
    fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
        answer(stream)
    }
}

#[derive(Clone)]
struct Lone;

#[server(tcp, sync)]
impl Lone {
    fn handle(&mut self, _stream: &mut Stream) {}
}

fn unwanted_by_workers() {
    let few = FewServer::bind_to("127.0.0.1:0", Few).expect("a free port");
    let at = few.local_addr().as_inet().expect("tcp");
    if is_second() {
        return few.run().expect("a good end");
    }
    let lone = LoneServer::bind_to("127.0.0.1:0", Lone).expect("a free port");
    let gone = lone.local_addr().as_inet().expect("tcp");
    let mut client = TcpStream::connect(at).expect("it listens");
    client.write_all(b"upgrade\n").expect("it is taken");
    sockserv::run((few, lone)).expect("a good end");
    ask(at, "pid\n");
    let refused = TcpStream::connect(gone);
    ask(at, "end\n");
    let error = refused.expect_err("nobody listens any more");
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
}
