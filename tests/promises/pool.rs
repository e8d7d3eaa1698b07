//! `pool`: silent peers hold no thread, the queue has its bound, and each worker prepares itself. Promise 4, A4.

use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use sockserv_tests::{AT_ONCE, Cell, Client, Model, Scenario, Server};

use crate::for_each;

pub(crate) fn trials() -> Vec<Trial> {
    let pool = |cell: &Cell| cell.model == Model::Pool;
    let streams = |cell: &Cell| cell.model == Model::Pool && cell.is_stream();
    let udp = |cell: &Cell| cell.to_string() == "udp pool";
    [
        for_each(
            streams,
            "a04_300_silent_clients_cost_an_honest_one_nothing",
            silent_clients,
        ),
        for_each(
            streams,
            "p04_a_server_that_greets_need_not_say_so",
            greets_late,
        ),
        for_each(streams, "p04_speaks_first_greets_at_once", greets_at_once),
        for_each(
            streams,
            "p04_with_speaks_first_a_stuck_pool_leaves_clients_in_the_kernel",
            stuck_greeter,
        ),
        for_each(
            streams,
            "p04_who_speaks_to_a_stuck_pool_is_served_when_it_goes_on",
            stuck,
        ),
        for_each(
            udp,
            "p04_a_stuck_pool_leaves_packets_in_the_kernel",
            stuck_packets,
        ),
        for_each(
            pool,
            "f43_worker_start_runs_once_in_each_thread",
            worker_start,
        ),
        for_each(
            pool,
            "f43_a_failing_worker_start_ends_the_start",
            worker_start_fails,
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn silent_clients(cell: Cell) {
    let server = Scenario::new(cell).with("quiet", "on").start();
    let silent: Vec<_> = (0..300).map(|_| server.connect()).collect();
    for _ in 0..5 {
        let began = Instant::now();
        server.connect().echo("an honest one");
        assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
    }
    let threads = server.process().threads();
    assert_eq!(threads.len(), 9, "eight workers: {threads:?}");
    let mut honest = server.connect();
    server.expect_active(&mut honest, 301);
    // One of those who were silent so long is as welcome as any other.
    for mut client in silent.into_iter().step_by(50) {
        client.echo("at last");
    }
}

fn expect_greeting(client: &mut Client) -> Duration {
    let began = Instant::now();
    let mut greeting = [9; 3];
    let count = client.read(&mut greeting).expect("a greeting");
    assert_eq!(&greeting[..count], [0, 1, 2]);
    began.elapsed()
}

fn greets_late(cell: Cell) {
    let server = Scenario::new(cell).with("greeting", "3").start();
    for _ in 0..3 {
        let mut client = server.connect();
        expect_greeting(&mut client);
        client.echo("one");
    }
    // Whoever waits for a greeting leaves threads to those who do not.
    let mut many: Vec<_> = (0..20).map(|_| server.connect()).collect();
    expect_greeting(&mut many[0]);
    let mut talks = server.connect();
    talks.send("echo two");
    expect_greeting(&mut talks);
    assert_eq!(talks.reply(), "two");
    // Each that leaves makes room for the next.
    for mut client in many.drain(1..) {
        expect_greeting(&mut client);
    }
}

fn greets_at_once(cell: Cell) {
    let scenario = Scenario::new(cell).with("greeting", "3");
    let server = scenario.with("speaks-first", "on").start();
    let fastest = (0..10)
        .map(|_| expect_greeting(&mut server.connect()))
        .min();
    assert!(
        fastest < Some(Duration::from_millis(15)),
        "no silence is waited for: {fastest:?}"
    );
}

/// A pool whose only thread is held by this client until the gate opens.
fn held(cell: Cell, more: &[(&str, &str)]) -> (Server, Client, sockserv_tests::Gate) {
    let scenario = Scenario::new(cell)
        .with("workers", "1")
        .with("queue", "2")
        .with("observe", "on");
    let scenario = more
        .iter()
        .fold(scenario, |all, (name, value)| all.with(name, value));
    let server = scenario.start();
    let gate = server.gate("gate");
    let mut client = server.connect();
    client.send(&format!("gate {}", gate.path()));
    match cell.is_stream() {
        true => assert_eq!(client.reply(), "waiting"),
        false => drop(server.event_of("waiting", &client)),
    }
    (server, client, gate)
}

/// So many clients, each with a command, that nobody answers now.
fn queue(server: &Server, count: usize) -> Vec<Client> {
    let mut clients: Vec<_> = (0..count).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.send("echo served");
    }
    // There is no event that says that no more are taken.
    clients[0].expect_silence_for(Duration::from_millis(200));
    clients
}

fn expect_all_served(server: Server, mut first: Client, clients: Vec<Client>) {
    assert_eq!(first.reply(), "open");
    drop(first);
    let count = clients.len() as u64 + 1;
    for mut client in clients {
        assert_eq!(client.reply(), "served");
    }
    server.stop().expect_counts(count, 0, 0);
}

fn stuck_greeter(cell: Cell) {
    let (server, first, gate) = held(cell, &[("speaks-first", "on")]);
    let clients = queue(&server, 10);
    // One in the thread, two in the queue, and one that showed that it is full.
    assert_eq!(server.events("start").len(), 4);
    gate.open();
    expect_all_served(server, first, clients);
}

/// Without it, the table of requests is the bound: all are taken, and wait in the poller or behind the queue.
fn stuck(cell: Cell) {
    let (server, first, gate) = held(cell, &[("max-connections", "6")]);
    let clients = queue(&server, 10);
    assert_eq!(server.events("start").len(), 6);
    gate.open();
    expect_all_served(server, first, clients);
}

fn stuck_packets(cell: Cell) {
    let (server, first, gate) = held(cell, &[]);
    let clients = queue(&server, 150);
    let taken = server.events("start").len();
    assert!(taken <= 3 + 64, "{taken}: at most a batch beyond the queue");
    gate.open();
    expect_all_served(server, first, clients);
}

fn worker_start(cell: Cell) {
    let server = Scenario::new(cell).with("workers", "5").start();
    server.connect().echo("one");
    let ended = server.stop();
    let mut workers: Vec<_> = ended
        .events("worker")
        .iter()
        .map(|event| event.number("worker"))
        .collect();
    workers.sort_unstable();
    assert_eq!(workers, [0, 1, 2, 3, 4]);
    let at = |start: &str| ended.lines.iter().rposition(|line| line.starts_with(start));
    assert!(at("@worker") < at("@verify"), "{:?}", ended.lines);
}

fn worker_start_fails(cell: Cell) {
    for (deed, why) in [("error", "worker_start_fails"), ("panic", "panicked")] {
        // The third of them; nobody is served, and nobody is left behind.
        let ended = Scenario::new(cell)
            .with("worker-start", &format!("{deed}:1@2"))
            .fail();
        assert!(!ended.status.success());
        let error = ended.events("failed")[0].get("error").to_owned();
        assert!(error.starts_with("`worker_start`_of_worker_"), "{error}");
        assert!(error.contains(why), "{error}");
        assert!(
            !ended
                .lines
                .iter()
                .any(|line| line.starts_with("listening on")),
            "{:?}",
            ended.lines
        );
    }
}
