//! Bounds: descriptors, threads, children, memory and an idle server's rest. Promises 1 and 4, T27, A1, A11 to A14, D6, D7, D9, D13.

use std::collections::VecDeque;
use std::thread;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use sockserv_tests::{Cell, Client, Model, Process, Scenario, Server, Transport, wait_until};

use crate::{for_each, for_each_cell, for_each_stream_cell};

pub(crate) fn trials() -> Vec<Trial> {
    [
        for_each_stream_cell(
            "d13_a01_out_of_descriptors_is_survived_quietly",
            out_of_descriptors,
        ),
        for_each_stream_cell(
            "a01_more_clients_than_descriptors_take_turns",
            more_than_descriptors,
        ),
        for_each_stream_cell(
            "d07_max_connections_leaves_the_others_in_the_queue",
            max_connections,
        ),
        for_each(
            |cell| cell.model == Model::Threading && cell.is_stream(),
            "d07_threads_are_bounded_and_reused",
            threads,
        ),
        for_each_cell("p10_nothing_is_left_of_many_requests", nothing_left),
        for_each(
            |cell| !cell.forks(),
            "a11_ten_thousand_requests_with_panics_among_them",
            ten_thousand,
        ),
        for_each(
            |cell| cell.forks(),
            "a12_d09_a_thousand_children_leave_no_zombies",
            thousand_children,
        ),
        for_each(
            lives_on_over_tcp,
            "a13_d06_memory_is_flat_after_a_hundred_thousand_connections",
            flat_memory,
        ),
        for_each_cell("d01_p03_an_idle_server_makes_no_system_call", idle),
        for_each_stream_cell(
            "d14_a_server_with_idle_clients_makes_no_system_call",
            idle_with_clients,
        ),
        for_each(
            lingers_beside_children,
            "d14_a_client_that_was_refused_leaves_a_server_with_children_at_rest",
            idle_after_refusal,
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn lives_on_over_tcp(cell: &Cell) -> bool {
    let lives_on = matches!(cell.model, Model::Threading | Model::Pool);
    lives_on && cell.transport == Transport::Tcp
}

fn lingers_beside_children(cell: &Cell) -> bool {
    cell.transport == Transport::Tcp && cell.model == Model::Forking
}

fn errors_about_accepting(lines: &[String]) -> usize {
    lines
        .iter()
        .filter(|line| line.starts_with("sockserv: cannot accept"))
        .count()
}

/// The handlers hold descriptors until none is left, clients wait, and then one handler lets go.
fn out_of_descriptors(cell: Cell) {
    let server = Scenario::new(cell).limit(64).with("quiet", "on").start();
    if cell.forks() {
        return children_without_descriptors(&server);
    }
    if cell.is_preforked() {
        return worker_without_descriptors(&server);
    }
    let mut hog = server.connect();
    assert_ne!(hog.ask("hold 100"), "100", "the limit is in force");
    let mut waiting: Vec<_> = (0..100).map(|_| server.connect()).collect();
    waiting[0].send("echo at last");
    if cell.is_concurrent() {
        server.line(|line| line.starts_with("sockserv: cannot accept"));
    }
    expect_patience(&server, &mut hog, &mut waiting[0], 20);
    assert!(errors_about_accepting(&server.lines()) <= 3);
    assert_eq!(hog.ask("drop-held"), "dropped");
    drop(hog);
    waiting.truncate(1);
    assert_eq!(waiting[0].reply(), "at last");
    drop(waiting);
    server.connect().echo("as before");
    let ended = server.stop();
    assert_eq!(ended.summary().number("failed"), 0);
}

/// Insists that for a while the one is served, the other is not, and it costs at most a part of a processor.
fn expect_patience(server: &Server, served: &mut Client, waits: &mut Client, part: u32) {
    let before = server.process().cpu();
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(1500) {
        served.echo("live ones go on");
        waits.expect_silence_for(Duration::from_millis(50));
    }
    let (cpu, took) = (server.process().cpu() - before, began.elapsed());
    assert!(cpu < took / part, "{cpu:?} in {took:?}");
}

/// A parent runs out of descriptors by its children alone: each takes a connection and a pidfd.
fn children_without_descriptors(server: &Server) {
    let mut clients = vec![server.connect()];
    clients[0].echo("served");
    clients.extend((0..99).map(|_| server.connect()));
    let mut last = clients.pop().expect("there are a hundred");
    expect_patience(server, &mut clients[0], &mut last, 10);
    assert!(errors_about_accepting(&server.lines()) <= 3);
    last.send("echo at last");
    clients.clear();
    assert_eq!(last.reply(), "at last");
    server.connect().echo("as before");
    drop(last);
    server.process().expect_no_children();
}

/// Each worker has a limit of its own, and accepts nothing while it serves: its siblings go on as if nothing were.
fn worker_without_descriptors(server: &Server) {
    server.await_crew(); // Forks are the parent's work.
    let mut hog = server.connect();
    assert_ne!(hog.ask("hold 100"), "100", "the limit is in force");
    let before = server.process().cpu();
    for mut client in (0..100).map(|_| server.connect()).collect::<Vec<_>>() {
        client.echo("others are served");
        hog.echo("live ones go on");
    }
    let cpu = server.process().cpu() - before;
    assert!(cpu < Duration::from_millis(100), "the parent used {cpu:?}");
    assert_eq!(errors_about_accepting(&server.lines()), 0);
    assert_eq!(hog.ask("drop-held"), "dropped");
}

fn more_than_descriptors(cell: Cell) {
    let server = Scenario::new(cell).limit(64).with("quiet", "on").start();
    let mut clients: Vec<_> = (0..200).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.send("echo in turn");
    }
    // Whoever has its reply leaves and makes room; nobody says whose turn comes first.
    thread::scope(|scope| {
        for mut client in clients {
            scope.spawn(move || assert_eq!(client.reply(), "in turn"));
        }
    });
    let ended = server.stop();
    ended.expect_counts(200, 0, 0);
    assert_eq!(
        errors_about_accepting(&ended.lines),
        0,
        "the bound is below the limit"
    );
}

fn max_connections(cell: Cell) {
    let server = Scenario::new(cell).with("max-connections", "2").start();
    let at_once = if cell.is_concurrent() { 2 } else { 1 };
    let mut served: VecDeque<_> = (0..at_once).map(|_| server.connect()).collect();
    served.iter_mut().for_each(|client| client.echo("served"));
    // Workers that look at the same time may take those who wait in another order.
    let together = if cell.is_preforked() { 1 } else { 4 - at_once };
    for _ in 0..(4 - at_once) / together {
        let mut waiting: Vec<_> = (0..together).map(|_| server.connect()).collect();
        for client in &mut waiting {
            client.send("echo served");
        }
        for mut next in waiting {
            let mut first = served.pop_front().expect("somebody is served");
            first.echo("live ones go on");
            next.expect_silence();
            first.finish();
            first.expect_end();
            assert_eq!(next.reply(), "served");
            served.push_back(next);
        }
    }
    for client in &mut served {
        client.finish();
        client.expect_end();
    }
    server.stop().expect_counts(4, 0, 0);
}

fn threads(cell: Cell) {
    let server = Scenario::new(cell).with("max", "3").start();
    for _ in 0..10 {
        server.connect().echo("one after another");
    }
    let names = server.process().threads();
    assert!(names.len() < 10, "threads are reused: {names:?}");
    let mut clients: Vec<_> = (0..3).map(|_| server.connect()).collect();
    clients.iter_mut().for_each(|client| client.echo("served"));
    clients.extend((0..3).map(|_| server.connect()));
    let names = server.process().threads();
    assert!(names.len() <= 4, "{names:?}");
    assert!(
        names
            .iter()
            .filter(|name| name.starts_with("sockserv-"))
            .count()
            <= 3,
        "{names:?}"
    );
    for client in clients {
        drop(client);
    }
    let _ = server.stop();
}

/// The same descriptors before and after, no threads but idle ones, no children, not even dead ones.
fn nothing_left(cell: Cell) {
    let server = Scenario::new(cell).with("quiet", "on").start();
    server.await_crew();
    server.connect().echo("first"); // Makes what is made once.
    settle(&server);
    let descriptors = || {
        let processes = server.processes().into_iter();
        processes.map(Process::descriptors).collect::<Vec<_>>()
    };
    let before = descriptors();
    for nth in 0..40 {
        let mut client = server.connect();
        match nth % 4 {
            0 => client.echo("well"),
            1 => client.send("error"),
            2 => client.send("panic"),
            _ if cell.is_stream() => client.reset(),
            _ => client.send("silent"),
        }
    }
    server.connect().echo("last");
    settle(&server);
    assert_eq!(descriptors(), before);
    let ended = server.stop();
    let summary = ended.summary();
    assert_eq!(summary.number("active"), 0);
    assert_eq!(
        summary.number("accepted"),
        summary.number("finished") + summary.number("failed") + summary.number("refused")
    );
}

/// Waits until no request is alive, and the only socket of each process is the one that the server came with.
fn settle(server: &Server) {
    if server.cell().forks() {
        server.process().expect_no_children();
    }
    wait_until(|| {
        let mut processes = server.processes().into_iter();
        processes.all(|process| process.sockets() == 1)
    });
}

fn ten_thousand(cell: Cell) {
    let count = 10_000;
    let server = Scenario::new(cell).with("quiet", "on").start();
    let mut panics = 0;
    if cell.is_stream() {
        for nth in 0..count {
            let mut client = server.connect();
            client.echo("well");
            if nth % 10 == 0 {
                panics += 1;
                client.send("panic");
                client.expect_end();
            }
        }
    } else {
        let mut client = server.connect();
        for nth in 0..count {
            if nth % 10 == 0 {
                panics += 1;
                client.send("panic");
            } else {
                client.echo("well");
            }
        }
    }
    let summary = server.stop().summary();
    assert_eq!(
        ["accepted", "active", "failed"].map(|key| summary.number(key)),
        [count, 0, panics],
        "accepted, active, failed: {summary:?}"
    );
}

fn thousand_children(cell: Cell) {
    let count = if cell.is_stream() { 1_000 } else { 600 };
    let server = Scenario::new(cell)
        .with("quiet", "on")
        .with("max-children", "20")
        .start();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for nth in 0..count / 4 {
                    let mut client = server.connect();
                    match nth % 10 {
                        0 => client.send("panic"),
                        _ => client.echo("from a child"),
                    }
                }
            });
        }
    });
    server.process().expect_no_children();
    server
        .stop()
        .expect_counts(count - count / 10, count / 10, 0);
}

