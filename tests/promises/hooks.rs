//! Hooks that refuse, fail and panic, and children that end by themselves: promises 2 and 7, F32 to F44, D9, D16, D32.

use libtest_mimic::Trial;
use sockserv_tests::{Cell, Model, Scenario, Server, wait_until};

use crate::{for_each, for_each_cell, for_each_stream_cell};

pub(crate) fn trials() -> Vec<Trial> {
    [
        for_each_cell("t26_p07_verify_request_refuses_quietly", verify_refuses),
        for_each_stream_cell(
            "d25_a_talking_peer_is_refused_without_a_reset",
            refused_while_talking,
        ),
        for_each_cell(
            "d16_a_panic_in_verify_request_refuses_and_is_reported",
            verify_panics,
        ),
        for_each_cell(
            "d16_a_panic_in_handle_error_ends_nothing",
            error_hook_panics,
        ),
        for_each_cell(
            "d16_a_panic_in_service_actions_ends_nothing",
            service_panics,
        ),
        for_each_cell("f43_service_actions_runs_every_interval", service_interval),
        for_each_cell("p02_a_panic_in_clone_is_reported", clone_panics),
        for_each(
            |cell| cell.model == Model::Pool,
            "p02_a_panic_in_the_clone_of_a_worker_ends_the_start",
            clone_of_worker_panics,
        ),
        for_each_cell("p02_one_error_when_handle_and_drop_fail", handle_and_drop),
        for_each(
            |cell| cell.forks(),
            "t22_d32_a_child_that_exits_is_reported_with_its_status",
            child_exits,
        ),
        for_each_cell(
            "f33_server_bind_and_server_activate_have_the_last_word",
            bind_hooks,
        ),
        for_each_cell("f33_a_hook_that_fails_ends_the_bind", bind_hooks_fail),
        for_each_cell("f28_handle_request_serves_one_at_a_time", by_request),
        for_each_cell("f42_handle_timeout_runs_when_nobody_came", accept_timeout),
        for_each(
            |cell| cell.forks(),
            "d09_a_handle_request_loop_leaves_no_zombies",
            no_zombies_by_request,
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// A server whose hooks are counted by one process. Under `forking` too: it accepts in the parent alone.
fn counted(cell: Cell) -> Scenario {
    Scenario::new(cell).with_one_loop()
}

fn verify_refuses(cell: Cell) {
    let server = counted(cell).with("verify", "refuse:2").start();
    for _ in 0..2 {
        let mut client = server.connect();
        match cell.is_stream() {
            true => client.expect_end(),
            false => client.send("echo not answered"),
        }
        server.event_of("verify", &client);
    }
    server.connect().echo("served");
    let ended = server.stop();
    ended.expect_counts(1, 0, 2);
    assert_eq!(ended.events("setup").len(), 1);
    assert!(ended.events("error").is_empty(), "{:?}", ended.lines);
    assert!(
        !ended.lines.iter().any(|line| line.starts_with("sockserv:")),
        "{:?}",
        ended.lines
    );
}

fn refused_while_talking(cell: Cell) {
    let server = counted(cell).with("verify", "refuse:1").start();
    let mut client = server.connect();
    // It may be refused while it still sends, and then it must be able to go on.
    for _ in 0..8 {
        client
            .send_bytes(&[b'x'; 4096])
            .expect("nobody resets the connection");
    }
    client.expect_end();
    server.stop().expect_counts(0, 0, 1);
}

fn verify_panics(cell: Cell) {
    let server = counted(cell).with("verify", "panic:2").start();
    for _ in 0..2 {
        let mut client = server.connect();
        client.send("echo not answered");
        let error = server.event_of("error", &client);
        assert_eq!(
            (error.get("phase"), error.get("panic"), error.get("own")),
            ("verify", "true", "false")
        );
        if cell.is_stream() {
            client.expect_end();
        }
    }
    server.connect().echo("served");
    let ended = server.stop();
    ended.expect_counts(1, 0, 2);
    assert_eq!(ended.events("error").len(), 2);
}

fn error_hook_panics(cell: Cell) {
    let server = Scenario::new(cell).with("error-hook", "panic").start();
    for _ in 0..2 {
        let mut client = server.connect();
        client.send("error");
        server.event_of("error", &client);
        if cell.is_stream() {
            client.expect_end();
        }
    }
    server.connect().echo("served");
    let ended = server.stop();
    ended.expect_counts(1, 2, 0);
    assert_eq!(ended.events("error").len(), 2);
    let told = ended
        .lines
        .iter()
        .filter(|line| line.contains("hook: panicked: handle_error panics"))
        .count();
    assert_eq!(told, 2, "each is told by the default: {:#?}", ended.lines);
}

fn service_panics(cell: Cell) {
    let server = counted(cell).with("service", "panic:2").start();
    let mut served = 0;
    while server.events("service").len() < 4 {
        server.connect().echo("each wake-up asks it again");
        served += 1;
    }
    let error = server.event("error");
    assert_eq!(
        (error.get("phase"), error.get("panic"), error.get("peer")),
        ("hook", "true", "unnamed")
    );
    let ended = server.stop();
    ended.expect_counts(served, 0, 0);
    assert_eq!(ended.events("error").len(), 2);
}

fn service_interval(cell: Cell) {
    let server = Scenario::new(cell).with("service-interval", "20ms").start();
    server.nth_event(4, "service");
    server.connect().echo("served beside it");
    let before = server.events("service").len();
    server.nth_event(before + 3, "service");
    let _ = server.stop();
}

fn clone_panics(cell: Cell) {
    // A pool clones once for each of its threads, before it listens.
    let scenario = match cell.model {
        Model::Pool => counted(cell)
            .with("workers", "1")
            .with("clone", "panic:1@1"),
        _ => counted(cell).with("clone", "panic:1"),
    };
    let server = scenario.with("observe", "on").start();
    let mut clients = [server.connect(), server.connect()];
    for (nth, client) in clients.iter_mut().enumerate() {
        let fails = nth == 0 || cell.forks();
        if cell.model == Model::Pool || !(fails && cell.is_stream()) {
            client.send("echo text"); // A stream that fails may be closed already, unless it waits for a first byte.
        }
        if fails {
            // Each child has its own count of clones, so each of them fails once.
            let error = server.event_of("error", client);
            assert_eq!(
                (error.get("phase"), error.get("panic"), error.get("own")),
                ("dispatch", "true", "false")
            );
            if cell.is_stream() {
                client.expect_end();
            }
        } else {
            assert_eq!(client.reply(), "text");
        }
    }
    let failed = if cell.forks() { 2 } else { 1 };
    let expected = [
        "panicked",
        if failed == 2 { "panicked" } else { "finished" },
    ];
    let names = clients.each_ref().map(|client| client.name().to_owned());
    drop(clients);
    let ended = server.stop();
    ended.expect_counts(2 - failed, failed, 0);
    for (name, reason) in names.iter().zip(expected) {
        ended.expect_one_life(name, reason);
    }
}

fn clone_of_worker_panics(cell: Cell) {
    let ended = Scenario::new(cell).with("clone", "panic:1@2").fail();
    assert!(!ended.status.success());
    let why = ended.events("failed")[0].get("error").to_owned();
    assert!(why.contains("dispatch:_panicked:_clone_panics"), "{why}");
}

fn handle_and_drop(cell: Cell) {
    if !cell.is_stream() {
        return; // A packet has room for one command.
    }
    let server = Server::start(cell);
    let mut client = server.connect();
    client.ask("drop-panics");
    client.send("error");
    client.expect_end();
    server.connect().echo("served");
    let ended = server.stop();
    let errors = ended.events("error");
    assert_eq!(errors.len(), 1, "once, with the first failure: {errors:?}");
    assert_eq!(errors[0].get("phase"), "handle");
}

fn child_exits(cell: Cell) {
    let server = Server::start(cell);
    for (command, status) in [
        ("exit 5", "exit_status:_5"),
        ("exit 0", "exit_status:_0"),
        ("abort", "signal:_6_(SIGABRT)"),
    ] {
        let mut client = server.connect();
        client.send(command);
        let error = server.event_of("error", &client);
        assert!(error.get("exit").starts_with(status), "{error:?}");
        assert_eq!((error.get("phase"), error.get("own")), ("exit", "false"));
        assert_eq!(
            error.get("pid"),
            server.process().0.to_string(),
            "the parent tells it"
        );
        if cell.is_stream() {
            client.expect_end();
        }
        server.connect().echo("served");
    }
    server.process().expect_no_children();
    let ended = server.stop();
    ended.expect_counts(3, 3, 0);
    assert_eq!(ended.events("error").len(), 3);
}

fn bind_hooks(cell: Cell) {
    let server = Server::start(cell);
    assert_eq!(server.event("bind").get("named"), "false");
    assert_eq!(server.event("activate").get("listens"), "false");
    let lines = server.lines();
    let at = |start: &str| lines.iter().position(|line| line.starts_with(start));
    assert!(at("@bind") < at("@activate"), "{lines:?}");
    let _ = server.stop();
}

fn bind_hooks_fail(cell: Cell) {
    for (hook, deed) in [
        ("bind", "error"),
        ("bind", "panic"),
        ("activate", "error"),
        ("activate", "panic"),
    ] {
        let ended = Scenario::new(cell)
            .with(&format!("{hook}-hook"), deed)
            .fail();
        assert!(!ended.status.success(), "{hook} {deed}");
        let failed = ended.events("failed");
        let why = format!(
            "server_{hook}_{}s",
            if deed == "error" { "fail" } else { "panic" }
        );
        assert!(failed[0].get("error").contains(&why), "{failed:?}");
    }
}

fn by_request(cell: Cell) {
    let server = Scenario::new(cell).with("by-request", "1000").start();
    for text in ["one", "two", "three"] {
        server.connect().echo(text);
    }
    let mut client = server.connect();
    client.send("panic");
    server.event_of("error", &client);
    server.connect().echo("four");
    wait_until(|| {
        server
            .events("turn")
            .iter()
            .filter(|turn| turn.get("served") == "true")
            .count()
            == 5
    });
    assert!(
        server.events("service").is_empty(),
        "service_actions belongs to serve_forever"
    );
    if cell.model == Model::Sync {
        assert!(
            server
                .events("turn")
                .iter()
                .all(|turn| turn.get("served") == "true")
        );
    }
}

fn accept_timeout(cell: Cell) {
    let scenario = Scenario::new(cell)
        .with("by-request", "3")
        .with("accept-timeout", "30ms")
        .with("timeout-hook", "panic:1");
    let ended = scenario.start().wait();
    ended.expect_good();
    assert_eq!(ended.events("timeout").len(), 3);
    assert!(
        ended
            .events("turn")
            .iter()
            .all(|turn| turn.get("served") == "false")
    );
    let errors = ended.events("error");
    assert_eq!(errors.len(), 1);
    assert_eq!(
        (errors[0].get("phase"), errors[0].get("panic")),
        ("hook", "true")
    );
}

fn no_zombies_by_request(cell: Cell) {
    let server = Scenario::new(cell).with("by-request", "1000").start();
    for _ in 0..5 {
        server.connect().echo("five of them");
    }
    server.process().expect_no_children();
}
