//! One start and one stop for every request, on every closing path, in every model: promise 10, A14.

use std::net::Shutdown;
use std::time::Duration;

use libtest_mimic::Trial;
use rustix::process::Signal;
use sockserv_tests::{Cell, Client, Ended, Model, Process, Scenario, Server};

use crate::{for_each, for_each_cell, for_each_stream_cell};

pub(crate) fn trials() -> Vec<Trial> {
    let concurrent = |cell: &Cell| cell.is_concurrent();
    let processes = |cell: &Cell| cell.forks() || cell.is_preforked();
    [
        for_each_cell("a14_p10_one_start_and_one_stop_by_each_method", methods),
        for_each_stream_cell("a14_p10_one_start_and_one_stop_by_deadlines", deadlines),
        for_each_stream_cell("a14_p10_one_start_and_one_stop_of_who_is_cut", cut_busy),
        for_each(
            concurrent,
            "a14_p10_one_start_and_one_stop_of_who_computes_too_long",
            cut_stuck,
        ),
        for_each(
            processes,
            "a14_p10_one_start_and_one_stop_when_the_process_dies",
            process_dies,
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn observed(cell: Cell) -> Scenario {
    Scenario::new(cell).with("observe", "on")
}

/// Who came, and why each should have ended.
#[derive(Default)]
struct Expected(Vec<(String, &'static str)>);

impl Expected {
    fn add(&mut self, client: &Client, reason: &'static str) {
        self.0.push((client.name().to_owned(), reason));
    }

    fn check(&self, ended: &Ended) {
        for (peer, reason) in &self.0 {
            ended.expect_one_life(peer, reason);
        }
        ended.expect_lives(self.0.len());
    }
}

fn methods(cell: Cell) {
    let scenario = observed(cell).with_one_loop().with("setup-reads", "on");
    let server = scenario.with("verify", "refuse:1").start();
    let mut refused = server.connect();
    match cell.is_stream() {
        true => refused.expect_end(),
        false => refused.send("echo not answered"),
    }
    server.event_of("refused", &refused);
    let mut expected = Expected::default();
    let mut kept = Vec::new(); // A port that is free again may be the next client's, and that would be the same peer.
    for (command, reason) in [
        ("bye", "finished"),
        ("setup-error", "failed"),
        ("setup-panic", "panicked"),
        ("error", "failed"),
        ("panic", "panicked"),
        ("finish-fails error", "failed"),
        ("finish-fails panic", "panicked"),
        ("drop-panics", "panicked"),
    ] {
        let mut client = server.connect();
        match (cell.is_stream(), command) {
            (false, "bye") => client.echo("well"),
            _ => client.send(command),
        }
        if cell.is_stream() {
            client.finish();
            client.rest().expect("no reset");
        }
        server.event_of("stop", &client); // A packet's reply needs its client until then.
        expected.add(&client, reason);
        kept.push(client);
    }
    disconnect(&server, &mut expected);
    let ended = server.stop();
    expected.check(&ended);
    let refused = ended.events("refused");
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0].get("why"), "verify");
    let summary = ended.summary();
    let bytes = |key: &str| -> u64 {
        let stops = ended.events("stop");
        stops.iter().map(|stop| stop.number(key)).sum()
    };
    for key in ["bytes_in", "bytes_out"] {
        assert_eq!(bytes(key), summary.number(key), "{key}");
    }
}

/// A peer that leaves in the middle; nobody notices one that does not wait for a packet, but for one with a path.
fn disconnect(server: &Server, expected: &mut Expected) {
    let mut client = server.connect();
    match (server.cell().is_stream(), server.cell().is_unix()) {
        (true, _) => {
            client.echo("one");
            client.send("echo-now unread\nowe");
            server.event_of("owes", &client);
            expected.add(&client, "disconnected");
            client.reset();
        }
        (false, true) => {
            let gate = server.gate("gate");
            client.send(&format!("gate {}", gate.path()));
            server.event_of("waiting", &client);
            expected.add(&client, "disconnected");
            // Closing it is not enough: a process that another test is about to start may hold a copy for a moment.
            let socket = client.socket();
            socket.shutdown(Shutdown::Both).expect("an own socket");
            gate.open();
        }
        (false, false) => return,
    }
    server.event_of_peer("stop", &expected.0[expected.0.len() - 1].0);
}

/// Each alone: a slow machine would otherwise let another pass before it.
fn deadlines(cell: Cell) {
    for (reason, option) in [
        ("first_byte_timeout", "first-byte-timeout"),
        ("read_timeout", "timeout"),
        ("write_timeout", "timeout"),
        ("request_timeout", "request-timeout"),
    ] {
        let server = observed(cell).with(option, "500ms").start();
        let mut client = server.connect();
        match reason {
            "read_timeout" => client.send("echo and then silence"),
            "write_timeout" => client.send("send 20000000"),
            "request_timeout" => {
                while client.try_send("echo again").is_ok() && client.try_reply().is_ok() {}
            }
            _ => {}
        }
        server.event_of("stop", &client);
        if reason != "request_timeout" {
            client.rest().expect("no reset"); // Nothing that it sent is unread.
        }
        let mut expected = Expected::default();
        expected.add(&client, reason);
        expected.check(&server.stop());
    }
}

/// A shutdown's second signal.
fn cut_busy(cell: Cell) {
    let server = observed(cell).with("shutdown-grace", "60s").start();
    let mut client = server.connect();
    assert_eq!(client.ask("busy"), "busy");
    server.signal(Signal::TERM);
    server.process().expect_no_pending_signal();
    server.signal(Signal::TERM);
    let ended = server.wait();
    assert!(!ended.status.success(), "a request was cut");
    assert!(ended.took < Duration::from_secs(4), "{:?}", ended.took);
    drop(client.rest()); // An end or a reset.
    let mut expected = Expected::default();
    expected.add(&client, "cut");
    expected.check(&ended);
}

/// What computes cannot be cut inside one process: it is left behind.
fn cut_stuck(cell: Cell) {
    let server = observed(cell).with("shutdown-grace", "0s").start();
    let gate = server.gate("gate");
    let mut client = server.connect();
    client.send(&format!("gate {}", gate.path()));
    match cell.is_stream() {
        true => assert_eq!(client.reply(), "waiting"),
        false => drop(server.event_of("waiting", &client)),
    }
    let mut expected = Expected::default();
    expected.add(&client, "cut");
    expected.check(&server.terminate());
}

fn process_dies(cell: Cell) {
    let server = observed(cell).start();
    let mut expected = Expected::default();
    for way in ["killed", "exit 3", "abort"] {
        let mut client = server.connect();
        expected.add(&client, "exited");
        if way != "killed" {
            client.send(way);
        } else if cell.is_stream() {
            Process(client.ask("pid").parse().expect("a number")).signal(Signal::KILL);
        } else {
            let gate = server.gate("gate");
            client.send(&format!("gate {}", gate.path()));
            let pid = server.event_of("waiting", &client).number("pid");
            Process(pid.try_into().expect("a process id")).signal(Signal::KILL);
        }
        server.event_of("stop", &client);
    }
    let mut next = server.connect();
    next.echo("the others go on");
    expected.add(&next, "finished");
    drop(next);
    let ended = server.stop();
    expected.check(&ended);
    let by = ended.events("stop");
    let parent = ended.summary().get("pid").to_owned();
    let told_by_parent = |stop: &&sockserv_tests::Event| stop.get("pid") == parent;
    let least = if cell.model == Model::Forking { 4 } else { 3 };
    assert_eq!(by.iter().filter(told_by_parent).count(), least, "{by:?}");
}
