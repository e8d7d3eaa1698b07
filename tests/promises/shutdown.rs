//! Shutdown is immediate and complete: promise 3, A7, A8, A12, D1 to D5, D11, D12.

use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use rustix::process::Signal;
use sockserv_tests::{AT_ONCE, Cell, Client, Process, Scenario, Server, wait_until};

use crate::{for_each, for_each_cell, for_each_stream_cell};

pub(crate) fn trials() -> Vec<Trial> {
    let concurrent_streams = |cell: &Cell| cell.is_stream() && cell.is_concurrent();
    let stream_processes = |cell: &Cell| cell.is_stream() && (cell.forks() || cell.is_preforked());
    [
        for_each_cell("d01_a07_an_idle_server_ends_at_once", nothing_alive),
        for_each_stream_cell("d05_a07_an_idle_request_is_told_at_once", idle_is_told),
        for_each_stream_cell(
            "p03_a_request_is_told_on_its_read_side_only",
            told_may_write,
        ),
        for_each_stream_cell("p03_a_request_that_never_read_is_idle", silent_is_told),
        for_each_stream_cell("p03_a_request_that_owes_a_reply_finishes", owing_finishes),
        for_each_stream_cell("p03_a_request_that_says_idle_is_told", said_idle),
        for_each_stream_cell("p03_a_busy_request_finishes", busy_finishes),
        for_each_cell("d24_a_request_that_computes_finishes", computing_finishes),
        for_each_stream_cell(
            "p03_what_owes_is_told_when_the_grace_ends",
            owing_is_told_at_last,
        ),
        for_each(
            concurrent_streams,
            "a07_a_stuck_request_is_cut_and_named",
            stuck_is_cut,
        ),
        for_each(
            stream_processes,
            "a07_who_is_cut_while_the_parent_stands_still_is_named",
            parent_stands_still,
        ),
        for_each_stream_cell("a07_a_second_signal_cuts_now", second_signal),
        for_each_cell("a07_a_saturated_server_ends_with_its_grace", saturated),
        for_each_stream_cell("a07_no_grace_tells_all_at_once", no_grace),
        for_each_cell("p03_a_lame_duck_serves_who_comes_now", lame_duck),
        for_each_cell("a07_a_second_signal_ends_a_lame_duck", shot_duck),
        for_each_cell("d02_a_handler_may_ask_for_the_shutdown", from_a_handler),
        for_each_cell("d12_nothing_is_left_after_the_end", nothing_left),
        for_each_stream_cell(
            "a08_a_client_in_the_queue_is_served_or_refused",
            queued_client,
        ),
        of_children(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// What concerns the processes of `forking` alone.
fn of_children() -> Vec<Trial> {
    let forking_streams = |cell: &Cell| cell.is_stream() && cell.forks();
    [
        for_each(
            forking_streams,
            "p03_ctrl_c_to_the_whole_group_lets_a_busy_child_finish",
            ctrl_c,
        ),
        for_each(
            forking_streams,
            "p03_a_dead_parent_ends_its_idle_children",
            parent_dies,
        ),
        for_each(
            forking_streams,
            "d12_a_child_holds_nothing_of_the_server",
            child_descriptors,
        ),
        for_each(
            forking_streams,
            "d11_at_max_children_a_shutdown_is_not_held_up",
            at_max_children,
        ),
        for_each(
            forking_streams,
            "p03_silent_children_are_not_waited_for",
            silent_children,
        ),
        for_each(
            |cell| cell.forks(),
            "d10_at_max_children_a_foreign_child_is_left_alone",
            foreign_child_at_the_limit,
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// A server whose grace is far longer than a test, so that whoever waits for its end is found out.
fn patient(cell: Cell) -> Server {
    patience(cell).start()
}

fn patience(cell: Cell) -> Scenario {
    Scenario::new(cell).with("shutdown-grace", "60s")
}

fn nothing_alive(cell: Cell) {
    let server = patient(cell);
    server.connect().echo("one");
    let ended = server.stop();
    assert!(ended.took < AT_ONCE, "{:?}", ended.took);
    ended.expect_counts(1, 0, 0);
}

fn idle_is_told(cell: Cell) {
    let server = patient(cell);
    let mut client = server.connect();
    client.echo("one");
    server.signal(Signal::TERM);
    client.expect_end();
    let ended = server.wait();
    ended.expect_good_within(AT_ONCE);
    ended.expect_counts(1, 0, 0);
    let summary = ended.summary();
    assert_eq!((summary.number("drained"), summary.number("cut")), (1, 0));
    assert_eq!(
        ended.story_of(&client),
        ["verify", "setup", "handle", "finish"]
    );
}

fn told_may_write(cell: Cell) {
    let server = patient(cell);
    let mut client = server.connect();
    assert_eq!(client.ask("busy"), "busy");
    // `busy` ends its guard at the end of the stream, and the handler still answers.
    server.signal(Signal::TERM);
    client.finish();
    client.expect_rest("the end\n");
    server.wait().expect_counts(1, 0, 0);
}

fn silent_is_told(cell: Cell) {
    let server = patient(cell);
    let mut client = server.connect();
    server.event_of("handle", &client);
    server.signal(Signal::TERM);
    client.expect_end();
    let ended = server.wait();
    assert!(ended.took < AT_ONCE, "{:?}", ended.took);
}

fn owing_finishes(cell: Cell) {
    let server = patient(cell);
    let mut client = server.connect();
    client.send("owe");
    server.event_of("owes", &client);
    begin_shutdown(&server);
    client.echo("paid"); // It owes nothing now, and is told.
    client.expect_end();
    let ended = server.wait();
    ended.expect_good();
    ended.expect_counts(1, 0, 0);
}

/// Asks for a shutdown and waits until it has begun.
fn begin_shutdown(server: &Server) {
    let process = server.process();
    let before = process.sockets();
    server.signal(Signal::TERM);
    match server.cell() {
        // The one unit closes the listener when it is free again.
        cell if !cell.is_concurrent() => process.expect_no_pending_signal(),
        // Those who still run hold the socket.
        cell if !cell.is_stream() => process.expect_no_pending_signal(),
        _ => wait_until(|| process.sockets() < before),
    }
}

fn said_idle(cell: Cell) {
    let server = patient(cell);
    let mut client = server.connect();
    client.send("owe-idle");
    server.event_of("owes", &client);
    server.signal(Signal::TERM);
    client.expect_end();
    assert!(server.wait().took < AT_ONCE);
}

fn busy_finishes(cell: Cell) {
    let server = patient(cell);
    let mut client = server.connect();
    assert_eq!(client.ask("busy"), "busy");
    begin_shutdown(&server);
    client.expect_silence();
    assert_eq!(client.ask("a line"), "a line");
    client.expect_end();
    server.wait().expect_counts(1, 0, 0);
}

fn wait_at_gate(server: &Server, client: &mut Client, gate: &sockserv_tests::Gate) {
    client.send(&format!("gate {}", gate.path()));
    match server.cell().is_stream() {
        true => assert_eq!(client.reply(), "waiting"),
        false => drop(server.event_of("waiting", client)),
    }
}

fn computing_finishes(cell: Cell) {
    let server = patient(cell);
    let gate = server.gate("gate");
    let mut client = server.connect();
    wait_at_gate(&server, &mut client, &gate);
    begin_shutdown(&server);
    client.expect_silence();
    gate.open();
    assert_eq!(client.reply(), "open");
    let ended = server.wait();
    ended.expect_good();
    ended.expect_counts(1, 0, 0);
}

fn owing_is_told_at_last(cell: Cell) {
    let server = Scenario::new(cell).with("shutdown-grace", "300ms").start();
    let mut client = server.connect();
    client.send("owe");
    server.event_of("owes", &client);
    server.signal(Signal::TERM);
    client.expect_end();
    let ended = server.wait();
    ended.expect_good(); // It ended by itself when it was told.
    ended.expect_counts(1, 0, 0);
    assert_eq!(ended.events("finish").len(), 1);
}

fn stuck_is_cut(cell: Cell) {
    let server = Scenario::new(cell).with("shutdown-grace", "200ms").start();
    let mut client = server.connect();
    client.ask("park");
    let mut writes = server.connect();
    writes.send("send 20000000"); // More than any buffer holds, and nobody reads.
    server.event_of("handle", &writes);
    let ended = server.terminate();
    assert!(!ended.status.success(), "a request was cut");
    assert!(ended.took < Duration::from_secs(4), "{:?}", ended.took);
    let summary = ended.summary();
    assert_eq!(summary.number("cut"), 2, "{summary:?}");
    for name in [client.name(), writes.name()] {
        assert!(
            summary.get("report").contains(&format!("{name}_in_handle")),
            "{summary:?}"
        );
        assert!(ended.events("failed")[0].get("error").contains(name));
    }
}

fn second_signal(cell: Cell) {
    let server = patient(cell);
    let mut client = server.connect();
    assert_eq!(client.ask("busy"), "busy");
    begin_shutdown(&server);
    server.signal(Signal::TERM);
    let ended = server.wait();
    assert!(!ended.status.success(), "a request was cut");
    assert!(ended.took < Duration::from_secs(2), "{:?}", ended.took);
    assert_eq!(ended.summary().number("cut"), 1);
    drop(client.rest()); // An end or a reset.
}

/// Far more waits in the queue than can be served within the grace.
/// A machine may be so busy that a child sees the end of the grace before its parent does.
fn parent_stands_still(cell: Cell) {
    let server = Scenario::new(cell).with("shutdown-grace", "1s").start();
    let mut idle = server.connect();
    idle.echo("one");
    let mut writes = server.connect();
    writes.send("send 20000000"); // More than any buffer holds, and nobody reads.
    server.event_of("handle", &writes);
    server.signal(Signal::TERM);
    idle.expect_end(); // The parent has seen to it that the shutdown is known.
    server.signal(Signal::STOP);
    server.event_of("finish", &writes);
    server.signal(Signal::CONT);
    let ended = server.wait();
    assert!(!ended.status.success(), "a request was cut");
    let summary = ended.summary();
    assert_eq!(summary.number("cut"), 1, "{summary:?}");
    assert!(summary.get("report").contains(writes.name()), "{summary:?}");
}

fn saturated(cell: Cell) {
    let scenario = Scenario::new(cell).with("shutdown-grace", "1s");
    let server = match cell.is_preforked() {
        true => scenario.with("workers", "2").start(),
        false => scenario.start(),
    };
    let mut clients: Vec<_> = (0..200).map(|_| server.connect()).collect();
    for client in &mut clients {
        // Who waits in a Unix queue that is full has no place in this one.
        let _ = client.try_send("work 20");
        if cell.is_stream() {
            client.finish();
        }
    }
    server.event("handle");
    let ended = server.terminate();
    assert!(ended.took < Duration::from_secs(6), "{:?}", ended.took);
    let summary = ended.summary();
    assert_eq!(summary.number("cut"), 0, "{summary:?}");
    assert_eq!(summary.number("active"), 0);
    ended.expect_good();
}

/// Long enough for a client to come, on a machine that has other work.
const LAME: Duration = Duration::from_secs(2);

fn lame_duck(cell: Cell) {
    let server = patience(cell).with("lame-duck", "2s").start();
    server.await_crew();
    let mut first = server.connect();
    first.echo("one");
    let began = Instant::now();
    server.signal(Signal::TERM);
    wait_until(|| first.ask("is-shutting-down") == "true"); // Readiness is off.
    if cell.is_stream() && !cell.is_concurrent() {
        first.finish();
        first.expect_end(); // The next one waits for this.
    }
    let mut late = server.connect();
    late.echo("two");
    assert!(began.elapsed() < LAME, "the machine is too slow for this");
    if cell.is_stream() {
        late.expect_end(); // Idle, and told when the drain begins.
    }
    let ended = server.wait();
    ended.expect_good();
    let took = began.elapsed();
    assert!(took >= LAME && took < LAME + AT_ONCE, "{took:?}");
    let summary = ended.summary();
    assert_eq!((summary.number("failed"), summary.number("cut")), (0, 0));
}

fn shot_duck(cell: Cell) {
    let server = patience(cell).with("lame-duck", "60s").start();
    let mut client = server.connect();
    client.echo("one");
    server.signal(Signal::TERM);
    wait_until(|| client.ask("is-shutting-down") == "true");
    server.signal(Signal::TERM);
    let ended = server.wait();
    assert!(ended.took < AT_ONCE, "{:?}", ended.took);
    assert_eq!(ended.summary().number("active"), 0);
}

fn no_grace(cell: Cell) {
    let server = Scenario::new(cell).with("shutdown-grace", "0s").start();
    let mut client = server.connect();
    assert_eq!(client.ask("busy"), "busy");
    server.signal(Signal::TERM);
    client.expect_rest("the end\n");
    let ended = server.wait();
    ended.expect_good_within(AT_ONCE);
}

fn from_a_handler(cell: Cell) {
    let server = patient(cell);
    let mut client = server.connect();
    assert_eq!(client.ask("shutdown"), "asked");
    if cell.is_stream() {
        client.expect_end();
    }
    let ended = server.wait();
    ended.expect_good_within(AT_ONCE);
    ended.expect_counts(1, 0, 0);
}

fn nothing_left(cell: Cell) {
    let server = patient(cell);
    let path = server.addr().to_owned();
    let mut clients: Vec<_> = (0..if cell.is_concurrent() { 5 } else { 1 })
        .map(|_| server.connect())
        .collect();
    for client in &mut clients {
        client.echo("one");
    }
    let ended = server.stop();
    ended.expect_counts(clients.len() as u64, 0, 0);
    assert!(
        Client::connect(cell.transport, &path)
            .and_then(|mut client| {
                // A datagram socket learns it from its second call.
                client.try_send("echo one")?;
                client.try_reply()
            })
            .is_err()
    );
    if cell.is_unix() {
        assert!(!std::path::Path::new(&path).exists(), "the path is removed");
    }
}

fn queued_client(cell: Cell) {
    let server = patient(cell);
    let mut first = server.connect();
    first.echo("one");
    let mut queue: Vec<_> = (0..20).map(|_| server.connect()).collect();
    server.signal(Signal::TERM);
    first.expect_end();
    for client in &mut queue {
        client.expect_end(); // Accepted and told; a reset would be an error.
    }
    let ended = server.wait();
    ended.expect_good_within(AT_ONCE);
    ended.expect_counts(21, 0, 0);
    assert_eq!(ended.summary().number("drained"), 21);
}

fn ctrl_c(cell: Cell) {
    let server = patience(cell).in_group().start();
    let mut client = server.connect();
    let child = Process(client.ask("pid").parse().expect("a number"));
    assert_eq!(client.ask("busy"), "busy");
    let mut idle = server.connect();
    idle.echo("one");
    server.process().signal_group(Signal::INT);
    idle.expect_end();
    // Whatever the signal makes the child do, it has done it by then.
    child.expect_no_pending_signal();
    wait_until(|| child.sleeps());
    client.expect_silence();
    assert_eq!(client.ask("a line"), "a line");
    client.expect_end();
    let ended = server.wait();
    ended.expect_good();
    ended.expect_counts(2, 0, 0);
    assert!(ended.events("error").is_empty());
}

fn parent_dies(cell: Cell) {
    let server = patient(cell);
    let mut client = server.connect();
    client.echo("one");
    server.signal(Signal::KILL);
    client.expect_end();
}

fn child_descriptors(cell: Cell) {
    let server = patient(cell);
    let mut others: Vec<_> = (0..3).map(|_| server.connect()).collect();
    others.iter_mut().for_each(|client| client.echo("one"));
    let mut client = server.connect();
    let child = Process(client.ask("pid").parse().expect("a number"));
    assert_eq!(
        child.sockets(),
        1,
        "a child has its own connection alone: {:?}",
        child.descriptors()
    );
    // Another child must not keep a connection open that has ended.
    others[0].finish();
    others[0].expect_end();
    let path = server.addr().to_owned();
    server.signal(Signal::KILL);
    drop(server.wait());
    assert!(
        Client::connect(cell.transport, &path).is_err(),
        "no child listens"
    );
    client.expect_end();
}

fn at_max_children(cell: Cell) {
    let server = patience(cell).with("max-children", "2").start();
    let mut clients: Vec<_> = (0..2).map(|_| server.connect()).collect();
    clients.iter_mut().for_each(|client| client.echo("one"));
    let mut third = server.connect();
    third.send("echo waiting");
    assert_eq!(server.process().children().len(), 2);
    third.expect_silence();
    clients.remove(0);
    assert_eq!(third.reply(), "waiting");
    let mut fourth = server.connect();
    server.signal(Signal::TERM);
    clients[0].expect_end();
    third.expect_end();
    fourth.expect_end();
    let ended = server.wait();
    ended.expect_good_within(AT_ONCE);
    ended.expect_counts(4, 0, 0);
}

/// Each would be given a while for its first words, one after the other.
fn silent_children(cell: Cell) {
    let server = patience(cell).with("max-children", "1").start();
    let mut clients: Vec<_> = (0..20).map(|_| server.connect()).collect();
    server.event("handle");
    server.terminate().expect_good_within(AT_ONCE);
    clients.iter_mut().for_each(|client| client.expect_end());
}

/// Where Python waits for any child at all, its own or not.
fn foreign_child_at_the_limit(cell: Cell) {
    let scenario = Scenario::new(cell).with("foreign", "on");
    let server = scenario.with("max-children", "2").start();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..5).for_each(|_| server.connect().echo("from a child")));
        }
    });
    let ended = server.stop();
    ended.expect_counts(20, 0, 0);
    assert_eq!(ended.events("foreign")[0].get("status"), "72");
}
