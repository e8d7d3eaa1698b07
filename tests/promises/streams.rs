//! What a stream can do: the tied files, its halves, senders, urgent data, and handing the rest elsewhere. F48 to F55, F65, F69.

use std::time::Duration;

use libtest_mimic::Trial;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::RecvFlags;
use rustix::process::Signal;
use sockserv_tests::{Cell, DEADLINE, Event, Model, Process, Scenario, Server};

use crate::{for_each, for_each_stream_cell};

pub(crate) fn trials() -> Vec<Trial> {
    let threads = |cell: &Cell| cell.is_stream() && cell.model == Model::Threading;
    let tcp = |cell: &Cell| cell.transport == sockserv_tests::Transport::Tcp;
    [
        for_each_stream_cell("f52_a_read_that_waits_sends_what_was_written", tied),
        for_each_stream_cell("f53_without_a_buffer_each_write_leaves", unbuffered),
        for_each_stream_cell("f52_pipelined_requests_are_answered_in_order", pipelined),
        for_each_stream_cell("t31_a_line_beyond_max_line_is_refused", long_line),
        for_each_stream_cell("t01_two_peers_are_told_apart", addresses),
        for_each(
            |cell| cell.is_stream() && cell.is_concurrent(),
            "t02_two_peers_are_answered_at_once",
            two_at_once,
        ),
        for_each(
            |cell| cell.is_stream() && cell.is_unix(),
            "f04_credentials_name_the_peer",
            credentials,
        ),
        for_each_stream_cell("f52_split_is_full_duplex", split),
        for_each_stream_cell(
            "f52_into_inner_gives_the_socket_and_what_was_read",
            into_inner,
        ),
        for_each(tcp, "f69_urgent_data_is_sent", oob_out),
        for_each(tcp, "f69_urgent_data_is_received", oob_in),
        for_each(threads, "sender_reaches_other_requests", sender),
        for_each(
            threads,
            "sender_to_a_peer_that_does_not_read_never_blocks",
            sender_to_a_slow_peer,
        ),
        elsewhere(),
        for_each_stream_cell("a20_suspend_leaves_clients_in_the_queue", suspended),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Part now, the rest elsewhere.
fn elsewhere() -> Vec<Trial> {
    // Where one request after another runs in an accept loop.
    let inline = |cell: &Cell| {
        cell.is_stream() && (cell.model == Model::Sync || cell.model == Model::Prefork)
    };
    [
        for_each(inline, "f65_the_rest_runs_in_a_child", rest_in_child),
        for_each(inline, "f65_the_rest_runs_in_a_thread", rest_in_thread),
        for_each(inline, "f65_a_rest_that_fails_is_reported_once", rest_fails),
        for_each(
            inline,
            "f65_a_rest_that_exits_is_reported_with_its_status",
            rest_exits,
        ),
        for_each(
            inline,
            "f65_a_shutdown_treats_the_rest_as_any_request",
            rest_and_shutdown,
        ),
        for_each(
            inline,
            "f65_request_timeout_ends_the_rest_and_not_who_gave_it_away",
            rest_and_request_timeout,
        ),
        for_each(
            |cell| cell.is_stream() && cell.forks(),
            "f65_a_child_does_not_fork_again",
            rest_of_a_child,
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn tied(cell: Cell) {
    let server = Server::start(cell);
    let mut client = server.connect();
    for turn in 0..20 {
        client.echo(&format!("turn {turn}")); // The handler never flushes.
    }
    drop(client);
    server.stop().expect_counts(1, 0, 0);
}

fn unbuffered(cell: Cell) {
    let server = Scenario::new(cell).with("wbufsize", "0").start();
    let gate = server.gate("gate");
    let mut client = server.connect();
    // In one segment: nothing is read, so nothing but the write itself sends the echo.
    client.send(&format!("echo at once\ngate {}", gate.path()));
    assert_eq!(client.reply(), "at once");
    assert_eq!(client.reply(), "waiting");
    gate.open();
    assert_eq!(client.reply(), "open");
}

fn pipelined(cell: Cell) {
    let server = Server::start(cell);
    let mut client = server.connect();
    let commands: String = (0..2000).map(|number| format!("echo {number}\n")).collect();
    client.send_bytes(commands.as_bytes()).expect("it is read");
    for number in 0..2000 {
        assert_eq!(client.reply(), number.to_string());
    }
}

fn long_line(cell: Cell) {
    let server = Scenario::new(cell).with("max-line", "1000").start();
    let mut client = server.connect();
    client.echo(&"x".repeat(900));
    client.send(&"x".repeat(2000));
    client.expect_end();
    let error = server.event("error");
    assert_eq!(error.get("phase"), "handle");
    assert!(error.get("text").contains("max_line"), "{error:?}");
    server.stop().expect_counts(0, 1, 0);
}

fn addresses(cell: Cell) {
    let server = Server::start(cell);
    let local = if cell.is_unix() {
        format!("unix:{}", server.addr())
    } else {
        server.addr().to_owned()
    };
    for _ in 0..2 {
        let mut client = server.connect();
        assert_eq!(client.ask("who"), format!("{} {local}", client.name()));
    }
}

fn two_at_once(cell: Cell) {
    let server = Server::start(cell);
    let (mut first, mut second) = (server.connect(), server.connect());
    first.echo("first");
    second.echo("second"); // Although `first` came earlier and is still open.
    first.echo("first again");
    assert_eq!(first.ask("stats"), "2 2 0 0");
}

fn credentials(cell: Cell) {
    let server = Server::start(cell);
    let (uid, gid) = (
        rustix::process::getuid().as_raw(),
        rustix::process::getgid().as_raw(),
    );
    assert_eq!(
        server.connect().ask("credentials"),
        format!("{uid} {gid} {}", std::process::id())
    );
}

fn split(cell: Cell) {
    let server = Server::start(cell);
    let mut client = server.connect();
    client.send("split\nread ahead");
    assert_eq!(client.reply(), "read ahead");
    let bytes = vec![b'x'; 8 << 20];
    let mut writer = client.socket().try_clone().expect("a second descriptor");
    let sent = bytes.len();
    let sending = std::thread::spawn(move || {
        use std::io::Write;
        writer.write_all(&bytes).expect("it is read");
        writer
            .shutdown(std::net::Shutdown::Write)
            .expect("the connection is open");
    });
    assert_eq!(client.rest().expect("no reset").len(), sent);
    sending.join().expect("it does not panic");
    server.stop().expect_counts(1, 0, 0);
}

fn into_inner(cell: Cell) {
    let server = Server::start(cell);
    let mut client = server.connect();
    client.send("echo before\ninto-inner\nread ahead");
    client.expect_rest("before\ninner read ahead\n");
    server.stop().expect_counts(1, 0, 0);
}

fn oob_out(cell: Cell) {
    let server = Server::start(cell);
    let mut client = server.connect();
    client.send("echo before\noob !\necho after");
    assert_eq!(client.reply(), "before");
    wait_for_urgent(client.socket());
    let mut urgent = [0; 1];
    let (count, _) =
        rustix::net::recv(client.socket(), &mut urgent, RecvFlags::OOB).expect("urgent data");
    assert_eq!((count, urgent), (1, *b"!"));
    assert_eq!(client.reply(), "after", "the urgent byte is out of band");
}

fn wait_for_urgent(socket: &socket2::Socket) {
    let deadline = Timespec::try_from(DEADLINE).expect("it fits");
    let ready =
        poll(&mut [PollFd::new(socket, PollFlags::PRI)], Some(&deadline)).expect("an own socket");
    assert_eq!(ready, 1, "nothing urgent came");
}

fn oob_in(cell: Cell) {
    let server = Server::start(cell);
    let mut client = server.connect();
    assert_eq!(client.ask("recv-oob"), "ready");
    client.socket().send_out_of_band(b"?").expect("it is sent");
    assert_eq!(client.reply(), "urgent ?");
    client.send("recv-oob-now");
    client.expect_end(); // There is no other: an error of the handler's.
    server.stop().expect_counts(0, 1, 0);
}

fn sender(cell: Cell) {
    let server = Server::start(cell);
    let mut listeners: Vec<_> = (0..3).map(|_| server.connect()).collect();
    listeners
        .iter_mut()
        .for_each(|client| assert_eq!(client.ask("listen"), "listening"));
    let mut speaker = server.connect();
    assert_eq!(speaker.ask("tell hello"), "sent sent sent");
    listeners
        .iter_mut()
        .for_each(|client| assert_eq!(client.reply(), "hello"));
    listeners[0].finish();
    listeners[0].expect_end();
    assert_eq!(speaker.ask("tell again"), "closed sent sent");
    drop(speaker);
    listeners[1..]
        .iter_mut()
        .for_each(|client| assert_eq!(client.reply(), "again"));
    drop(listeners);
    server.stop().expect_counts(4, 0, 0); // A sender does not keep its request alive.
}

fn sender_to_a_slow_peer(cell: Cell) {
    let server = Server::start(cell);
    let mut slow = server.connect();
    assert_eq!(slow.ask("listen"), "listening");
    let mut speaker = server.connect();
    let text = "x".repeat(60_000);
    let mut told = 0;
    while speaker.ask(&format!("tell {text}")) == "sent" {
        told += 1;
        assert!(told < 10_000, "the queue has no bound");
    }
    // Now the slow one reads: everything comes, whole and in order, beside the handler's own words.
    slow.send("echo own words");
    let lines: Vec<_> = (0..=told).map(|_| slow.reply()).collect();
    assert_eq!(lines.iter().filter(|line| **line == text).count(), told);
    assert_eq!(lines.iter().filter(|line| *line == "own words").count(), 1);
    drop((slow, speaker));
    server.stop().expect_counts(2, 0, 0);
}

fn rest_in_child(cell: Cell) {
    rest_elsewhere(cell, "rest-in-child", |accepting, rest| {
        assert_ne!(rest.get("pid"), accepting.0.to_string());
        let child = Process(rest.number("pid").try_into().expect("a process id"));
        assert_eq!(child.sockets(), 1);
    });
}

fn rest_in_thread(cell: Cell) {
    rest_elsewhere(cell, "rest-in-thread", |accepting, rest| {
        assert_eq!(rest.get("pid"), accepting.0.to_string());
    });
}

/// One accept loop, so that the one which has given the rest away serves the next client.
fn rest_elsewhere(cell: Cell, command: &str, look: impl FnOnce(Process, &Event)) {
    let server = Scenario::new(cell).with_one_loop().start();
    let mut first = server.connect();
    let accepting = Process(first.ask("pid").parse().expect("a number"));
    // What was read ahead and what was not sent goes along.
    first.send(&format!("echo not sent yet\n{command} echo\nread ahead"));
    assert_eq!(
        (first.reply(), first.reply()),
        ("not sent yet".to_owned(), "read ahead".to_owned())
    );
    look(accepting, &server.event_of("rest", &first));
    server.connect().echo("the server goes on");
    assert_eq!(first.ask("more"), "more");
    first.finish();
    first.expect_end();
    accepting.expect_no_children();
    let ended = server.stop();
    ended.expect_counts(2, 0, 0);
    assert_eq!(
        ended.story_of(&first),
        ["verify", "setup", "handle", "rest"],
        "finish does not run"
    );
}

fn rest_fails(cell: Cell) {
    let server = Server::start(cell);
    for place in ["child", "thread"] {
        for way in ["error", "panic"] {
            let mut client = server.connect();
            client.send(&format!("echo before\nrest-in-{place} {way}"));
            client.expect_rest("before\n");
            let error = server.event_of("error", &client);
            assert_eq!(
                (error.get("phase"), error.get("panic")),
                ("handle", (way == "panic").to_string().as_str())
            );
            server.connect().echo("the server goes on");
        }
    }
    let ended = server.stop();
    ended.expect_counts(4, 4, 0);
    assert_eq!(ended.events("error").len(), 4);
}

fn rest_exits(cell: Cell) {
    let server = Scenario::new(cell).with_one_loop().start();
    let accepting = Process(server.connect().ask("pid").parse().expect("a number"));
    for (deed, status) in [("exit", "exit_status:_3"), ("abort", "signal:_6_(SIGABRT)")] {
        let mut client = server.connect();
        client.send(&format!("rest-in-child {deed}"));
        let error = server.event_of("error", &client);
        assert_eq!(error.get("phase"), "exit");
        assert!(error.get("exit").starts_with(status), "{error:?}");
        client.expect_end();
    }
    accepting.expect_no_children();
    server.stop().expect_counts(1, 2, 0);
}

fn rest_and_shutdown(cell: Cell) {
    let server = Scenario::new(cell).with("shutdown-grace", "60s").start();
    let mut child = server.connect();
    child.send("rest-in-child echo");
    assert_eq!(child.ask("one"), "one");
    let mut thread = server.connect();
    thread.send("rest-in-thread echo");
    assert_eq!(thread.ask("two"), "two");
    server.signal(Signal::TERM);
    child.expect_end();
    thread.expect_end();
    let ended = server.wait();
    ended.expect_good_within(Duration::from_secs(5));
    ended.expect_counts(2, 0, 0);
}

fn rest_and_request_timeout(cell: Cell) {
    let scenario = Scenario::new(cell).with_one_loop();
    let server = scenario.with("request-timeout", "1s").start();
    let accepting = server.connect().ask("pid");
    let mut child = server.connect();
    child.send("rest-in-child park");
    assert_eq!(child.reply(), "parked");
    let mut thread = server.connect();
    thread.send("rest-in-thread echo");
    assert_eq!(thread.ask("one"), "one");
    let error = server.event_of("error", &thread);
    assert_eq!(error.get("which"), "Request", "{error:?}");
    thread.expect_end();
    let error = server.event_of("error", &child);
    let killed = (error.get("phase"), error.get("exit"));
    assert_eq!(killed, ("exit", "signal:_9_(SIGKILL)"));
    child.expect_end();
    assert_eq!(server.connect().ask("pid"), accepting, "it serves on");
    server.stop().expect_counts(2, 2, 0);
}

fn rest_of_a_child(cell: Cell) {
    let server = Server::start(cell);
    let mut client = server.connect();
    client.send("rest-in-child echo");
    client.expect_end();
    let error = server.event("error");
    assert!(
        error.get("text").contains("child_process_already"),
        "{error:?}"
    );
    server.stop().expect_counts(0, 1, 0);
}

fn suspended(cell: Cell) {
    let server = Server::start(cell);
    let mut client = server.connect();
    assert_eq!(client.ask("suspend"), "suspended");
    assert_eq!(client.ask("is-suspended"), "true");
    let mut waiting = server.connect();
    waiting.send("echo queued");
    client.echo("live ones go on");
    assert_eq!(client.ask("stats").split(' ').next(), Some("1"), "accepted");
    waiting.expect_silence();
    assert_eq!(client.ask("resume"), "resumed");
    drop(client);
    assert_eq!(waiting.reply(), "queued");
}
