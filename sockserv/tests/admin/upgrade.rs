//! A new process takes the endpoint over, too.

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};

use rustix::process::{Pid, Signal, kill_process};

use crate::Test;
use crate::client::{get, until};
use crate::served::{Served, say};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        ("an_upgrade_keeps_threading_ready", || ready("threading")),
        ("an_upgrade_keeps_prefork_ready", || ready("prefork")),
    ]
}

fn pid(admin: SocketAddr) -> u64 {
    let status: serde_json::Value =
        serde_json::from_str(&get(admin, "/status.json").body).expect("JSON");
    status["pid"].as_u64().expect("a number")
}

fn ready(model: &str) {
    let mut served = Served::start(model);
    let (admin, old) = (served.admin[0], u64::from(served.id()));
    until(|| get(admin, "/readyz").status == 200);
    let mut client = served.connect();
    assert_eq!(say(&mut client, "text"), "text\n");
    client.write_all(b"upgrade\n").expect("it is taken");
    until(|| {
        let answer = get(admin, "/readyz");
        assert_eq!(answer.status, 200, "{}", answer.body);
        pid(admin) != old
    });
    assert_eq!(say(&mut served.connect(), "text"), "text\n", "it serves");
    let new = pid(admin);
    drop(client);
    assert!(served.wait().success(), "the old one has ended");
    assert_eq!((get(admin, "/healthz").status, pid(admin)), (200, new));
    let new = Pid::from_raw(new as i32).expect("a process");
    kill_process(new, Signal::TERM).expect("it runs");
    until(|| TcpStream::connect(admin).is_err());
}
