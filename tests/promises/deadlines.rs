//! `timeout`, `first_byte_timeout` and `request_timeout` under each model: F54, D17, D18, the slow clients of A6.

use std::io::{ErrorKind, Read};
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use sockserv_tests::{COARSE, Cell, Client, Ended, Event, Scenario, Server};

use crate::{for_each, for_each_stream_cell};

pub(crate) fn trials() -> Vec<Trial> {
    [
        for_each_stream_cell("f54_a_silent_peer_ends_a_read_at_timeout", read_timeout),
        for_each_stream_cell(
            "f54_a_peer_that_does_not_read_ends_a_write_at_timeout",
            write_timeout,
        ),
        for_each_stream_cell(
            "f54_a_write_before_any_read_is_bounded_too",
            write_timeout_before_any_read,
        ),
        for_each_stream_cell("f54_set_timeout_counts_from_the_next_wait", set_timeout),
        for_each_stream_cell(
            "f54_set_timeout_bounds_the_next_write",
            set_timeout_before_a_write,
        ),
        for_each_stream_cell(
            "a06_min_rate_ends_who_is_slow_and_leaves_others_alone",
            min_rate,
        ),
        for_each_stream_cell("a06_a_line_dribbled_is_one_wait", dribbled_line),
        for_each_stream_cell("a06_exactly_so_many_bytes_are_one_wait", dribbled_bytes),
        for_each_stream_cell(
            "d17_silence_after_connecting_ends_at_first_byte_timeout",
            first_byte,
        ),
        for_each_stream_cell(
            "d17_first_byte_timeout_ends_with_the_first_byte",
            first_byte_came,
        ),
        for_each_stream_cell("a06_a_busy_peer_is_cut_at_request_timeout", request_timeout),
        for_each(
            |cell| cell.is_stream() && (cell.forks() || cell.is_preforked()),
            "a06_a_child_that_computes_is_killed_after_request_timeout",
            stuck_child,
        ),
        for_each(
            |cell| cell.forks() || cell.is_preforked(),
            "a06_request_timeout_ends_children_of_every_transport",
            stuck_child_of_any,
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

const SHORT: Duration = Duration::from_millis(300);

/// A deadline that is missed is missed for ever here; a machine with other work may be a little late.
const LATE: Duration = Duration::from_secs(6);

/// What a whole request may take. The next client's is under the same limit, on a machine that may have other work.
const WHOLE: Duration = Duration::from_secs(1);

fn within(cell: Cell) -> Server {
    Scenario::new(cell).with("request-timeout", "1s").start()
}

fn with(cell: Cell, option: &str) -> Server {
    Scenario::new(cell).with(option, "300ms").start()
}

/// Insists that the server ended the client's request by this deadline, in time, and serves the next.
fn expect_timeout(server: Server, client: &mut Client, which: &str, began: Instant) -> Ended {
    let error = server.event_of("error", client);
    check(&error, which);
    let took = began.elapsed();
    assert!(took >= SHORT - COARSE, "{took:?} is too early");
    assert!(took < LATE, "{took:?} is too late");
    // Half a reply may be on the way.
    let _ = client.rest().expect("an end, not a reset");
    server.connect().echo("the next client is served");
    let ended = server.stop();
    ended.expect_counts(1, 1, 0);
    assert_eq!(ended.events("error").len(), 1);
    assert_eq!(
        ended.events("finish").len(),
        2,
        "finish runs after a timeout, too"
    );
    ended
}

fn check(error: &Event, which: &str) {
    assert_eq!(
        (error.get("timeout"), error.get("which"), error.get("panic")),
        ("true", which, "false"),
        "{error:?}"
    );
}

fn read_timeout(cell: Cell) {
    let server = with(cell, "timeout");
    let mut client = server.connect();
    let began = Instant::now();
    client.echo("one");
    expect_timeout(server, &mut client, "Read", began);
}

fn write_timeout(cell: Cell) {
    let server = with(cell, "timeout");
    let mut client = server.connect();
    let began = Instant::now();
    client.send("send 20000000");
    expect_timeout(server, &mut client, "Write", began);
}

fn write_timeout_before_any_read(cell: Cell) {
    let scenario = Scenario::new(cell).with("timeout", "300ms");
    let server = scenario.with("greeting", "20000000").start();
    let began = Instant::now();
    let mut client = server.connect();
    let error = server.event_of("error", &client);
    check(&error, "Write");
    assert_eq!(error.get("phase"), "setup");
    assert!(began.elapsed() < LATE, "{:?}", began.elapsed());
    let _ = client.rest().expect("an end, not a reset");
    server.stop().expect_counts(0, 1, 0);
}

fn set_timeout(cell: Cell) {
    let server = Server::start(cell);
    let mut client = server.connect();
    let began = Instant::now();
    assert_eq!(client.ask("timeout 300"), "set");
    expect_timeout(server, &mut client, "Read", began);
}

fn set_timeout_before_a_write(cell: Cell) {
    let server = Server::start(cell);
    let mut client = server.connect();
    let began = Instant::now();
    // In one segment, so that no read lies between the two.
    client.send("timeout 300\nsend 20000000");
    expect_timeout(server, &mut client, "Write", began);
}

/// Sends a byte every so often, until the server ends the connection.
fn dribble(client: &mut Client) {
    let socket = client.socket().try_clone().expect("a second descriptor");
    std::thread::spawn(move || {
        socket
            .set_read_timeout(Some(SHORT / 3))
            .expect("an own socket");
        // The end comes as end-of-file or as a reset; the time between two bytes as `WouldBlock`.
        while socket.send(b"x").is_ok()
            && (&socket)
                .read(&mut [0])
                .is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
        {}
    });
}

fn dribbled_line(cell: Cell) {
    let server = with(cell, "timeout");
    let mut client = server.connect();
    let began = Instant::now();
    client.echo("one");
    dribble(&mut client);
    expect_timeout_of_talker(server, &client, "Read", began);
}

fn dribbled_bytes(cell: Cell) {
    let server = with(cell, "timeout");
    let mut client = server.connect();
    let began = Instant::now();
    client.echo("one");
    client.send("exactly 1000");
    dribble(&mut client);
    expect_timeout_of_talker(server, &client, "Read", began);
}

/// A peer that still talks may see its end as a reset.
fn expect_timeout_of_talker(server: Server, client: &Client, which: &str, began: Instant) {
    let error = server.event_of("error", client);
    check(&error, which);
    let took = began.elapsed();
    assert!(took >= SHORT - COARSE && took < LATE, "{took:?}");
    server.connect().echo("the next client is served");
    server.stop().expect_counts(1, 1, 0);
}

/// What an exchange, or a write, may wait before its rate counts.
const RATE_GRACE: Duration = Duration::from_secs(5);

/// More than any peer here makes: what it sends, or takes, earns it no time worth measuring.
const MIN_RATE: u32 = 64 << 20;

fn min_rate(cell: Cell) {
    let scenario = Scenario::new(cell).with("min-rate", &MIN_RATE.to_string());
    let server = scenario.start();
    let parts: [fn(&Server); 3] = [sends_slowly, takes_slowly, rests];
    match cell.is_concurrent() {
        true => std::thread::scope(|scope| {
            for part in &parts {
                scope.spawn(|| part(&server));
            }
        }),
        false => parts.iter().for_each(|part| part(&server)),
    }
    server.stop().expect_counts(1, 2, 0);
}

fn expect_too_slow(server: &Server, client: &Client, began: Instant) {
    check(&server.event_of("error", client), "Rate");
    let took = began.elapsed();
    assert!(
        took >= RATE_GRACE && took < RATE_GRACE + LATE,
        "{took:?} by {}",
        client.name()
    );
}

fn sends_slowly(server: &Server) {
    let mut client = server.connect();
    let began = Instant::now();
    client.echo("one");
    client.send("exactly 1000");
    dribble(&mut client);
    expect_too_slow(server, &client, began);
}

fn takes_slowly(server: &Server) {
    let mut client = server.connect();
    let began = Instant::now();
    client.send("send 20000000");
    let taker = client.socket().try_clone().expect("a second descriptor");
    let (done, is_done) = std::sync::mpsc::channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut bytes = [0; 4096];
            while is_done.recv_timeout(SHORT / 3) == Err(RecvTimeoutError::Timeout)
                && (&taker).read(&mut bytes).is_ok_and(|count| count > 0)
            {}
        });
        expect_too_slow(server, &client, began);
        drop(done);
    });
}

