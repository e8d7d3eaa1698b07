//! What the endpoint does not answer, and who cannot hold it up.

use std::io::{Read as _, Write as _};

use rustix::event::{PollFd, PollFlags, poll};
use sockserv::Endpoint;

use crate::Test;
use crate::client::{ask, connect, get};
use crate::served::{Served, say, spawn, threading};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        ("what_is_no_question_is_told_so", odd),
        ("a_head_has_no_body", head),
        ("a_name_that_could_be_anybodys_is_refused", rebinding),
        ("who_says_nothing_keeps_nobody_out", silent),
        ("who_says_nothing_is_closed", forgotten),
        ("handle_request_answers_between_requests", by_request),
        ("a_question_may_come_in_pieces", pieces),
        ("strangers_must_have_been_let_in", public),
        ("a_wrong_address_is_told_by_bind", wrong),
        ("a_unix_path_will_do", unix),
    ]
}

fn odd() {
    let (_running, admin) = spawn();
    let status = |question: &str| ask(admin, question).status;
    assert_eq!(status("GET /nothing HTTP/1.0\r\n\r\n"), 404);
    assert_eq!(status("GET /healthz?a=b HTTP/1.0\r\n\r\n"), 200);
    assert_eq!(status("GET /healthz HTTP/1.1\r\n\r\n"), 400);
    assert_eq!(status("hello\r\n\r\n"), 400);
    let answer = ask(
        admin,
        "POST /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999\r\n\r\nbody",
    );
    assert_eq!(answer.status, 405);
    assert!(
        answer.head.contains("\r\nAllow: GET, HEAD\r\n"),
        "{}",
        answer.head
    );
    let long = format!(
        "GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n",
        "x".repeat(9000)
    );
    assert_eq!(status(&long), 431);
}

fn head() {
    let (_running, admin) = spawn();
    let answer = ask(admin, "HEAD /healthz HTTP/1.0\r\n\r\n");
    assert_eq!((answer.status, &*answer.body), (200, ""));
    assert!(
        answer.head.contains("\r\nContent-Length: 3\r\n"),
        "{}",
        answer.head
    );
}

fn rebinding() {
    let (_running, admin) = spawn();
    let status = |host: &str| {
        ask(
            admin,
            &format!("GET /healthz HTTP/1.1\r\nHost: {host}\r\n\r\n"),
        )
        .status
    };
    for host in [
        "localhost",
        "LOCALHOST:9100",
        "127.0.0.1",
        "[::1]:9100",
        "192.0.2.1:80",
        "a.localhost",
    ] {
        assert_eq!(status(host), 200, "{host}");
    }
    for host in [
        "example.com",
        "localhost.example.com:9100",
        "127.0.0.1.example.com",
    ] {
        assert_eq!(status(host), 421, "{host}");
    }
}

fn silent() {
    let (running, admin) = spawn();
    let mut silent: Vec<_> = (0..20).map(|_| connect(admin)).collect();
    assert_eq!(get(admin, "/healthz").status, 200);
    let mut last = silent.pop().expect("there are many");
    let mut first = &silent[0];
    assert_eq!(first.read(&mut [0]).expect("an end"), 0, "it had to go");
    last.write_all(b"GET /healthz HTTP/1.0\r\n\r\n")
        .expect("it is taken");
    assert_eq!(crate::client::read(last).status, 200, "it has its time");
    running.shutdown().expect("nobody is waited for");
}

/// A child that holds the connection, too, would keep it open.
fn forgotten() {
    let served = Served::start("forking");
    let mut half = connect(served.admin[0]);
    half.write_all(b"GET / HT").expect("it is taken");
    assert_eq!(get(served.admin[0], "/healthz").status, 200); // Who came before it was accepted before it.
    let mut client = served.connect();
    assert_eq!(say(&mut client, "text"), "text\n");
    assert_eq!(half.read(&mut [0]).expect("an end"), 0);
    drop(client);
    assert!(served.end().success());
}

fn by_request() {
    let builder = threading::LinesServer::builder(threading::Lines).addr("127.0.0.1:0");
    let mut server = builder.admin("127.0.0.1:0").bind().expect("free ports");
    let admin = server.admin_addrs()[0].as_inet().expect("it is one");
    let asking = std::thread::spawn(move || get(admin, "/healthz").status);
    while !asking.is_finished() {
        let timer = rustix::time::Timespec {
            tv_sec: 0,
            tv_nsec: 1_000_000,
        };
        let mut fds = [PollFd::new(&server, PollFlags::IN)];
        if poll(&mut fds, Some(&timer)).expect("a descriptor") > 0 {
            assert!(
                !server.handle_request().expect("it goes on"),
                "it was no request"
            );
        }
    }
    assert_eq!(asking.join().expect("no panic"), 200);
}

fn pieces() {
    let (_running, admin) = spawn();
    let mut client = connect(admin);
    for piece in ["GET /hea", "lthz HTTP/1.0\r", "\n\r\n"] {
        client.write_all(piece.as_bytes()).expect("it is taken");
        assert_eq!(get(admin, "/healthz").status, 200); // The piece before has been read.
    }
    assert_eq!(crate::client::read(client).status, 200);
}

fn public() {
    let builder = || threading::LinesServer::builder(threading::Lines).addr("127.0.0.1:0");
    let error = builder()
        .admin("0.0.0.0:0")
        .bind()
        .expect_err("nobody asked for it");
    let said = error.to_string();
    assert!(
        said.contains("`admin_public`") && said.contains("0.0.0.0"),
        "{said}"
    );
    let server = builder()
        .admin_public("0.0.0.0:0")
        .bind()
        .expect("a free port");
    let port = server.admin_addrs()[0].port().expect("it has one");
    let _running = server.spawn().expect("a thread");
    let answer = ask(
        ([127, 0, 0, 1], port).into(),
        "GET /healthz HTTP/1.1\r\nHost: any.name\r\n\r\n",
    );
    assert_eq!(answer.status, 200);
}

fn wrong() {
    let builder = || threading::LinesServer::builder(threading::Lines).addr("127.0.0.1:0");
    let said = builder()
        .admin("nowhere")
        .bind()
        .expect_err("no address")
        .to_string();
    assert!(
        said.contains("`nowhere`") && said.contains("port"),
        "{said}"
    );
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let at = taken.local_addr().expect("it has one");
    let said = builder()
        .admin(at)
        .bind()
        .expect_err("it is taken")
        .to_string();
    assert!(said.contains(&at.to_string()), "{said}");
}

fn unix() {
    let path = std::env::temp_dir().join(format!("sockserv-admin-{}", std::process::id()));
    let builder = threading::LinesServer::builder(threading::Lines).addr("127.0.0.1:0");
    let server = builder
        .admin(Endpoint::from(&*path))
        .bind()
        .expect("a free path");
    let running = server.spawn().expect("a thread");
    let mut client = std::os::unix::net::UnixStream::connect(&path).expect("it listens");
    client
        .write_all(b"GET /healthz HTTP/1.1\r\nHost: any.name\r\n\r\n")
        .expect("it is taken");
    let mut answer = String::new();
    client.read_to_string(&mut answer).expect("an answer");
    assert!(answer.ends_with("ok\n"), "{answer}");
    running.shutdown().expect("it ends");
    assert!(!path.exists(), "removed");
}
