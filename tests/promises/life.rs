//! Echoes, the order of the life cycle, and what every failure leads to: promises 2, 7 and 10, T1 to T12, T17 to T22, T26.

use libtest_mimic::Trial;
use rustix::process::Signal;
use sockserv_tests::{Cell, Client, Event, Folder, Scenario, Server, wait_until};

use crate::{for_each, for_each_cell, for_each_datagram_cell, for_each_stream_cell};

pub(crate) fn trials() -> Vec<Trial> {
    [
        for_each_cell(
            "t01_to_t12_three_clients_are_echoed_and_the_end_is_clean",
            three_clients,
        ),
        for_each_cell("f47_the_methods_run_in_order", order),
        for_each_cell("f47_after_a_failing_setup_nothing_runs", setup_fails),
        for_each_cell("f47_finish_runs_after_a_failing_handle", handle_fails),
        for_each_cell("f47_the_first_failure_is_reported_once", both_fail),
        for_each_cell("f47_a_failing_finish_is_reported", finish_fails),
        for_each_stream_cell(
            "f47_what_was_written_before_a_failure_is_sent",
            written_before,
        ),
        for_each_datagram_cell("f56_after_a_failure_no_packet_is_sent", no_half_packet),
        for_each_cell("p02_a_panic_in_drop_is_reported", drop_panics),
        for_each(
            |cell| cell.is_unix(),
            "a10_the_same_path_a_hundred_times",
            same_path,
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn three_clients(cell: Cell) {
    let server = Scenario::new(cell).with("foreign", "on").start();
    let process = server.process();
    for text in ["hello world", "again", "a third time"] {
        server.connect().echo(text);
    }
    if cell.forks() {
        // Its foreign child ended before it began, and nobody but its parent may take that status: D10.
        let zombies = || {
            process
                .children()
                .iter()
                .filter(|(_, state)| *state == 'Z')
                .count()
        };
        wait_until(|| process.children().len() == 1 && zombies() == 1);
    }
    let ended = server.stop();
    ended.expect_counts(3, 0, 0);
    assert_eq!(ended.events("foreign")[0].get("status"), "72");
    assert!(ended.events("error").is_empty(), "{:?}", ended.lines);
}

/// After good ends, which remove the path, and after others, which leave it behind.
fn same_path(cell: Cell) {
    let folder = Folder::new();
    let path = folder.join("socket");
    let at = format!("unix:{}", path.display());
    let scenario = || Scenario::new(cell).with("workers", "2").at(&at);
    for nth in 0..100 {
        let server = scenario().with("quiet", "on").start();
        if cell.is_preforked() {
            server.await_workers(2);
        }
        server.connect().echo("here");
        if nth == 0 {
            let ended = scenario().fail();
            let error = ended.events("failed")[0].get("error").to_owned();
            assert!(error.contains("another_server_is_alive_there"), "{error}");
            server.connect().echo("still here");
        }
        if nth % 2 == 0 {
            let _ = server.stop();
            assert!(!path.exists());
        } else {
            let children = server.process().children(); // One of them may be about to reply.
            server.signal(Signal::KILL);
            drop(server); // It is waited for.
            wait_until(|| children.iter().all(|(child, _)| child.has_ended()));
            assert!(path.exists());
        }
    }
}

fn end(client: &mut Client, cell: Cell) {
    if cell.is_stream() {
        client.finish();
        client.expect_end();
    }
}

fn order(cell: Cell) {
    let server = Server::start(cell);
    let mut client = server.connect();
    client.echo("one");
    end(&mut client, cell);
    let ended = server.stop();
    assert_eq!(
        ended.story_of(&client),
        ["verify", "setup", "handle", "finish"]
    );
    let names: Vec<_> = ended
        .lines
        .iter()
        .filter(|line| line.starts_with("@finish") || line.starts_with("@drop"))
        .collect();
    assert!(
        names.len() == 2 && names[1].starts_with("@drop"),
        "the handler is dropped after finish: {names:?}"
    );
    ended.expect_counts(1, 0, 0);
    let summary = ended.summary();
    let (request, reply) = if cell.is_stream() { (9, 4) } else { (8, 3) };
    assert_eq!(
        (summary.number("bytes_in"), summary.number("bytes_out")),
        (request, reply)
    );
}

const WAYS: [&str; 2] = ["error", "panic"];

fn check(event: &Event, phase: &str, way: &str) {
    assert_eq!(event.get("phase"), phase);
    assert_eq!(event.get("panic"), (way == "panic").to_string());
    assert_eq!(
        (
            event.get("disconnect"),
            event.get("timeout"),
            event.get("exit")
        ),
        ("false", "false", "none")
    );
    assert_eq!(
        event.get("own"),
        "true",
        "on the request's own handler value"
    );
}

/// Runs a command that fails, in both ways, and the next client; returns the story of each who failed.
fn failing(cell: Cell, phase: &str, lead: &dyn Fn(&mut Client, &str)) -> Vec<Vec<String>> {
    let server = Scenario::new(cell).with("setup-reads", "on").start();
    let mut clients = Vec::new();
    for way in WAYS {
        let mut client = server.connect();
        lead(&mut client, way);
        check(&server.event_of("error", &client), phase, way);
        clients.push(client);
        server.connect().echo("the next client is served");
    }
    let ended = server.stop();
    ended.expect_counts(2, 2, 0);
    assert_eq!(
        ended.events("error").len(),
        2,
        "each failure is reported once"
    );
    clients
        .iter()
        .map(|client| ended.story_of(client))
        .collect()
}

fn setup_fails(cell: Cell) {
    let stories = failing(cell, "setup", &|client, way| {
        client.send(&format!("setup-{way}"));
        if cell.is_stream() {
            client.expect_rest("in setup\n");
        }
    });
    assert_eq!(stories, [["verify", "setup", "error"]; 2]);
}

fn handle_fails(cell: Cell) {
    let stories = failing(cell, "handle", &|client, way| {
        client.send(way);
        if cell.is_stream() {
            client.expect_end();
        }
    });
    assert_eq!(
        stories,
        [["verify", "setup", "handle", "finish", "error"]; 2]
    );
}

fn both_fail(cell: Cell) {
    let stories = failing(cell, "handle", &|client, way| match cell.is_stream() {
        true => {
            client.ask("finish-fails panic");
            client.send(&format!("{way} unflushed "));
            client.expect_rest("unflushed in finish\n");
        }
        // A packet has room for one command: the handler's error is the first, and finish panics or fails.
        false => match way {
            "panic" => client.send("panic"),
            _ => client.send("both-fail panic"),
        },
    });
    assert_eq!(
        stories,
        [["verify", "setup", "handle", "finish", "error"]; 2]
    );
}

fn finish_fails(cell: Cell) {
    let stories = failing(cell, "finish", &|client, way| {
        client.send(&format!("finish-fails {way}"));
        if cell.is_stream() {
            client.finish();
            client.expect_rest("finish fails\nin finish\n");
        }
    });
    assert_eq!(
        stories,
        [["verify", "setup", "handle", "finish", "error"]; 2]
    );
}

fn written_before(cell: Cell) {
    let server = Server::start(cell);
    for way in WAYS {
        let mut client = server.connect();
        client.send(&format!("{way} not flushed"));
        client.expect_rest("not flushed");
    }
    server.stop().expect_counts(0, 2, 0);
}

fn no_half_packet(cell: Cell) {
    let server = Server::start(cell);
    for command in [
        "error",
        "panic",
        "finish-fails error",
        "finish-fails panic",
        "setup-error",
        "setup-panic",
    ] {
        let mut client = server.connect();
        client.send(command);
        server.event_of("error", &client);
        // The same client's next reply is its first packet.
        client.echo("the first packet");
    }
    server.stop().expect_counts(6, 6, 0);
}

fn drop_panics(cell: Cell) {
    let server = Server::start(cell);
    let mut client = server.connect();
    client.ask("drop-panics");
    end(&mut client, cell);
    server.connect().echo("the next client is served");
    let error = server.event("error");
    assert_eq!(
        (error.get("phase"), error.get("panic"), error.get("own")),
        ("close", "true", "false")
    );
    assert_eq!(server.stop().events("error").len(), 1);
}
