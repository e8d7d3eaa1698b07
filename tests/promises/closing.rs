//! Closing loses nothing, and leaving is not worth a line: promises 5 and 6, T24, D15, D25, D26.

use libtest_mimic::Trial;
use sockserv_tests::{Cell, Process, Server};

use crate::{for_each, for_each_stream_cell};

pub(crate) fn trials() -> Vec<Trial> {
    [
        for_each_stream_cell(
            "d25_p05_a_long_reply_arrives_whole_although_input_is_unread",
            unread_input,
        ),
        for_each_stream_cell(
            "p05_the_end_is_sent_although_somebody_else_waits",
            end_at_once,
        ),
        for_each_stream_cell(
            "p05_who_sees_the_end_finds_itself_counted",
            counted_at_the_end,
        ),
        for_each_stream_cell(
            "p05_a_peer_that_goes_on_talking_is_cut_in_time",
            endless_talker,
        ),
        for_each_stream_cell("p05_a_half_closed_peer_gets_its_reply", half_close),
        for_each_stream_cell("t24_a_long_write_under_signals_is_complete", signal_storm),
        for_each_stream_cell("p06_a_reset_is_a_quiet_disconnect", reset),
        for_each_stream_cell("p06_a_hidden_disconnect_is_still_one", hidden_disconnect),
        for_each_stream_cell(
            "d26_a_reply_to_a_peer_that_left_is_one_error",
            reply_to_nobody,
        ),
        for_each(
            |cell| cell.is_stream() && cell.forks(),
            "d12_a_child_that_dies_leaves_the_reply_whole",
            child_dies,
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

const LONG: usize = 3_000_000;

/// What the command `send` sends.
fn check_pattern(got: &[u8], count: usize) {
    assert_eq!(got.len(), count);
    let wrong = got
        .iter()
        .enumerate()
        .position(|(at, &byte)| usize::from(byte) != at % 251);
    assert_eq!(wrong, None, "the first wrong byte");
}

fn unread_input(cell: Cell) {
    let server = Server::start(cell);
    let mut client = server.connect();
    client
        .send_bytes(
            &[
                format!("send {LONG}\nbye\n").into_bytes(),
                vec![b'x'; 60_000],
            ]
            .concat(),
        )
        .expect("it fits the buffers");
    check_pattern(&client.rest().expect("no reset"), LONG);
    let ended = server.stop();
    ended.expect_counts(1, 0, 0);
    assert!(ended.events("error").is_empty());
}

fn counted_at_the_end(cell: Cell) {
    let server = Server::start(cell);
    let mut watcher = cell.is_concurrent().then(|| server.connect());
    for round in 1..=20 {
        let mut client = server.connect();
        client.send("bye");
        client.expect_end();
        let counts = watcher.get_or_insert_with(|| server.connect()).ask("stats");
        let finished = counts.split(' ').nth(2);
        assert_eq!(finished, Some(&*round.to_string()), "{counts}");
        if !cell.is_concurrent() {
            break; // The one unit is the watcher's now.
        }
    }
}

fn end_at_once(cell: Cell) {
    let server = Server::start(cell);
    let mut first = server.connect();
    // Connected, and queued behind the first where there is only one unit.
    let mut second = server.connect();
    first.send("bye\nunread");
    first.expect_end();
    second.echo("served");
    drop(second);
    server.stop().expect_counts(2, 0, 0);
}

fn endless_talker(cell: Cell) {
    let server = Server::start(cell);
    let mut client = server.connect();
    client.send("bye\nunread");
    client.expect_end();
    // Nobody takes more than 64 KiB of what it goes on saying, for no more than two seconds.
    let chunk = vec![b'x'; 64 << 10];
    let most = 256 << 20;
    let cut = (0..most / chunk.len()).any(|_| client.send_bytes(&chunk).is_err());
    assert!(cut, "it may talk for ever");
    server.stop().expect_counts(1, 0, 0);
}

fn half_close(cell: Cell) {
    let server = Server::start(cell);
    let mut client = server.connect();
    client.send("echo one");
    client.send(&format!("send {LONG}"));
    client.finish();
    let rest = client.rest().expect("no reset");
    assert_eq!(&rest[..4], b"one\n");
    check_pattern(&rest[4..], LONG);
    server.stop().expect_counts(1, 0, 0);
}

fn signal_storm(cell: Cell) {
    const BIG: usize = (16 << 20) + 1;
    let server = Server::start(cell);
    let mut client = server.connect();
    let writer = Process(client.ask("pid").parse().expect("a number"));
    client.send(&format!("send {BIG}"));
    client.finish();
    let mut got = Vec::new();
    let mut chunk = vec![0; 32 << 10];
    loop {
        let count = client.read(&mut chunk).expect("the reply goes on");
        if count == 0 {
            break;
        }
        got.extend_from_slice(&chunk[..count]);
        // The kernel's buffers hold ten megabytes at most, so it still writes.
        if got.len() < 4 << 20 {
            // A stop interrupts a system call that waits on a socket with a timeout, without any handler: signal(7).
            writer.interrupt();
        }
    }
    check_pattern(&got, BIG);
    server.stop().expect_counts(1, 0, 0);
}

/// A reply that the client does not read makes a Unix stream's end a reset, as `SO_LINGER` does for TCP.
const UNREAD: &str = "echo-now unread\nowe";

fn reset(cell: Cell) {
    let server = Server::start(cell);
    let mut client = server.connect();
    client.echo("one");
    client.send(UNREAD);
    server.event_of("owes", &client);
    let name = client.name().to_owned();
    client.reset();
    let error = server.event("error");
    assert_eq!(
        (
            error.get("phase"),
            error.get("disconnect"),
            error.get("timeout")
        ),
        ("handle", "true", "false")
    );
    assert_eq!(error.get("peer"), name);
    let ended = server.stop();
    ended.expect_counts(0, 1, 0);
    assert_eq!(ended.events("finish").len(), 1);
}

fn hidden_disconnect(cell: Cell) {
    let server = Server::start(cell);
    let mut client = server.connect();
    client.echo("one");
    client.send(&format!("{UNREAD}\nswallow"));
    server.event_of("owes", &client);
    client.reset();
    let error = server.event("error");
    assert!(
        error.get("text").contains("something_went_wrong"),
        "{error:?}"
    );
    assert_eq!(
        (error.get("phase"), error.get("disconnect")),
        ("handle", "true")
    );
    server.stop().expect_counts(0, 1, 0);
}

fn reply_to_nobody(cell: Cell) {
    let server = Server::start(cell);
    let mut client = server.connect();
    let gate = server.gate("gate");
    // In one segment: the second command is read with the first, and asks for more than all buffers on the way hold.
    client.send(&format!("gate {}\nsend 20000000", gate.path()));
    assert_eq!(client.reply(), "waiting");
    client.reset();
    gate.open();
    let error = server.event("error");
    assert_eq!(error.get("disconnect"), "true", "{error:?}");
    let ended = server.stop();
    ended.expect_counts(0, 1, 0);
    assert_eq!(ended.events("error").len(), 1);
}

fn child_dies(cell: Cell) {
    let server = Server::start(cell);
    let mut client = server.connect();
    client.ask("echo-now one");
    client.send("echo-now two");
    client.send("abort\nunread input");
    client.expect_rest("two\n");
    server.stop().expect_counts(0, 1, 0);
}
