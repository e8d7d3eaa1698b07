//! A process takes over from another: the endpoint is that of the one that accepts.

use std::fs;
use std::net::TcpStream;

use rustix::process::{Pid, Signal, kill_process};
use sockserv::prelude::*;

use crate::Test;
use crate::client::{get, until};
use crate::numbers::{scrape, value};
use crate::served::{Served, say};

pub(crate) fn tests() -> Vec<Test> {
    vec![("a_new_process_answers_while_the_old_one_drains", upgraded)]
}

#[derive(Clone)]
struct Upgraded;

#[server(tcp, threading, upgrade, shutdown_grace = "60s")]
impl Upgraded {
    fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
        let _busy = stream.busy(); // The old process has to wait for its end.
        io::copy(&mut stream.rfile, &mut stream.wfile).map(drop)
    }
}

/// Serves as a program does.
pub(crate) fn serve() {
    let builder = UpgradedServer::builder(Upgraded).addr("127.0.0.1:0");
    let server = builder.admin("127.0.0.1:0").bind().expect("free ports");
    server.run().expect("it serves and ends");
}

fn upgraded() {
    let served = Served::start("upgraded");
    let (admin, pid) = (served.admin[0], served.pid());
    let active = || value(&scrape(admin), "sockserv_requests_active", "");
    let mut busy = served.connect();
    assert_eq!(say(&mut busy, "one"), "one\n");
    assert_eq!(active(), 1.0);
    served.signal(Signal::USR2);
    until(|| active() == 0.0);
    let next = Next::of(pid);
    for _ in 0..50 {
        assert_eq!(get(admin, "/readyz").body, "ready\n");
        assert_eq!(active(), 0.0, "the old one has one");
    }
    assert_eq!(say(&mut busy, "two"), "two\n");
    drop(busy);
    assert!(served.wait().success());
    drop(next);
    until(|| TcpStream::connect(admin).is_err());
}

/// The process that has taken over; it ends when this does.
struct Next(Pid);

impl Next {
    fn of(before: u32) -> Self {
        let children = fs::read_to_string(format!("/proc/{before}/task/{before}/children"));
        let children = children.expect("it still runs");
        let next = children.trim().parse().ok().and_then(Pid::from_raw);
        Self(next.expect("it has one child"))
    }
}

impl Drop for Next {
    fn drop(&mut self) {
        kill_process(self.0, Signal::TERM).expect("it serves");
    }
}
