//! Whether it lives, and whether it is ready.

use sockserv::prelude::*;

use crate::Test;
use crate::client::get;

pub(crate) fn tests() -> Vec<Test> {
    vec![("a_threading_server_is_healthy", healthy)]
}

#[derive(Clone)]
struct Echo;

#[server(tcp, threading)]
impl Echo {
    fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
        io::copy(&mut stream.rfile, &mut stream.wfile).map(drop)
    }
}

fn healthy() {
    let builder = EchoServer::builder(Echo).addr("127.0.0.1:0");
    let server = builder.admin("127.0.0.1:0").bind().expect("free ports");
    let admin = server.admin_addrs()[0].as_inet().expect("it is one");
    let running = server.spawn().expect("a thread");
    let answer = get(admin, "/healthz");
    assert_eq!((answer.status, &*answer.body), (200, "ok\n"));
    running.shutdown().expect("it ends");
}