fn flat_memory(cell: Cell) {
    let server = Scenario::new(cell).with("quiet", "on").start();
    connections(&server, 5_000);
    let before = server.process().memory();
    let descriptors = server.process().descriptors().len();
    connections(&server, 95_000);
    let after = server.process().memory();
    assert!(
        after < before + 2048,
        "{before} KiB before, {after} KiB after"
    );
    wait_until(|| server.process().descriptors().len() <= descriptors);
    let threads = server.process().threads();
    assert!(threads.len() < 20, "{threads:?}");
    server.stop().expect_counts(100_000, 0, 0);
}

/// So many connections, one after another on each of four threads, that the server closes.
fn connections(server: &Server, count: u32) {
    let at: std::net::SocketAddr = server.addr().parse().expect("an address");
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(move || {
                for _ in 0..count / 4 {
                    use std::io::{Read, Write};
                    let mut stream = std::net::TcpStream::connect(at).expect("it is there");
                    stream.write_all(b"bye\n").expect("it reads");
                    let mut rest = [0; 1];
                    assert_eq!(stream.read(&mut rest).expect("no reset"), 0);
                }
            });
        }
    });
}

/// Insists that the server and its children do nothing for a while: a system call needs a processor.
fn expect_rest(server: &Server) {
    let all = || {
        let children = server
            .process()
            .children()
            .into_iter()
            .map(|(child, _)| child);
        [server.process()]
            .into_iter()
            .chain(children)
            .collect::<Vec<_>>()
    };
    let look = || {
        all()
            .into_iter()
            .map(|process| (process, process.switches(), process.sleeps()))
            .collect::<Vec<_>>()
    };
    // What a request leaves behind (a thread that parks, a child that ends) is done first.
    let mut before = look();
    wait_until(|| {
        server.is_quiet_for(Duration::from_millis(100))
            && std::mem::replace(&mut before, look()) == look()
    });
    assert!(server.is_quiet_for(Duration::from_millis(1500)));
    let after = look();
    assert!(after.iter().all(|(_, _, sleeps)| *sleeps), "{after:?}");
    assert_eq!(
        before, after,
        "processes, how often they left a processor, and whether they sleep"
    );
}

fn idle(cell: Cell) {
    let server = Server::start(cell);
    expect_rest(&server);
    server.connect().echo("one");
    settle(&server);
    expect_rest(&server);
}

fn idle_with_clients(cell: Cell) {
    let server = Server::start(cell);
    let mut clients: Vec<Client> = (0..if cell.is_concurrent() { 5 } else { 1 })
        .map(|_| server.connect())
        .collect();
    clients.iter_mut().for_each(|client| client.echo("one"));
    expect_rest(&server);
}

/// The child has the socket of the refused client, too, so closing it does not take it out of the parent's poll set.
fn idle_after_refusal(cell: Cell) {
    let server = Scenario::new(cell)
        .with("max-connections-per-peer", "1")
        .start();
    let mut first = server.connect();
    first.echo("one");
    let mut refused = server.connect();
    refused.expect_end();
    let from = |ip| Client::connect_from(ip, server.transport(), server.addr());
    let mut other = from("127.0.0.2").expect("it listens");
    other.echo("two");
    drop(refused);
    expect_rest(&server);
}