/// Between two exchanges a peer may be silent as long as `timeout` says.
fn rests(server: &Server) {
    let mut client = server.connect();
    client.echo("one");
    client.expect_silence_for(RATE_GRACE + SHORT);
    client.echo("two");
    client.finish();
    client.expect_end();
}

fn first_byte(cell: Cell) {
    let server = with(cell, "first-byte-timeout");
    let began = Instant::now();
    let mut client = server.connect();
    expect_timeout(server, &mut client, "FirstByte", began);
}

fn first_byte_came(cell: Cell) {
    let server = Scenario::new(cell)
        .with("first-byte-timeout", "300ms")
        .with("timeout", "900ms")
        .start();
    let mut client = server.connect();
    let began = Instant::now();
    client.echo("one");
    let error = server.event_of("error", &client);
    check(&error, "Read");
    assert!(began.elapsed() > SHORT * 2, "{:?}", began.elapsed());
    client.expect_end();
}

fn request_timeout(cell: Cell) {
    let server = within(cell);
    let began = Instant::now();
    let mut client = server.connect();
    while client.try_send("echo again").is_ok() && client.try_reply().is_ok() {}
    let error = server.event_of("error", &client);
    check(&error, "Request");
    let took = began.elapsed();
    assert!(took >= WHOLE - COARSE && took < LATE, "{took:?}");
    server.connect().echo("the next client is served");
    let ended = server.stop();
    ended.expect_counts(1, 1, 0);
    assert_eq!(ended.events("finish").len(), 2);
}

fn stuck_child(cell: Cell) {
    let server = within(cell);
    let mut client = server.connect();
    client.ask("park");
    let error = server.event_of("error", &client);
    assert_eq!(
        (error.get("phase"), error.get("exit")),
        ("exit", "signal:_9_(SIGKILL)")
    );
    client.expect_end();
    server.connect().echo("the next client is served");
    if cell.forks() {
        server.process().expect_no_children();
    }
    server.stop().expect_counts(1, 1, 0);
}

fn stuck_child_of_any(cell: Cell) {
    let server = within(cell);
    let gate = server.gate("gate");
    let mut client = server.connect();
    client.send(&format!("gate {}", gate.path()));
    let error = server.event_of("error", &client);
    assert_eq!(
        (error.get("phase"), error.get("exit")),
        ("exit", "signal:_9_(SIGKILL)")
    );
    server.connect().echo("the next client is served");
    if cell.forks() {
        server.process().expect_no_children();
    }
    server.stop().expect_counts(1, 1, 0);
}
