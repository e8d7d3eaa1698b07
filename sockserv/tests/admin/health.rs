//! Whether it lives, and whether it is ready.

use std::net::{SocketAddr, TcpStream};

use rustix::process::Signal;

use crate::Test;
use crate::client::{get, until};
use crate::served::{Served, say, spawn};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        ("a_server_that_serves_is_healthy_and_ready", ready),
        ("a_suspended_server_is_not_ready", suspended),
        ("a_lame_duck_is_healthy_and_not_ready", lame_duck),
        ("a_drain_is_answered_until_its_end", drain),
        ("a_second_run_has_its_endpoint_again", again),
    ]
}

fn health(at: SocketAddr) -> [(u16, String); 2] {
    ["/healthz", "/readyz"].map(|path| {
        let answer = get(at, path);
        (answer.status, answer.body)
    })
}

fn is(healthy: u16, ready: u16, word: &str) -> [(u16, String); 2] {
    [(healthy, "ok\n".to_owned()), (ready, format!("{word}\n"))]
}

fn ready() {
    let (running, admin) = spawn();
    assert_eq!(health(admin), is(200, 200, "ready"));
    running.shutdown().expect("it ends");
    until(|| TcpStream::connect(admin).is_err()); // Another test's process may hold the listener until it begins.
}

fn suspended() {
    let (running, admin) = spawn();
    running.handle().suspend();
    assert_eq!(health(admin), is(200, 503, "suspended"));
    running.handle().resume();
    assert_eq!(health(admin), is(200, 200, "ready"));
}

fn lame_duck() {
    let served = Served::start_with("threading", &[("LAME", "yes")]);
    served.signal(Signal::TERM);
    until(|| get(served.admin[0], "/readyz").status == 503);
    assert_eq!(health(served.admin[0]), is(200, 503, "lame duck"));
    assert_eq!(
        say(&mut served.connect(), "text"),
        "text\n",
        "it still serves"
    );
    until(|| {
        get(served.admin[0], "/status.json")
            .body
            .contains("\"active\":0")
    });
    assert!(served.end().success(), "the second signal ends it");
}

fn drain() {
    let (running, admin) = spawn();
    let mut client = running.connect().expect("it listens");
    std::io::Write::write_all(&mut client, b"half a line").expect("it is taken");
    until(|| get(admin, "/status.json").body.contains("\"bytes_in\":11"));
    running.handle().shutdown();
    until(|| get(admin, "/readyz").status == 503);
    assert_eq!(health(admin), is(200, 503, "draining"));
    drop(client);
    running.shutdown().expect("it ends");
}

fn again() {
    use sockserv::prelude::*;

    #[derive(Clone)]
    struct Once;

    #[server(tcp, addr = "127.0.0.1:0")]
    impl Once {
        fn handle(&mut self, stream: &mut Stream) {
            stream.server().shutdown();
        }
    }

    let builder = OnceServer::builder(Once).admin("127.0.0.1:0");
    let mut server = builder.bind().expect("free ports");
    let [at, admin] = [&server.local_addrs()[0], &server.admin_addrs()[0]];
    let [at, admin] = [at, admin].map(|at| at.as_inet().expect("it is one"));
    for _ in 0..2 {
        std::thread::scope(|scope| {
            let serving = scope.spawn(|| server.serve_forever());
            until(|| TcpStream::connect(admin).is_ok());
            assert_eq!(health(admin), is(200, 200, "ready"));
            drop(TcpStream::connect(at).expect("it listens"));
            serving.join().expect("no panic").expect("it serves");
        });
        until(|| TcpStream::connect(admin).is_err());
    }
}
