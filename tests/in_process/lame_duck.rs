//! A shutdown in two phases: it still serves for a while, so that load balancers notice, and then drains. Promise 3.

use std::time::{Duration, Instant};

use sockserv::Running;
use sockserv::prelude::*;

use crate::Test;
use crate::echo::{tcp_pool, tcp_sync, tcp_threading};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        ("p03_a_lame_duck_serves_who_comes_now", serves),
        (
            "p03_a_lame_duck_under_sync_ends_an_idle_request_in_time",
            sync,
        ),
        ("p03_a_lame_duck_takes_single_requests", by_request),
        ("p03_what_came_in_the_lame_duck_is_in_the_report", report),
    ]
}

const LAME: Duration = Duration::from_millis(1500);

fn ask(client: &mut sockserv::Client) -> String {
    client.write_all(b"text\n").expect("it is served");
    let mut reply = [0; 5];
    client.read_exact(&mut reply).expect("it is answered");
    String::from_utf8(reply.into()).expect("text")
}

fn serves() {
    let threading = tcp_threading::EchoServer::builder(Default::default());
    serves_under(
        threading
            .addr("127.0.0.1:0")
            .lame_duck(LAME)
            .bind()
            .expect("a free port")
            .spawn(),
    );
    let pool = tcp_pool::EchoServer::builder(Default::default());
    serves_under(
        pool.addr("127.0.0.1:0")
            .lame_duck(LAME)
            .bind()
            .expect("a free port")
            .spawn(),
    );
}

fn serves_under(running: io::Result<Running>) {
    let running = running.expect("a thread");
    let at = running.local_addr().clone();
    let mut idle = running.connect().expect("it listens");
    assert_eq!(ask(&mut idle), "text\n");
    let began = Instant::now();
    running.handle().shutdown();
    assert!(running.handle().is_shutting_down(), "readiness is off");
    let mut late = running.connect().expect("it still listens");
    assert_eq!(ask(&mut late), "text\n");
    assert_eq!(ask(&mut idle), "text\n", "who is connected notices nothing");
    assert!(
        began.elapsed() < LAME,
        "this machine is too slow for this test"
    );
    // Both are idle, so they see the end when the drain begins, and not before.
    for mut client in [idle, late] {
        assert_eq!(client.read(&mut [0]).expect("an end"), 0);
        assert!(began.elapsed() >= LAME);
    }
    let report = running.shutdown().expect("it ends well");
    assert_eq!((report.finished(), report.cut()), (2, 0));
    assert!(
        sockserv::Client::connect(&Endpoint::Address(at)).is_err(),
        "closed"
    );
}

fn sync() {
    let server = tcp_sync::EchoServer::builder(Default::default());
    let running = server
        .addr("127.0.0.1:0")
        .lame_duck(LAME)
        .bind()
        .expect("a free port")
        .spawn();
    let running = running.expect("a thread");
    let mut client = running.connect().expect("it listens");
    assert_eq!(ask(&mut client), "text\n");
    let began = Instant::now();
    running.handle().shutdown();
    assert_eq!(ask(&mut client), "text\n");
    assert_eq!(client.read(&mut [0]).expect("an end"), 0);
    assert!(
        (LAME..LAME * 5).contains(&began.elapsed()),
        "{:?}",
        began.elapsed()
    );
    running.shutdown().expect("it ends well");
}

fn by_request() {
    let server = tcp_threading::EchoServer::builder(Default::default());
    let mut server = server
        .addr("127.0.0.1:0")
        .lame_duck(LAME)
        .bind()
        .expect("a free port");
    let at = server.local_addr().as_inet().expect("it is one");
    server.handle().shutdown();
    let client = std::net::TcpStream::connect(at).expect("it listens");
    assert!(
        server.handle_request().expect("it goes on"),
        "it still serves"
    );
    assert!(
        !server.handle_request().expect("it goes on"),
        "until the lame duck is over"
    );
    drop(client);
}

fn report() {
    let server = tcp_threading::EchoServer::builder(Default::default());
    let server = server
        .addr("127.0.0.1:0")
        .lame_duck(LAME)
        .shutdown_grace(Duration::ZERO);
    let running = server
        .bind()
        .expect("a free port")
        .spawn()
        .expect("a thread");
    running.handle().shutdown();
    let mut late = running.connect().expect("it still listens");
    late.write_all(b"half a line").expect("it is served");
    let report = running.shutdown().expect("it ends");
    assert_eq!(report.finished() + report.cut(), 1, "{report}");
}
