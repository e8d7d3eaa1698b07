//! Every model has an endpoint, which counts what all its processes do.

use std::io::{Read as _, Write as _};

use crate::Test;
use crate::client::{get, until};
use crate::numbers::{scrape, value};
use crate::served::{Served, say};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        ("sync_counts", || counts("sync")),
        ("threading_counts", || counts("threading")),
        ("pool_counts", || counts("pool")),
        ("forking_counts", || counts("forking")),
        ("prefork_counts", || counts("prefork")),
        ("forking_counts_a_crash", || crash("forking")),
        ("prefork_counts_a_crash", || crash("prefork")),
        ("two_servers_have_two_endpoints", two),
    ]
}

fn counts(model: &str) {
    let served = Served::start(model);
    let admin = served.admin[0];
    until(|| get(admin, "/readyz").status == 200);
    for end in ["leave", "fail", "panic"] {
        let mut client = served.connect();
        assert_eq!(say(&mut client, "text"), "text\n");
        client
            .write_all(format!("{end}\n").as_bytes())
            .expect("it is taken");
        assert_eq!(client.read(&mut [0]).expect("an end"), 0);
    }
    until(|| value(&scrape(admin), "sockserv_requests_active", "") == 0.0);
    let scrape = scrape(admin);
    let finished = |reason| value(&scrape, "sockserv_requests_finished_total", reason);
    assert_eq!(["finished", "failed", "panicked"].map(finished), [1.0; 3]);
    assert_eq!(value(&scrape, "sockserv_errors_total", "handle"), 2.0);
    assert_eq!(value(&scrape, "sockserv_received_bytes_total", ""), 32.0);
    assert_eq!(value(&scrape, "sockserv_sent_bytes_total", ""), 15.0);
    let workers = if model == "prefork" { 4.0 } else { 0.0 };
    assert_eq!(value(&scrape, "sockserv_workers", ""), workers);
    assert!(served.end().success());
}

fn crash(model: &str) {
    let served = Served::start(model);
    let mut client = served.connect();
    assert_eq!(say(&mut client, "text"), "text\n");
    client.write_all(b"abort\n").expect("it is taken");
    let _ = client.read(&mut [0]); // An end, or a reset.
    let admin = served.admin[0];
    until(|| value(&scrape(admin), "sockserv_requests_finished_total", "exited") == 1.0);
    assert_eq!(value(&scrape(admin), "sockserv_requests_active", ""), 0.0);
    until(|| value(&scrape(admin), "sockserv_errors_total", "exit") == 1.0);
    assert!(served.end().success());
}

fn two() {
    let served = Served::start("two");
    let mut client = served.connect();
    assert_eq!(say(&mut client, "text"), "text\n");
    let [first, second] = [0, 1].map(|index| scrape(served.admin[index]));
    assert_eq!(value(&first, "sockserv_requests_active", ""), 1.0);
    assert_eq!(value(&second, "sockserv_requests_active", ""), 0.0);
    drop(client);
    assert!(served.end().success());
}
