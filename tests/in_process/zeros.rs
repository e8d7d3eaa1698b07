//! What the attribute refuses as a literal may still come from a builder: none of it may mean the opposite. Promise 4.

use std::net::TcpStream;

use sockserv::Running;
use sockserv_tests::DEADLINE;

use crate::Test;
use crate::echo::{echo, tcp_pool, tcp_threading};

pub(crate) fn tests() -> Vec<Test> {
    vec![("p04_no_threads_at_all_are_one", threads)]
}

fn connect(running: &Running) -> TcpStream {
    let at = running.local_addr().as_inet().expect("a port");
    let client = TcpStream::connect(at).expect("it listens");
    client
        .set_read_timeout(Some(DEADLINE))
        .expect("an own socket");
    client
}

fn threads() {
    let threading = tcp_threading::EchoServer::builder(tcp_threading::Echo::default())
        .max(0)
        .addr("127.0.0.1:0");
    let pool = tcp_pool::EchoServer::builder(tcp_pool::Echo::default())
        .workers(0)
        .addr("127.0.0.1:0");
    let threading = threading.bind().expect("a free port").spawn();
    let pool = pool.bind().expect("a free port").spawn();
    for running in [threading, pool] {
        let running = running.expect("a thread");
        for _ in 0..2 {
            echo(&mut connect(&running), "served");
        }
    }
}
